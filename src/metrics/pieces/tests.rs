//! Whatever is compressed in whatever pieces comes back through decoders that are not ours.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder};
use proptest::prelude::*;

use super::{Assembly, Compressor, Encoding, Piece, WrongEncoding};

/// What an incompressible piece may grow by: the heads of stored blocks of at most 65,535 bytes, and the flush.
fn bound(plain: usize) -> usize {
    plain + plain / 1000 + 64
}

fn body(encoding: Encoding, pieces: &[Piece]) -> Vec<u8> {
    let mut assembly = Assembly::new(encoding);
    let mut body = assembly.head().to_vec();
    for piece in pieces {
        assembly.push(piece).unwrap();
        body.extend_from_slice(piece.bytes());
    }
    let (length, plain) = (assembly.body_len(), assembly.plain_len());
    body.extend_from_slice(&assembly.finish());
    assert_eq!(body.len() as u64, length);
    assert_eq!(pieces.iter().map(Piece::plain_len).sum::<u64>(), plain);
    body
}

fn decoded(encoding: Encoding, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        // Of one member only, and nothing may be left behind it.
        Encoding::Gzip => {
            let mut rest = body;
            GzDecoder::new(&mut rest).read_to_end(&mut plain).expect("a gzip member");
            assert!(rest.is_empty(), "{} bytes after the member", rest.len());
        }
        Encoding::Zstd => plain = zstd::stream::decode_all(body).expect("zstd frames"),
    }
    plain
}

/// Each text comes back alone, and all of them as one body.
#[track_caller]
fn check(texts: &[&[u8]]) {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let mut compressor = Compressor::new(encoding).unwrap();
        let pieces: Vec<Piece> = texts.iter().map(|text| compressor.piece(text).unwrap()).collect();
        for (piece, text) in pieces.iter().zip(texts) {
            assert_eq!(piece.plain_len(), text.len() as u64);
            assert!(piece.bytes().len() <= bound(text.len()), "{} of {}", piece.bytes().len(), text.len());
            let alone = body(encoding, std::slice::from_ref(piece));
            assert!(decoded(encoding, &alone) == *text, "a piece of {} bytes came back otherwise", text.len());
            if encoding == Encoding::Gzip {
                check_deflate(piece, text);
            }
        }
        assert!(decoded(encoding, &body(encoding, &pieces)) == texts.concat());
    }
}

/// A deflate stream of its own that goes on after the piece.
fn check_deflate(piece: &Piece, text: &[u8]) {
    if !text.is_empty() {
        assert!(piece.bytes().ends_with(&[0, 0, 0xFF, 0xFF]), "no empty stored block at the end");
    }
    let closed = [&piece.bytes()[..], &[3, 0]].concat();
    let mut plain = Vec::new();
    DeflateDecoder::new(&closed[..]).read_to_end(&mut plain).expect("deflate");
    assert!(plain == text);
}

#[test]
fn what_is_odd_comes_back() {
    let every: Vec<u8> = (0..=255).collect();
    let zeros = vec![0; 1 << 20];
    let lines = b"kafka_consumergroup_lag{topic=\"a\",partition=\"0\"} 12\n".repeat(30_000);
    check(&[b"", b"x", b"", &every, &every.repeat(300), &zeros, &zeros[..257], &zeros[..258], &zeros[..259], &lines]);
}

#[test]
fn codes_that_would_be_too_long_come_back() {
    // Without quotes, line ends and names, so all of it is literals; each byte as often as the two before it together.
    let (mut text, mut counts) = (b"0".to_vec(), (1, 1));
    for byte in b'A'..b'A' + 26 {
        text.extend(std::iter::repeat_n(byte, counts.0));
        counts = (counts.1, counts.0 + counts.1);
    }
    check(&[&text]);
}

#[test]
fn no_pieces_are_an_empty_body() {
    check(&[]);
    check(&[b""]);
}

#[test]
fn a_piece_of_another_encoding_is_refused() {
    let piece = Compressor::new(Encoding::Zstd).unwrap().piece(b"x").unwrap();
    let refused = Assembly::new(Encoding::Gzip).push(&piece);
    assert_eq!(refused, Err(WrongEncoding { piece: Encoding::Zstd, body: Encoding::Gzip }));
}

#[test]
fn a_piece_does_not_depend_on_what_came_before() {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let mut compressor = Compressor::new(encoding).unwrap();
        let text = b"a line {x=\"1\"} 1\na line {x=\"2\"} 1\n".repeat(50);
        let first = compressor.piece(&text).unwrap();
        compressor.piece(&vec![7; 200_000]).unwrap();
        assert_eq!(compressor.piece(&text).unwrap().bytes(), first.bytes());
    }
}

/// As a body of ours looks: a few families, groups, topics with names of many kinds, partitions, values.
fn exposition() -> impl Strategy<Value = Vec<u8>> {
    let name = "[a-z]{1,9}([._-][a-z0-9]{1,12}){0,4}";
    let names = proptest::collection::vec(name, 1..20);
    (names, 1..60usize, proptest::collection::vec(any::<(u32, u8)>(), 1..50)).prop_map(|(names, partitions, values)| {
        use std::fmt::Write;
        let (mut text, mut values) = (String::from("# TYPE kafka_lag gauge\n"), values.iter().cycle());
        for name in &names {
            for partition in 0..partitions {
                let (value, digits) = values.next().unwrap();
                let value = value >> (digits % 32);
                writeln!(text, "kafka_lag{{group=\"group-é\",topic=\"{name}\",partition=\"{partition}\"}} {value}")
                    .unwrap();
            }
        }
        text.into_bytes()
    })
}

/// Bytes of a small alphabet with repetitions at all distances.
fn repetitive() -> impl Strategy<Value = Vec<u8>> {
    let parts = proptest::collection::vec(("[ab01\n\"]{1,6}", 1..400usize, 0..200_000usize), 1..40);
    parts.prop_map(|parts| {
        let mut text = Vec::new();
        for (part, times, back) in parts {
            text.extend(part.as_bytes().repeat(times));
            let from = text.len().saturating_sub(back);
            text.extend_from_within(from..text.len().min(from + 3000));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_come_back(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5000), 0..6)) {
        check(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn expositions_come_back(texts in proptest::collection::vec(exposition(), 1..4)) {
        check(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn repetitions_come_back(text in repetitive()) {
        check(&[&text]);
    }

    #[test]
    fn much_noise_comes_back(seed in any::<u64>(), len in 60_000..1_200_000usize) {
        let mut state = seed | 1;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        }).take(len).collect();
        check(&[&noise, &noise[..len / 2]]);
    }
}
