//! What can be asked for: one table, and who answers.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};

use super::body::Body;
use super::response::text;
use super::{HttpState, health, page, scrape};

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
    /// GET or HEAD.
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
}

/// Something that can be asked for with GET or HEAD.
pub(super) struct Route {
    path: Path,
    /// What it is, for the page and for lists of links.
    pub(super) title: &'static str,
    /// Whether it is answered on the connections that are kept back for it.
    is_reserved: bool,
    answer: fn(&Arc<HttpState>, &Head) -> Answer,
}

/// Every route. The first match counts, so metrics may be put at `/`.
pub(super) static ROUTES: &[Route] = &[
    Route { path: Path::Telemetry, title: "Metrics", is_reserved: false, answer: scrape::metrics },
    Route { path: Path::Fixed("/"), title: "This page", is_reserved: false, answer: page::status },
    Route { path: Path::Fixed("/-/healthy"), title: "Health", is_reserved: true, answer: health::healthy },
    Route { path: Path::Fixed("/-/ready"), title: "Readiness", is_reserved: true, answer: health::ready },
    Route {
        path: Path::Fixed("/healthz"),
        title: "Health, as kafka_exporter has it",
        is_reserved: true,
        answer: health::healthy,
    },
];

/// The value of the label `path` for what is not in the table.
const OTHER_PATH: &str = "other";

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

impl Route {
    /// Where it is.
    pub(super) fn path<'a>(&self, state: &'a HttpState) -> &'a str {
        match self.path {
            Path::Telemetry => &state.settings.telemetry_path,
            Path::Fixed(path) => path,
        }
    }
}

/// Answers a request. `is_reserved`: the connection is one of those kept back for health.
pub(super) fn answer(state: &Arc<HttpState>, head: &Head, is_reserved: bool) -> Answer {
    let route = ROUTES.iter().find(|route| route.path(state) == head.uri.path());
    let answer = match route {
        None => not_found(state, head),
        Some(_) if head.method != Method::GET && head.method != Method::HEAD => not_allowed(head),
        Some(route) if is_reserved && !route.is_reserved => too_busy(state),
        Some(route) => (route.answer)(state, head),
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

fn not_allowed(head: &Head) -> Answer {
    let body = format!("{} is not answered here; GET and HEAD are.\n", head.method);
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, body);
    answer.headers_mut().insert(header::ALLOW, ALLOWED_METHODS);
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
