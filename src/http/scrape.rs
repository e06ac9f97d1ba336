//! `/metrics`: what is published last, in the client's format: written while it goes out, or from ready pieces.

use std::sync::Arc;
use std::time::Instant;

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};

use super::body::{Body, CompressedScrape, ScrapeBody};
use super::response::{response, text};
use super::routes::{Answer, Head};
use super::{HttpState, negotiate, query, renderings};
use crate::metrics::exposition::{ClusterView, Exposition, Selection, View};
use crate::metrics::rendering::{CompressedBody, Kind, needs_blocks};

const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");

/// Answers a scrape.
pub(super) async fn metrics(state: &Arc<HttpState>, head: &Head) -> Answer {
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
    let deadline = Instant::now() + state.settings.request_timeout;
    let kind = negotiate::encoding(&head.headers).map(|encoding| Kind { format, encoding });
    let compressed = match kind {
        Some(kind) => compressed(state, kind, &narrowed).await,
        None => None,
    };
    let (body, encoding) = match (compressed, kind) {
        (Some(body), Some(kind)) => {
            (Body::compressed(CompressedScrape::new(body, timer, deadline)), Some(kind.encoding.name()))
        }
        _ => {
            let clusters = clusters.iter().map(ClusterView::of).filter(|view| narrowed.shows(view));
            let view = view(state, clusters.collect(), narrowed.selection.clone());
            (Body::scrape(ScrapeBody::new(Exposition::new(view, format), timer, deadline)), None)
        }
    };
    let mut answer = response(StatusCode::OK, HeaderValue::from_static(format.content_type()), body);
    answer.headers_mut().insert(header::VARY, VARY);
    if let Some(encoding) = encoding {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    answer
}

impl query::Narrowed {
    fn shows(&self, cluster: &ClusterView) -> bool {
        let name = cluster.source.name.as_ref();
        self.clusters.is_empty() || name.is_some_and(|name| self.clusters.contains(name))
    }
}

fn view(state: &HttpState, clusters: Vec<ClusterView>, selection: Selection) -> View {
    View { clusters, own: state.own.gather(), process: state.process.read(), selection }
}

/// A body of ready pieces; `None`: it is not to be had, and the client gets one without compression.
async fn compressed(state: &Arc<HttpState>, kind: Kind, narrowed: &query::Narrowed) -> Option<CompressedBody> {
    let rendering = match needs_blocks(&narrowed.selection) {
        true => Some(renderings::rendering(state, kind).await?.rendering.clone()),
        false => None,
    };
    let views: Vec<ClusterView> = match &rendering {
        Some(rendering) => rendering.views().collect(),
        None => state.clusters().iter().map(ClusterView::of).collect(),
    };
    let (places, views) = views.into_iter().enumerate().filter(|(_, view)| narrowed.shows(view)).unzip();
    let view = view(state, views, narrowed.selection.clone());
    let body = state
        .renderings
        .with_compressor(kind.encoding, |compressor| CompressedBody::new(kind, view, rendering, places, compressor));
    match body {
        Ok(body) => Some(body),
        Err(error) => {
            tracing::error!(%error, "a compressed body could not be made: it is sent without compression");
            None
        }
    }
}
