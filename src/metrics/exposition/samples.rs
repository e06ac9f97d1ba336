//! Writes the samples of one family: names and labels once per run of rows, then a number or two per row.

use super::escape::write_label_value;
use super::number::{Value, write_bound};
use super::{Digest, Format};
use crate::metrics::catalogue::{CLUSTER_LABEL, Family};

/// Labels that stand first on every series of a cluster, escaped once: `cluster_name="prod",env="live"`, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Labels(Vec<u8>);

impl Labels {
    /// The cluster's name, if it has one, and constant labels.
    #[must_use]
    pub fn new(cluster: Option<&str>, constant: &[(String, String)]) -> Self {
        let mut labels = Self::default();
        if let Some(cluster) = cluster {
            labels.push(CLUSTER_LABEL, cluster);
        }
        for (name, value) in constant {
            labels.push(name, value);
        }
        labels
    }

    fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        write_label(name, value, &mut self.0);
    }
}

fn write_label(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    write_label_value(value, out);
    out.push(b'"');
}

/// Where samples go.
#[derive(Debug)]
enum Sink<'a> {
    /// They are written.
    Text(&'a mut Vec<u8>),
    /// They are only told apart from others.
    Digest(&'a mut Digest),
    /// They are only counted.
    Count(&'a mut u64),
}

/// A writer for one family.
#[derive(Debug)]
pub struct Samples<'a> {
    family: &'static Family,
    format: Format,
    /// Whether the family's head is still to be written: a family without samples has none.
    head_is_due: &'a mut bool,
    common: &'a Labels,
    /// Name and labels of the run that is being written; kept to be used again.
    prefix: &'a mut Vec<u8>,
    sink: Sink<'a>,
}

/// What a writer needs that only counts: it stays empty.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    head_is_due: bool,
    labels: Labels,
    prefix: Vec<u8>,
}

impl<'a> Samples<'a> {
    /// A writer that appends to `out`. `prefix` is scratch space.
    pub(super) fn new(
        family: &'static Family,
        format: Format,
        head_is_due: &'a mut bool,
        common: &'a Labels,
        prefix: &'a mut Vec<u8>,
        out: &'a mut Vec<u8>,
    ) -> Self {
        Self { family, format, head_is_due, common, prefix, sink: Sink::Text(out) }
    }

    /// The same samples, not written but taken into a digest.
    pub(super) fn digesting(self, digest: &'a mut Digest) -> Self {
        Self { sink: Sink::Digest(digest), ..self }
    }

    /// A writer that adds up how many samples it would write, and writes nothing.
    pub(super) fn counting(family: &'static Family, counted: &'a mut u64, unwritten: &'a mut Unwritten) -> Self {
        let Unwritten { head_is_due, labels, prefix } = unwritten;
        let sink = Sink::Count(counted);
        Self { family, format: Format::Text, head_is_due, common: labels, prefix, sink }
    }

    /// The family that is written.
    #[must_use]
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// Writes one sample with the family's labels in their order. A label without a value is left out: to Prometheus
    /// that is the same.
    pub fn sample(&mut self, labels: &[&str], value: impl Value) {
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{}", self.family.name);
        let labels = self.family.labels.iter().copied().zip(labels.iter().copied());
        self.write("", labels, None, value);
    }

