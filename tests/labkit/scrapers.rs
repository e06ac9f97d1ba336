//! Scrapes `/metrics` as so many Prometheus do, and says what it waited for: connections are kept, bodies are counted and
//! thrown away. It needs nothing but the standard library, so that `tests/lab scale` can build it in a second, and costs
//! little itself, so that it can share a machine with what it measures.
//!
//! ```text
//! scrapers ADDRESS ENCODING CLIENTS SECONDS PERIOD_MS
//! ```
//!
//! `ENCODING` is what `Accept-Encoding` says. Each client asks again `PERIOD_MS` after it last asked, the clients spread over
//! that time; with 0 as soon as it has an answer. The result is one line of JSON on standard output; times are in
//! milliseconds, from the request's first byte to the answer's last.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for scripts: its result is what it prints")]

use std::env;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Clients at most: each is a thread.
const MAX_CLIENTS: u32 = 1_000;
/// What one read takes at most.
const BUFFER_BYTES: usize = 256 * 1024;
/// Heads are a few hundred bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// An answer that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// After a failure, so that a server that refuses is not flooded.
const PAUSE: Duration = Duration::from_millis(20);

/// What is asked of this program.
#[derive(Clone)]
struct Load {
    address: SocketAddr,
    encoding: String,
    clients: u32,
    run_for: Duration,
    period: Duration,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    took_ms: Vec<f64>,
    bytes: u64,
    /// The encoding of the last answer.
    encoding: String,
    failures: Vec<String>,
}

fn main() -> ExitCode {
    let load = match parse(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(load) => load,
        Err(error) => {
            eprintln!("{error}\nusage: scrapers ADDRESS ENCODING CLIENTS SECONDS PERIOD_MS");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let clients: Vec<_> = (0..load.clients)
        .map(|number| {
            let load = load.clone();
            thread::spawn(move || client(&load, started, number))
        })
        .collect();
    let mut all = Seen::default();
    for client in clients {
        match client.join() {
            Ok(seen) => {
                all.took_ms.extend(seen.took_ms);
                all.bytes += seen.bytes;
                all.encoding = seen.encoding;
                all.failures.extend(seen.failures);
            }
            Err(_) => all.failures.push("a client panicked".to_owned()),
        }
    }
    println!("{}", summary(all, started.elapsed()));
    ExitCode::SUCCESS
}

fn parse(arguments: &[String]) -> Result<Load, String> {
    let [address, encoding, clients, seconds, period] = arguments else {
        return Err(format!("5 arguments are needed, not {}", arguments.len()));
    };
    let wrong = |what: &str, text: &str| format!("{what} cannot be '{text}'");
    let clients: u32 = clients.parse().map_err(|_| wrong("CLIENTS", clients))?;
    if clients == 0 || clients > MAX_CLIENTS {
        return Err(format!("CLIENTS must be 1 to {MAX_CLIENTS}"));
    }
    let seconds: u32 = seconds.parse().map_err(|_| wrong("SECONDS", seconds))?;
    let period: u32 = period.parse().map_err(|_| wrong("PERIOD_MS", period))?;
    Ok(Load {
        address: address.parse().map_err(|_| wrong("ADDRESS", address))?,
        encoding: encoding.clone(),
        clients,
        run_for: Duration::from_secs(u64::from(seconds)),
        period: Duration::from_millis(u64::from(period)),
    })
}

/// Asks until the time is over.
fn client(load: &Load, started: Instant, number: u32) -> Seen {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: {}\r\nUser-Agent: scrapers/{number}\r\nAccept: text/plain\r\nAccept-Encoding: {}\r\n\r\n",
        load.address, load.encoding
    );
    let mut seen = Seen::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut connection = None;
    let mut due = started + load.period * number / load.clients;
    while due < started + load.run_for {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        match scrape(load.address, &mut connection, &request, &mut buffer, &mut seen.encoding) {
            Ok(bytes) => {
                seen.took_ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
                seen.bytes += bytes;
            }
            Err(error) => {
                connection = None;
                seen.failures.push(error.to_string());
                thread::sleep(PAUSE);
            }
        }
        // Who is late does not catch up by asking twice.
        due = Instant::now().max(due + load.period);
    }
    seen
}

/// One scrape on a kept connection; the length of the body.
fn scrape(
    address: SocketAddr,
    kept: &mut Option<TcpStream>,
    request: &str,
    buffer: &mut [u8],
    encoding: &mut String,
) -> io::Result<u64> {
    let stream = match kept {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            kept.insert(stream)
        }
    };
    stream.write_all(request.as_bytes())?;
    let mut filled = 0;
    let head_end = loop {
        let read = stream.read(buffer.get_mut(filled..MAX_HEAD_BYTES).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let so_far = buffer.get(..filled).unwrap_or_default();
        if let Some(at) = so_far.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(buffer.get(..head_end).unwrap_or_default()).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(odd(head.lines().next().unwrap_or_default()));
    }
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    value("content-encoding").unwrap_or("identity").clone_into(encoding);
    if let Some(length) = value("content-length") {
        let length: u64 = length.parse().map_err(odd)?;
        let here = u64::try_from(filled - head_end).map_err(odd)?;
        skip(stream, buffer, length.checked_sub(here).ok_or_else(|| odd("more than content-length"))?)?;
        return Ok(length);
    }
    if value("transfer-encoding") != Some("chunked") {
        return Err(odd("neither content-length nor chunked"));
    }
    let mut chunks = Chunks::default();
    chunks.feed(buffer.get(head_end..filled).unwrap_or_default())?;
    while !chunks.is_done {
        let read = stream.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunks.feed(buffer.get(..read).unwrap_or_default())?;
    }
    Ok(chunks.bytes)
}

fn odd(what: impl Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("odd answer: {what}"))
}

