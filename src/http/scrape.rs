//! `/metrics`: copies the handles of what is published and sends it in the client's format.

use std::sync::Arc;
use std::time::Instant;

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};

use super::body::{Body, Gzip, ScrapeBody};
use super::response::{response, text};
use super::routes::{Answer, Head};
use super::{HttpState, negotiate, query};
use crate::metrics::ClusterSource;
use crate::metrics::exposition::{ClusterView, Exposition, View};

const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Answers a scrape.
pub(super) fn metrics(state: &Arc<HttpState>, head: &Head) -> Answer {
    let clusters = state.clusters();
    let narrowed = match query::parse(head.uri.query().unwrap_or(""), &clusters) {
        Ok(narrowed) => narrowed,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    if head.method == Method::GET {
        state.feed.record(head.peer, &head.headers);
    }
    let format = negotiate::format(&head.headers);
    let timer = state.own.start_scrape(format);
    let gzip = negotiate::takes_gzip(&head.headers)
        .then(|| state.gzip_bodies.clone().try_acquire_owned().ok())
        .flatten()
        .map(Gzip::new);
    let is_compressed = gzip.is_some();
    let exposition = Exposition::new(view(state, &clusters, narrowed), format);
    let body = ScrapeBody::new(exposition, gzip, timer, Instant::now() + state.settings.request_timeout);
    let content_type = HeaderValue::from_static(format.content_type());
    let mut answer = response(StatusCode::OK, content_type, Body::scrape(body));
    answer.headers_mut().insert(header::VARY, VARY);
    if is_compressed {
        answer.headers_mut().insert(header::CONTENT_ENCODING, GZIP);
    }
    answer
}

fn view(state: &HttpState, clusters: &[Arc<ClusterSource>], narrowed: query::Narrowed) -> View {
    let is_asked_for = |name: Option<&Arc<str>>| {
        narrowed.clusters.is_empty() || name.is_some_and(|name| narrowed.clusters.contains(name))
    };
    let clusters = clusters.iter().filter(|cluster| is_asked_for(cluster.name.as_ref()));
    View {
        clusters: clusters.map(ClusterView::of).collect(),
        own: state.own.gather(),
        process: state.process.read(),
        selection: narrowed.selection,
    }
}