    /// Starts a run of samples that differ in the family's last label only, which is a number.
    pub fn run(&mut self, labels: &[&str]) -> Run<'_> {
        debug_assert_eq!(labels.len() + 1, self.family.labels.len(), "{}", self.family.name);
        let (family, mut digested) = (self.family, None);
        match &mut self.sink {
            Sink::Digest(_) => digested = Some(Digest::of_texts(labels)),
            Sink::Count(_) => {}
            Sink::Text(_) => {
                self.start("", family.labels.iter().copied().zip(labels.iter().copied()));
                if let Some(last) = family.labels.last() {
                    self.separate();
                    self.prefix.extend_from_slice(last.as_bytes());
                    self.prefix.extend_from_slice(b"=\"");
                }
            }
        }
        let sink = match &mut self.sink {
            Sink::Text(out) => Sink::Text(out),
            Sink::Digest(digest) => Sink::Digest(digest),
            Sink::Count(counted) => Sink::Count(counted),
        };
        Run { sink, prefix: self.prefix, digested, head: self.head_is_due, family, format: self.format }
    }

    /// Writes one sample of a family whose labels come by name: `suffix` is appended to the name, `bound` is `le`.
    pub(super) fn write<'l>(
        &mut self,
        suffix: &str,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        bound: Option<f64>,
        value: impl Value,
    ) {
        match &mut self.sink {
            Sink::Text(_) => self.write_text(suffix, labels, bound, value),
            Sink::Digest(digest) => {
                digest.text(suffix);
                labels.for_each(|(_, label)| digest.text(label));
                digest.sample(bound.map_or(0, f64::to_bits), value.bits());
            }
            Sink::Count(counted) => **counted += 1,
        }
    }

    fn write_text<'l>(
        &mut self,
        suffix: &str,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        bound: Option<f64>,
        value: impl Value,
    ) {
        self.start(suffix, labels);
        if let Some(bound) = bound {
            self.separate();
            self.prefix.extend_from_slice(b"le=\"");
            write_bound(bound, self.format == Format::OpenMetrics, self.prefix);
            self.prefix.push(b'"');
        }
        let Sink::Text(out) = &mut self.sink else { return };
        write_due_head(self.head_is_due, self.family, self.format, out);
        out.extend_from_slice(self.prefix);
        // Without a label there are no braces, so the prefix ends with the one that opened them only if one is due.
        if self.prefix.last() == Some(&b'{') {
            out.pop();
        } else {
            out.push(b'}');
        }
        out.push(b' ');
        value.write(out);
        out.push(b'\n');
    }

    /// Puts name, opening brace, common labels and the given ones into the prefix.
    fn start<'l>(&mut self, suffix: &str, labels: impl Iterator<Item = (&'l str, &'l str)>) {
        self.prefix.clear();
        self.prefix.extend_from_slice(self.family.name.as_bytes());
        self.prefix.extend_from_slice(suffix.as_bytes());
        self.prefix.push(b'{');
        self.prefix.extend_from_slice(&self.common.0);
        for (name, value) in labels.filter(|(_, value)| !value.is_empty()) {
            self.separate();
            write_label(name, value, self.prefix);
        }
    }

    fn separate(&mut self) {
        if self.prefix.last() != Some(&b'{') {
            self.prefix.push(b',');
        }
    }
}

fn write_due_head(due: &mut bool, family: &Family, format: Format, out: &mut Vec<u8>) {
    if std::mem::take(due) {
        format.write_head(family, out);
    }
}

/// A run of samples with the same name and labels up to the last one.
#[derive(Debug)]
pub struct Run<'a> {
    sink: Sink<'a>,
    prefix: &'a [u8],
    /// The digest of the labels, before the first sample: a run without one shows nothing.
    digested: Option<Digest>,
    head: &'a mut bool,
    family: &'static Family,
    format: Format,
}

impl Run<'_> {
    /// Writes one sample: the last label's value, and the sample's.
    pub fn row(&mut self, last_label: impl Value, value: impl Value) {
        match &mut self.sink {
            Sink::Digest(digest) => {
                if let Some(labels) = self.digested.take() {
                    digest.append(labels);
                }
                digest.sample(last_label.bits(), value.bits());
            }
            Sink::Count(counted) => **counted += 1,
            Sink::Text(out) => {
                write_due_head(self.head, self.family, self.format, out);
                out.extend_from_slice(self.prefix);
                last_label.write(out);
                out.extend_from_slice(b"\"} ");
                value.write(out);
                out.push(b'\n');
            }
        }
    }
}
