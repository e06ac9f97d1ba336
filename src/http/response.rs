//! Small responses: plain text, and the headers that every response carries.

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::routes::Answer;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// On every response: what is served is about now, and is what its type says.
const COMMON: [(HeaderName, HeaderValue); 3] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A response of any type.
pub(super) fn response(status: StatusCode, content_type: HeaderValue, body: Body) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(COMMON);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A response in JSON.
pub(super) fn json(status: StatusCode, json: impl Into<bytes::Bytes>) -> Answer {
    response(status, JSON, Body::full(json))
}

/// A response in plain text.
pub(super) fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Answer {
    response(status, PLAIN_TEXT, Body::full(text))
}
