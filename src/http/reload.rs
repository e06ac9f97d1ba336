//! `POST /-/reload`: asks the exporter to read its configuration again, and says what came of it.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::sync::{mpsc, oneshot};

use super::HttpState;
use super::response::text;
use super::routes::Answer;

/// Reloads that may wait behind the one that is under way.
const MAX_WAITING: usize = 4;

/// What came of a reload, in words: what is different now, or why nothing is.
pub type ReloadOutcome = Result<String, String>;

/// One wish for a reload; whoever grants it answers through it.
pub type ReloadRequest = oneshot::Sender<ReloadOutcome>;

/// Where the web side asks for reloads.
#[derive(Debug, Clone)]
pub struct ReloadRequests(mpsc::Sender<ReloadRequest>);

/// Both ends of the way that requests for a reload take.
#[must_use]
pub fn reload_requests() -> (ReloadRequests, mpsc::Receiver<ReloadRequest>) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    (ReloadRequests(sender), receiver)
}

/// Answers once the reload is over. One that nobody waits for any more is carried out all the same.
pub(super) async fn reload(state: &Arc<HttpState>) -> Answer {
    if !state.settings.admin {
        let body = "Reloading over HTTP is switched off. To allow it, set `web.admin: true` in the config file and \
                    restart the exporter; or send it SIGHUP, which is always allowed.\n";
        return text(StatusCode::FORBIDDEN, body);
    }
    let (done, outcome) = oneshot::channel();
    if state.reloads.0.try_send(done).is_err() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "A reload is under way, and others wait: try again later.\n");
    }
    match outcome.await {
        Ok(Ok(words)) => text(StatusCode::OK, format!("{words}\n")),
        Ok(Err(words)) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{words}\n")),
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "The reload was broken off: see the exporter's log.\n"),
    }
}