fn skip(stream: &mut TcpStream, buffer: &mut [u8], mut left: u64) -> io::Result<()> {
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = stream.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= u64::try_from(read).map_err(odd)?;
    }
    Ok(())
}

/// A chunked body, in whatever parts it comes. Trailers are not expected.
#[derive(Default)]
struct Chunks {
    /// Bytes of chunks so far.
    bytes: u64,
    is_done: bool,
    /// What is left of the chunk, and of the line end after it.
    left: u64,
    is_last: bool,
    line: Vec<u8>,
}

impl Chunks {
    fn feed(&mut self, mut part: &[u8]) -> io::Result<()> {
        while !part.is_empty() && !self.is_done {
            if self.left > 0 {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(part.len());
                part = part.get(here..).unwrap_or_default();
                self.left -= u64::try_from(here).map_err(odd)?;
                self.is_done = self.is_last && self.left == 0;
                continue;
            }
            let (first, rest) = part.split_first().ok_or(io::ErrorKind::UnexpectedEof)?;
            part = rest;
            self.line.push(*first);
            if self.line.ends_with(b"\r\n") {
                self.begin()?;
            } else if self.line.len() > 32 {
                return Err(odd("no chunk"));
            }
        }
        Ok(())
    }

    /// A line is whole: the chunk that it announces, and the line end after that, are left.
    fn begin(&mut self) -> io::Result<()> {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(|_| odd(format!("chunk of '{line}'")))?;
        self.bytes += size;
        self.left = size + 2;
        self.is_last = size == 0;
        Ok(())
    }
}

/// The smallest value that at least this share of all are not above.
fn percentile(ranked: &[f64], per_cent: usize) -> f64 {
    let at = (ranked.len() * per_cent).div_ceil(100).saturating_sub(1);
    ranked.get(at).copied().unwrap_or(f64::NAN)
}

fn summary(seen: Seen, elapsed: Duration) -> String {
    let mut ranked = seen.took_ms;
    ranked.sort_by(f64::total_cmp);
    let first = seen.failures.first().map_or_else(String::new, |text| text.replace(['"', '\\'], "'"));
    if ranked.is_empty() {
        return format!("{{\"scrapes\": 0, \"failures\": {}, \"first_failure\": \"{first}\"}}", seen.failures.len());
    }
    let count = ranked.len() as u64;
    format!(
        "{{\"scrapes\": {count}, \"failures\": {}, \"first_failure\": \"{first}\", \"encoding\": \"{}\", \"seconds\": {:.3}, \"bytes\": {}, \
         \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"max_ms\": {:.3}}}",
        seen.failures.len(),
        seen.encoding,
        elapsed.as_secs_f64(),
        seen.bytes / count,
        percentile(&ranked, 50),
        percentile(&ranked, 99),
        percentile(&ranked, 100),
    )
}
