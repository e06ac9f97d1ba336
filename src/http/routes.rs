//! What can be asked for: one table, and who answers.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};

use super::body::Body;
use super::response::text;
use super::{HttpState, burrow, groups, health, page, reload, scrape, tasks};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// The number of the connection, never used twice.
    pub(super) connection: u64,
    /// Where it comes from.
    pub(super) address: IpAddr,
}

/// The head of a request: all that an answer depends on.
#[derive(Debug)]
pub(super) struct Head {
    /// What is to be done.
    pub(super) method: Method,
    /// Path and query.
    pub(super) uri: Uri,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// Who asks.
    pub(super) peer: Peer,
}

/// What goes back.
pub(super) type Answer = Response<Body>;

/// Where a route is.
#[derive(Debug, Clone, Copy)]
enum Path {
    /// Where the settings say that the metrics are.
    Telemetry,
    /// Here.
    Fixed(&'static str),
    /// Here and at everything below.
    Tree(&'static str),
}

/// Who answers.
#[derive(Clone, Copy)]
enum Answering {
    /// GET and HEAD, at once.
    Page(fn(&Arc<HttpState>, &Head) -> Answer),
    /// GET and HEAD, once a compressed body is ready.
    Scrape,
    /// POST, once the configuration was read again.
    Reload,
}

/// Something that can be asked for.
pub(super) struct Route {
    path: Path,
    /// What it is, for the page and for lists of links.
    pub(super) title: &'static str,
    /// Whether it is answered on the connections that are kept back for it.
    is_reserved: bool,
    answering: Answering,
}

/// A page that is answered on ordinary connections.
const fn ordinary(path: Path, title: &'static str, answer: fn(&Arc<HttpState>, &Head) -> Answer) -> Route {
    Route { path, title, is_reserved: false, answering: Answering::Page(answer) }
}

/// A page for those who look after the exporter: it is answered when all ordinary connections are in use, too.
const fn reserved(path: Path, title: &'static str, answer: fn(&Arc<HttpState>, &Head) -> Answer) -> Route {
    Route { path, title, is_reserved: true, answering: Answering::Page(answer) }
}

/// Every route. The first match counts, so metrics may be put at `/`.
pub(super) static ROUTES: &[Route] = &[
    Route { path: Path::Telemetry, title: "Metrics", is_reserved: false, answering: Answering::Scrape },
    ordinary(Path::Fixed("/"), "This page", page::status),
    reserved(Path::Fixed("/-/healthy"), "Health", health::healthy),
    reserved(Path::Fixed("/-/ready"), "Readiness", health::ready),
    reserved(Path::Fixed("/healthz"), "Health, as kafka_exporter has it", health::healthy),
    ordinary(Path::Fixed("/api/v1/groups"), "Groups and what is wrong with them, as JSON", groups::list),
    ordinary(Path::Fixed("/api/v1/tasks"), "Long-lived tasks, as JSON", tasks::list),
    ordinary(Path::Tree(burrow::ROOT), "Burrow's API, read-only", burrow::answer),
    ordinary(Path::Fixed("/burrow/admin"), "Burrow's health check", burrow::admin),
    Route {
        path: Path::Fixed("/-/reload"),
        title: "Read the configuration again (POST)",
        is_reserved: true,
        answering: Answering::Reload,
    },
];

/// The value of the label `path` for what is not in the table.
const OTHER_PATH: &str = "other";

impl Route {
    /// Where it is.
    pub(super) fn path<'a>(&self, state: &'a HttpState) -> &'a str {
        match self.path {
            Path::Telemetry => &state.settings.telemetry_path,
            Path::Fixed(path) | Path::Tree(path) => path,
        }
    }

    fn is_at(&self, path: &str, state: &HttpState) -> bool {
        let below = path.strip_prefix(self.path(state));
        match self.path {
            Path::Tree(_) => below.is_some_and(|below| below.is_empty() || below.starts_with('/')),
            _ => below == Some(""),
        }
    }

    /// Whether a browser can follow a link to it.
    pub(super) fn is_a_page(&self) -> bool {
        matches!(self.answering, Answering::Page(_) | Answering::Scrape)
    }

    fn takes(&self, method: &Method) -> bool {
        match self.answering {
            Answering::Page(_) | Answering::Scrape => method == Method::GET || method == Method::HEAD,
            Answering::Reload => method == Method::POST,
        }
    }
}

/// Answers a request. `is_reserved`: the connection is one of those kept back for health.
pub(super) async fn answer(state: &Arc<HttpState>, head: &Head, is_reserved: bool) -> Answer {
    let route = ROUTES.iter().find(|route| route.is_at(head.uri.path(), state));
    let answer = match route {
        None => not_found(state, head),
        Some(route) if !route.takes(&head.method) => not_allowed(route, head),
        Some(route) if is_reserved && !route.is_reserved => too_busy(state),
        Some(Route { answering: Answering::Page(answer), .. }) => answer(state, head),
        Some(Route { answering: Answering::Scrape, .. }) => scrape::metrics(state, head).await,
        Some(Route { answering: Answering::Reload, .. }) => reload::reload(state).await,
    };
    let path = route.map_or(OTHER_PATH, |route| route.path(state));
    state.own.http_request(path, answer.status().as_u16());
    answer
}

fn not_found(state: &HttpState, head: &Head) -> Answer {
    let mut body = format!("There is nothing at {:?}. What there is:\n", head.uri.path());
    for route in ROUTES {
        body.push_str(&format!("{}  {}\n", route.path(state), route.title));
    }
    text(StatusCode::NOT_FOUND, body)
}

fn not_allowed(route: &Route, head: &Head) -> Answer {
    let (words, allowed) = match route.answering {
        Answering::Page(_) | Answering::Scrape => ("GET and HEAD are", HeaderValue::from_static("GET, HEAD")),
        Answering::Reload => ("POST is", HeaderValue::from_static("POST")),
    };
    let body = format!("{} is not answered here; {words}.\n", head.method);
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, body);
    answer.headers_mut().insert(header::ALLOW, allowed);
    answer
}

fn too_busy(state: &HttpState) -> Answer {
    let body = format!(
        "All {} connections are in use. Are there clients that keep connections open without need?\n",
        state.settings.max_connections
    );
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, body);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}
