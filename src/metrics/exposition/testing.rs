//! A strict reader of both formats, for tests: it refuses what a scraper would, and what a careful one would dislike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be read ends the test, as it should")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{ClusterView, Exposition, Format, View};
use crate::metrics::ClusterSource;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Its name, suffix included.
    pub(crate) name: String,
    /// Its labels in their order.
    pub(crate) labels: Vec<(String, String)>,
    /// Its value.
    pub(crate) value: f64,
}

impl Sample {
    /// A label's value.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}

/// The exposition of some clusters, without what differs from process to process.
pub(crate) fn render(clusters: &[Arc<ClusterSource>], format: Format) -> String {
    let view = View { clusters: clusters.iter().map(ClusterView::of).collect(), ..View::default() };
    String::from_utf8(Exposition::new(view, format).into_bytes()).unwrap()
}

/// Reads a body. Ends the test on a sample outside of its family, a family that comes twice, a series that comes twice,
/// a wrong head or trailer, or anything that is no line of the format.
pub(crate) fn parse(body: &str, format: Format) -> Vec<Sample> {
    let body = match format {
        Format::Text => body,
        Format::OpenMetrics => body.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no # EOF at the end")),
    };
    let mut samples = Vec::new();
    let mut types: HashMap<&str, &str> = HashMap::new();
    let mut helped = "";
    let mut family = "";
    let mut seen = HashSet::new();
    for line in body.strip_suffix('\n').unwrap_or(body).split('\n').filter(|_| !body.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split_once(' ').unwrap().0;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP and TYPE belong together");
            assert!(types.insert(name, kind).is_none(), "{name} is there twice");
            family = name;
        } else {
            let sample = sample(line);
            check_name(&sample.name, family, types[family], format);
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "there twice: {line}");
            samples.push(sample);
        }
    }
    samples
}

fn check_name(name: &str, family: &str, kind: &str, format: Format) {
    let suffixes: &[&str] = match (kind, format) {
        ("counter", Format::OpenMetrics) => &["_total"],
        ("histogram", _) => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    let fits = suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(family));
    assert!(fits, "{name} is no sample of the {kind} {family}");
}

/// Reads one line. Label values are taken back to what they were before they were escaped.
fn sample(line: &str) -> Sample {
    let name_end = line.find(['{', ' ']).unwrap();
    let name = line[..name_end].to_owned();
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line:?}");
    let mut rest = &line[name_end..];
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap();
            let (value, after) = label_value(after);
            labels.push((label.to_owned(), value));
            rest = after.strip_prefix(',').filter(|after| !after.starts_with('}')).unwrap_or(after);
        }
        rest = &rest[1..];
        assert!(!labels.is_empty(), "empty braces: {line:?}");
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(!value.contains(' '), "a timestamp: {line:?}");
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
    Sample { name, labels, value }
}

/// Reads up to the closing quote.
fn label_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, character)) = chars.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                other => panic!("no such escape: \\{other}"),
            }),
            plain => value.push(plain),
        }
    }
    panic!("no closing quote: {text:?}")
}
