//! What compressed pieces cost and how large they are, beside flate2 and zstd at several levels, on text as `/metrics` has.
//!
//! `cargo bench --bench pieces`. Two bodies: "numbered" is the Large cluster of the peers' figures (200 groups with 1000
//! committed partitions each, names with numbers), "named" has topics and groups that are named in words. Only ratios
//! within one run mean something.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench tells its figures")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use flate2::{Compress, Compression, FlushCompress};
use kafkascope::metrics::pieces::{Compressor, Encoding};

/// Bytes of text in a piece.
const PIECE_BYTES: [usize; 2] = [64 * 1024, 256 * 1024];
/// The quickest of so many runs counts.
const RUNS: usize = 7;
const GROUPS: usize = 200;
const TOPICS: usize = 1000;
const TOPICS_OF_A_GROUP: usize = 100;
const PARTITIONS: usize = 10;
const WORDS: [&str; 24] = [
    "orders",
    "payments",
    "customer",
    "inventory",
    "shipping",
    "events",
    "audit",
    "session",
    "click",
    "search",
    "cart",
    "fraud",
    "email",
    "price",
    "stock",
    "invoice",
    "metrics",
    "dlq",
    "retry",
    "v1",
    "v2",
    "eu",
    "raw",
    "changelog",
];

/// xorshift64: equal on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn name(&mut self) -> String {
        let words: Vec<&str> = (0..2 + self.below(4)).map(|_| WORDS[self.below(WORDS.len())]).collect();
        words.join(["-", ".", "_"][self.below(3)])
    }
}

struct Names {
    topics: Vec<String>,
    groups: Vec<String>,
}

fn numbered() -> Names {
    Names {
        topics: (0..TOPICS).map(|topic| format!("topic-{topic:05}")).collect(),
        groups: (0..GROUPS).map(|group| format!("group-{group:04}")).collect(),
    }
}

fn named() -> Names {
    let mut dice = Dice(7);
    let mut sorted = |count| {
        let mut names: Vec<String> = (0..count).map(|_| dice.name()).collect();
        names.sort();
        names
    };
    Names { topics: sorted(TOPICS), groups: sorted(GROUPS) }
}

/// Families by partition, and sums by topic, of all groups; a fifth of the partitions is behind.
fn body(names: &Names) -> String {
    let mut dice = Dice(42);
    let ends: Vec<usize> = (0..TOPICS * PARTITIONS).map(|_| 1000 + dice.below(10_000_000)).collect();
    let mut text = String::new();
    let of_a_group = |group: usize| (0..TOPICS_OF_A_GROUP).map(move |nth| (group * 5 + nth) % TOPICS);
    for family in ["current_offset", "lag", "lag_seconds", "partition_status"] {
        // Every family tells of the same lags.
        let mut lags = Dice(43);
        for (group, name) in names.groups.iter().enumerate() {
            for (topic, partition) in of_a_group(group).flat_map(|topic| (0..PARTITIONS).map(move |p| (topic, p))) {
                let lag = if lags.below(5) == 0 { 1 + lags.below(1000) } else { 0 };
                let topic_name = &names.topics[topic];
                let labels = format_args!("consumergroup=\"{name}\",topic=\"{topic_name}\",partition=\"{partition}\"");
                write!(text, "kafka_consumergroup_{family}{{{labels}}} ").unwrap();
                match family {
                    "current_offset" => writeln!(text, "{}", ends[topic * PARTITIONS + partition] - lag),
                    "lag_seconds" if lag > 0 => writeln!(text, "{}.{:03}", dice.below(3000), dice.below(1000)),
                    "partition_status" => writeln!(text, "1"),
                    _ => writeln!(text, "{lag}"),
                }
                .unwrap();
            }
        }
    }
    for family in ["lag_sum", "topic_max_lag", "unknown_partitions", "consume_rate"] {
        for (group, name) in names.groups.iter().enumerate() {
            for topic in of_a_group(group).map(|topic| &names.topics[topic]) {
                let value = if family == "unknown_partitions" { 0 } else { dice.below(100_000) };
                writeln!(text, "kafka_consumergroup_{family}{{consumergroup=\"{name}\",topic=\"{topic}\"}} {value}")
                    .unwrap();
            }
        }
    }
    text
}

/// Cut behind lines.
fn blocks(mut text: &str, bytes: usize) -> Vec<&[u8]> {
    let mut blocks = Vec::new();
    while text.len() > bytes {
        let (block, rest) = text.split_at(text[..bytes].rfind('\n').unwrap() + 1);
        blocks.push(block.as_bytes());
        text = rest;
    }
    blocks.push(text.as_bytes());
    blocks
}

/// Runs it over all blocks, several times, and tells what came of it.
fn measure(name: &str, blocks: &[&[u8]], mut compressed: impl FnMut(&[u8]) -> usize) {
    let plain: usize = blocks.iter().map(|block| block.len()).sum();
    let (mut best, mut bytes) = (Duration::MAX, 0);
    for _ in 0..RUNS {
        let start = Instant::now();
        bytes = blocks.iter().map(|block| compressed(black_box(block))).sum();
        best = best.min(start.elapsed());
    }
    let speed = plain as f64 / 1e6 / best.as_secs_f64();
    println!("  {name:<28}{:>8.1} ms {speed:>7.0} MB/s {bytes:>10} bytes", best.as_secs_f64() * 1e3);
}

fn main() {
    for (name, names) in [("numbered", numbered()), ("named", named())] {
        let text = body(&names);
        for piece_bytes in PIECE_BYTES {
            println!("{name}: {} bytes in pieces of {piece_bytes}", text.len());
            let blocks = blocks(&text, piece_bytes);
            for encoding in [Encoding::Gzip, Encoding::Zstd] {
                let mut compressor = Compressor::new(encoding).unwrap();
                measure(&format!("kafkascope {}", encoding.name()), &blocks, |block| {
                    compressor.piece(block).unwrap().bytes().len()
                });
            }
            for level in [1, 2, 3, 6] {
                let mut deflate = Compress::new(Compression::new(level), false);
                let mut out = Vec::with_capacity(2 * piece_bytes);
                measure(&format!("flate2 (zlib-rs) level {level}"), &blocks, |block| {
                    deflate.reset();
                    out.clear();
                    deflate.compress_vec(block, &mut out, FlushCompress::Full).unwrap();
                    out.len()
                });
            }
            measure("checksum alone", &blocks, |block| crc32fast::hash(black_box(block)) as usize & 1);
        }
    }
}
