//! Bodies made of compressed pieces, before the programs that read them: Prometheus (a Go program), curl, GNU gzip, Python
//! and zstd.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use kafkascope::metrics::pieces::{Assembly, Compressor, Encoding};

use crate::process::{mortal, spawn};
use crate::prometheus::Prometheus;
use crate::tools::installed;
use crate::wait::eventually;

const GROUPS: usize = 40;
const PARTITIONS: usize = 500;
/// How long Prometheus may take for its first scrapes.
const SCRAPED: Duration = Duration::from_secs(60);

/// Inflates a gzip member with Python's zlib, and complains of what is behind it.
const PYTHON_ZLIB: &str = "
import sys, zlib
member = zlib.decompressobj(31)
text = member.decompress(sys.stdin.buffer.read())
assert member.eof and not member.unused_data, 'not one whole member'
sys.stdout.buffer.write(text)";
const PYTHON_GZIP: &str = "import sys, gzip; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";

/// A family in blocks of a group each.
fn blocks() -> Vec<String> {
    let mut blocks = vec!["# HELP kafka_consumergroup_lag Records.\n# TYPE kafka_consumergroup_lag gauge\n".to_owned()];
    for group in 0..GROUPS {
        let mut block = String::new();
        for partition in 0..PARTITIONS {
            let lag = (group * 7919 + partition * partition) % 10_007;
            writeln!(
                block,
                "kafka_consumergroup_lag{{consumergroup=\"group-{group}\",topic=\"orders\",partition=\"{partition}\"}} {lag}"
            )
            .unwrap();
        }
        blocks.push(block);
    }
    blocks
}

fn body(encoding: Encoding) -> Vec<u8> {
    let mut compressor = Compressor::new(encoding).unwrap();
    let mut assembly = Assembly::new(encoding);
    let mut body = assembly.head().to_vec();
    for block in blocks() {
        let piece = compressor.piece(block.as_bytes()).unwrap();
        assembly.push(&piece).unwrap();
        body.extend_from_slice(piece.bytes());
    }
    body.extend_from_slice(&assembly.finish());
    body
}

/// What a program makes of a body on its stdin.
#[track_caller]
fn read_by(mut program: Command, body: &[u8]) -> Vec<u8> {
    let name = format!("{program:?}");
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(program).expect("a program that can be started");
    let (mut stdin, body) = (child.stdin.take().expect("a pipe"), body.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output().expect("its output");
    let _broken_pipe = writer.join();
    assert!(output.status.success(), "{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn with_args(program: &str, args: &[&str]) -> Command {
    let mut command = mortal(installed(program));
    command.args(args);
    command
}

/// A server that answers `/gzip` and `/metrics` with the one body and everything else with the other, until the test ends.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let (gzip, zstd) = (body(Encoding::Gzip), body(Encoding::Zstd));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away is its own business.
            let _gone = answer(stream, &gzip, &zstd);
        }
    });
    address
}

fn answer(mut stream: TcpStream, gzip: &[u8], zstd: &[u8]) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let is_zstd = head.starts_with(b"GET /zstd");
    let (encoding, body) = if is_zstd { (Encoding::Zstd, zstd) } else { (Encoding::Gzip, gzip) };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Encoding: {}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        encoding.name(),
        body.len()
    )?;
    stream.write_all(body)
}

#[test]
fn command_line_tools_read_a_whole_body() {
    let expected = blocks().concat();
    let gzip = body(Encoding::Gzip);
    for (program, args) in [
        ("KAFKASCOPE_TEST_GZIP", &["-dc"][..]),
        ("KAFKASCOPE_TEST_PYTHON", &["-c", PYTHON_ZLIB]),
        ("KAFKASCOPE_TEST_PYTHON", &["-c", PYTHON_GZIP]),
    ] {
        assert!(
            read_by(with_args(program, args), &gzip) == expected.as_bytes(),
            "{program} {args:?} reads something else"
        );
    }
    let zstd = with_args("KAFKASCOPE_TEST_ZSTD", &["-dc"]);
    assert!(read_by(zstd, &body(Encoding::Zstd)) == expected.as_bytes(), "zstd reads something else");
}

#[test]
fn curl_reads_a_whole_body() {
    let (address, expected) = (serve(), blocks().concat());
    let url = format!("http://{address}/gzip");
    let read = read_by(with_args("KAFKASCOPE_TEST_CURL", &["-sS", "--noproxy", "*", "--compressed", &url]), b"");
    assert!(read == expected.as_bytes(), "curl reads {} bytes of {}", read.len(), expected.len());
}

#[test]
fn prometheus_reads_a_whole_body() {
    let prometheus = Prometheus::start(serve(), "1s");
    eventually("Prometheus has all series", SCRAPED, || {
        let found = prometheus.query("count(kafka_consumergroup_lag)");
        let [(_, count)] = &found[..] else { return Err(format!("{found:?}")) };
        (*count == (GROUPS * PARTITIONS) as f64).then_some(()).ok_or_else(|| format!("{count} series"))
    });
    let sum: f64 = prometheus.query("sum(kafka_consumergroup_lag)")[0].1;
    let lags = blocks().concat();
    let lags = lags.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit(' ').next());
    assert_eq!(sum, lags.map(|lag| lag.parse::<f64>().unwrap()).sum::<f64>());
}
