//! Requests from bytes and answers to bytes: headers, lengths, and nothing believed unchecked.
//!
//! The codec reserves memory for as many array elements as a request claims to have. So every
//! length is walked here first, by the request's [`Field`]s, and the codec sees only requests whose
//! bytes are all there.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::api::Api;

/// The largest request that is read: more than one that names 200,000 partitions.
pub(super) const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Length prefix of every frame.
pub(super) const LENGTH_BYTES: usize = 4;

/// A request that cannot be answered; the connection is closed, as Kafka does.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("the request ends too early")]
    Short,
    #[error("the request has a length of {0}, which cannot be")]
    Length(i64),
    #[error("API key {0} is not served")]
    UnknownApi(i16),
    #[error("{api:?} version {version} is not served")]
    UnknownVersion { api: Api, version: i16 },
    #[error("{api:?} version {version}: {reason}")]
    Codec { api: Api, version: i16, reason: String },
}

/// A field of a request and the versions that have it.
#[derive(Debug)]
pub(super) struct Field {
    from: i16,
    to: i16,
    shape: Shape,
}

/// How a field lies in the bytes.
#[derive(Debug)]
pub(super) enum Shape {
    /// That many bytes.
    Fixed(usize),
    /// A string, nullable or not.
    Text,
    /// An array of single values.
    Values(&'static Shape),
    /// An array of structures, nullable or not.
    Rows(&'static [Field]),
}

impl Field {
    /// A field of every version.
    pub(super) const fn always(shape: Shape) -> Self {
        Self { from: 0, to: i16::MAX, shape }
    }

    /// A field of `from` and later versions.
    pub(super) const fn since(from: i16, shape: Shape) -> Self {
        Self { from, to: i16::MAX, shape }
    }

    /// A field of the versions `from` to `to`.
    pub(super) const fn between(from: i16, to: i16, shape: Shape) -> Self {
        Self { from, to, shape }
    }
}

/// A request's header, and where its body begins.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) api: Api,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) body: usize,
}

impl Header {
    /// Reads the header of a frame (without its length prefix) and walks its body.
    ///
    /// A version of ApiVersions that is not served passes: it is answered with those that are.
    pub(super) fn parse(frame: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader { rest: frame, flexible: false };
        let key = reader.i16()?;
        let version = reader.i16()?;
        let correlation_id = reader.i32()?;
        let api = Api::from_key(key).ok_or(WireError::UnknownApi(key))?;
        let header = |body| Self { api, version, correlation_id, body };
        if !api.serves(version) {
            return match api {
                Api::ApiVersions => Ok(header(frame.len())),
                _ => Err(WireError::UnknownVersion { api, version }),
            };
        }
        reader.text()?; // the client id: never compact, whatever the version
        reader.flexible = api.is_flexible(version);
        reader.tags()?;
        let body = frame.len() - reader.rest.len();
        reader.fields(api.request_fields(), version)?;
        reader.tags()?;
        Ok(header(body))
    }
}

struct Reader<'f> {
    rest: &'f [u8],
    flexible: bool,
}

impl Reader<'_> {
    fn skip(&mut self, bytes: usize) -> Result<(), WireError> {
        self.rest = self.rest.get(bytes..).ok_or(WireError::Short)?;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.rest.first_chunk::<N>().ok_or(WireError::Short)?;
        self.skip(N)?;
        Ok(*bytes)
    }

    fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn varint(&mut self) -> Result<usize, WireError> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_or(Err(WireError::Length(-1)), |value| Ok(value as usize));
            }
        }
        Err(WireError::Length(-1))
    }

    /// A length that may be null (none).
    fn length(&mut self, plain: i64) -> Result<usize, WireError> {
        match plain {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| WireError::Length(length)),
        }
    }

    fn text(&mut self) -> Result<(), WireError> {
        let length = if self.flexible {
            self.varint()?.saturating_sub(1)
        } else {
            let plain = i64::from(self.i16()?);
            self.length(plain)?
        };
        self.skip(length)
    }

    fn count(&mut self) -> Result<usize, WireError> {
        let count = if self.flexible {
            self.varint()?.saturating_sub(1)
        } else {
            let plain = i64::from(self.i32()?);
            self.length(plain)?
        };
        // No element is empty: what cannot be there is refused before it is counted out.
        if count > self.rest.len() { Err(WireError::Short) } else { Ok(count) }
    }

    fn tags(&mut self) -> Result<(), WireError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let bytes = self.varint()?;
            self.skip(bytes)?;
        }
        Ok(())
    }

    fn shape(&mut self, shape: &Shape, version: i16) -> Result<(), WireError> {
        match shape {
            Shape::Fixed(bytes) => self.skip(*bytes),
            Shape::Text => self.text(),
            Shape::Values(value) => {
                for _ in 0..self.count()? {
                    self.shape(value, version)?;
                }
                Ok(())
            }
            Shape::Rows(fields) => {
                for _ in 0..self.count()? {
                    self.fields(fields, version)?;
                    self.tags()?;
                }
                Ok(())
            }
        }
    }

    fn fields(&mut self, fields: &[Field], version: i16) -> Result<(), WireError> {
        for field in fields.iter().filter(|field| (field.from..=field.to).contains(&version)) {
            self.shape(&field.shape, version)?;
        }
        Ok(())
    }
}

/// A whole answer with its length prefix.
pub(super) fn frame<R: Encodable + HeaderVersion>(
    header: &Header,
    version: i16,
    response: &R,
) -> Result<Bytes, WireError> {
    let failed =
        |reason: &dyn std::fmt::Display| WireError::Codec { api: header.api, version, reason: reason.to_string() };
    let size = response.compute_size(version).map_err(|error| failed(&error))?;
    let mut out = BytesMut::with_capacity(size + 16);
    out.put_bytes(0, LENGTH_BYTES);
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut out, R::header_version(version))
        .and_then(|()| response.encode(&mut out, version))
        .map_err(|error| failed(&error))?;
    let length = i32::try_from(out.len() - LENGTH_BYTES).map_err(|error| failed(&error))?;
    if let Some(prefix) = out.first_chunk_mut::<LENGTH_BYTES>() {
        *prefix = length.to_be_bytes();
    }
    Ok(out.freeze())
}
