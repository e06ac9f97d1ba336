//! One HTTP/1.1 request at a time over loopback, with nothing between the test and the bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long connecting, and each read, may take.
const BOUND: Duration = Duration::from_secs(10);

/// What a server answered.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, in the order sent.
    pub(crate) headers: Vec<(String, String)>,
    /// The body as it was sent, transfer encoding undone, content encoding not.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first header of this (lower-case) name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, inflated if it says that it is gzip.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        let bytes = match self.header("content-encoding") {
            None => self.body.clone(),
            Some("gzip") => {
                let mut plain = Vec::new();
                // One member only: some clients read no further.
                flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut plain).expect("a gzip body");
                plain
            }
            Some(other) => panic!("unexpected content-encoding {other}"),
        };
        String::from_utf8(bytes).expect("a UTF-8 body")
    }
}

/// GET with headers of one's own.
pub(crate) fn get(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
    request("GET", address, target, headers, b"")
}

/// Any request; the connection is closed after it.
pub(crate) fn request(
    method: &str,
    address: SocketAddr,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response, String> {
    let said = |error: std::io::Error| format!("{method} http://{address}{target}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, BOUND).map_err(said)?;
    stream.set_read_timeout(Some(BOUND)).map_err(said)?;
    stream.set_write_timeout(Some(BOUND)).map_err(said)?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).map_err(said)?;
    stream.write_all(body).map_err(said)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).map_err(said)?;
    parse(&raw, method == "HEAD").map_err(|fault| format!("{method} http://{address}{target}: {fault}"))
}

/// A connection that is kept from one request to the next, as Prometheus keeps its own.
pub(crate) struct Kept {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Kept {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("connecting to {address}: {error}");
        let stream = TcpStream::connect_timeout(&address, BOUND).map_err(said)?;
        stream.set_read_timeout(Some(BOUND)).map_err(said)?;
        stream.set_write_timeout(Some(BOUND)).map_err(said)?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// GET on this connection, which stays open.
    pub(crate) fn get(&mut self, target: &str) -> Result<Response, String> {
        let address = self.address;
        let said = |fault: &dyn std::fmt::Display| format!("GET http://{address}{target}: {fault}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).map_err(|error| said(&error))?;
        let mut raw = Vec::new();
        self.answer(&mut raw).map_err(|error| said(&error))?;
        parse(&raw, false).map_err(|fault| said(&fault))
    }

    /// Reads one answer and no byte more.
    fn answer(&mut self, raw: &mut Vec<u8>) -> std::io::Result<()> {
        let mut length = None;
        loop {
            let line = self.line(raw)?;
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok()
                }
                Some(_) => {}
                None if line.trim().is_empty() => break,
                None => {}
            }
        }
        if let Some(length) = length {
            return self.exactly(length, raw);
        }
        loop {
            let line = self.line(raw)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            self.exactly(size + 2, raw)?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self, raw: &mut Vec<u8>) -> std::io::Result<String> {
        let from = raw.len();
        if self.stream.read_until(b'\n', raw)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&raw[from..]).into_owned())
    }

    fn exactly(&mut self, length: usize, raw: &mut Vec<u8>) -> std::io::Result<()> {
        let from = raw.len();
        raw.resize(from + length, 0);
        self.stream.read_exact(&mut raw[from..])
    }
}

fn parse(raw: &[u8], bodiless: bool) -> Result<Response, String> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").ok_or("the head of the answer has no end")?;
    let head = std::str::from_utf8(&raw[..end]).map_err(|error| error.to_string())?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or("no status line")?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response { status, headers, body: raw[end + 4..].to_vec() };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = dechunk(&response.body)?;
    } else if let Some(length) = response.header("content-length").filter(|_| !bodiless) {
        let length: usize = length.parse().map_err(|_| format!("content-length is {length}"))?;
        if response.body.len() != length {
            return Err(format!("{} bytes came, {length} were announced", response.body.len()));
        }
    }
    if bodiless && !response.body.is_empty() {
        return Err("a body where none may be".to_owned());
    }
    Ok(response)
}

fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").ok_or("the body ends within a chunk")?;
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let size = size.ok_or("a chunk without a size")?;
        if size == 0 {
            return Ok(body);
        }
        let chunk = rest.get(end + 2..end + 2 + size).ok_or("the body ends within a chunk")?;
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).ok_or("the body ends within a chunk")?;
    }
}
