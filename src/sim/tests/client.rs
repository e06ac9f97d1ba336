//! A client of the bare protocol: the codec from the other side.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(super) async fn connect(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), correlation_id: 0 }
    }

    /// Sends a request and reads its answer; an error is one of the connection.
    pub(super) async fn call<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<Q::Response> {
        self.send(version, request).await?;
        self.receive::<Q>(version).await
    }

    pub(super) async fn send<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<()> {
        self.correlation_id += 1;
        self.stream.write_all(&encoded(version, self.correlation_id, request)).await
    }

    pub(super) async fn receive<Q: Request>(&mut self, version: i16) -> io::Result<Q::Response> {
        let length = self.stream.read_i32().await?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, Q::Response::header_version(version)).unwrap();
        assert!(header.correlation_id <= self.correlation_id);
        let response = Q::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "{} bytes left over", frame.len());
        Ok(response)
    }

    /// Sends anything at all, and reads until the broker closes the connection.
    pub(super) async fn raw(mut self, bytes: &[u8]) -> Vec<u8> {
        // The broker may close while we still send: what counts is that it closes.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = self.stream.read_to_end(&mut answer).await;
        answer
    }
}

/// A request as it goes over the network, with its length prefix.
pub(super) fn encoded<Q: Request>(version: i16, correlation_id: i32, request: &Q) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_i32(0);
    RequestHeader::default()
        .with_request_api_key(Q::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")))
        .encode(&mut out, Q::header_version(version))
        .unwrap();
    request.encode(&mut out, version).unwrap();
    let length = i32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_be_bytes());
    out.to_vec()
}
