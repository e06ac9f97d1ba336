//! The status page.

use std::sync::Arc;

use super::HttpState;
use super::body::Body;
use super::response::response;
use super::routes::{Answer, Head};

pub(super) fn status(_: &Arc<HttpState>, _: &Head) -> Answer {
    response(hyper::StatusCode::OK, hyper::header::HeaderValue::from_static("text/html; charset=utf-8"), Body::full(""))
}
