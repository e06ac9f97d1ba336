//! ApiVersions: which APIs in which versions.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use super::super::wire::{Field, Header, Shape, WireError, frame};
use super::{Api, Call};

/// Name and version of the client's software.
pub(super) const FIELDS: &[Field] = &[Field::since(3, Shape::Text), Field::since(3, Shape::Text)];

/// A version that is not served is answered in version 0 with UNSUPPORTED_VERSION and the list
/// (KIP-511), so that the client can try again. The response header is version 0 always.
pub(super) fn answer(call: &Call<'_>, header: &Header) -> Result<Bytes, WireError> {
    let unsupported = ResponseError::UnsupportedVersion.code();
    let (version, code) = if Api::ApiVersions.serves(call.version) {
        (call.version, call.injected.unwrap_or(0))
    } else {
        (0, unsupported)
    };
    let served = |api: Api| {
        let numbers = api.numbers();
        ApiVersion::default().with_api_key(numbers.key).with_min_version(numbers.min).with_max_version(numbers.max)
    };
    let response =
        ApiVersionsResponse::default().with_error_code(code).with_api_keys(Api::ALL.into_iter().map(served).collect());
    frame(header, version, &response)
}
