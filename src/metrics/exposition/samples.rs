//! Writes the samples of one family: names and labels once per run of rows, then a number or two per row.

use super::Format;
use super::escape::write_label_value;
use super::number::{Value, write_bound};
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
    out: &'a mut Vec<u8>,
    /// Where the samples are only counted.
    counted: Option<&'a mut u64>,
}

/// What a writer needs that only counts: it stays empty.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    head_is_due: bool,
    labels: Labels,
    prefix: Vec<u8>,
    out: Vec<u8>,
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
        Self { family, format, head_is_due, common, prefix, out, counted: None }
    }

    /// A writer that adds up how many samples it would write, and writes nothing.
    pub(super) fn counting(family: &'static Family, counted: &'a mut u64, unwritten: &'a mut Unwritten) -> Self {
        let Unwritten { head_is_due, labels, prefix, out } = unwritten;
        Self { family, format: Format::Text, head_is_due, common: labels, prefix, out, counted: Some(counted) }
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
        if self.counted.is_none() {
            self.start_run(labels);
        }
        Run {
            samples: self.out,
            prefix: self.prefix,
            head: self.head_is_due,
            family: self.family,
            format: self.format,
            counted: self.counted.as_deref_mut(),
        }
    }

    fn start_run(&mut self, labels: &[&str]) {
        self.start("", self.family.labels.iter().copied().zip(labels.iter().copied()));
        if let Some(last) = self.family.labels.last() {
            self.separate();
            self.prefix.extend_from_slice(last.as_bytes());
            self.prefix.extend_from_slice(b"=\"");
        }
    }

    /// Writes one sample of a family whose labels come by name: `suffix` is appended to the name, `bound` is `le`.
    pub(super) fn write<'l>(
        &mut self,
        suffix: &str,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        bound: Option<f64>,
        value: impl Value,
    ) {
        if let Some(counted) = &mut self.counted {
            **counted += 1;
            return;
        }
        self.start(suffix, labels);
        if let Some(bound) = bound {
            self.separate();
            self.prefix.extend_from_slice(b"le=\"");
            write_bound(bound, self.format == Format::OpenMetrics, self.prefix);
            self.prefix.push(b'"');
        }
        write_due_head(self.head_is_due, self.family, self.format, self.out);
        self.out.extend_from_slice(self.prefix);
        // Without a label there are no braces, so the prefix ends with the one that opened them only if one is due.
        if self.prefix.last() == Some(&b'{') {
            self.out.pop();
        } else {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        value.write(self.out);
        self.out.push(b'\n');
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
    samples: &'a mut Vec<u8>,
    prefix: &'a [u8],
    head: &'a mut bool,
    family: &'static Family,
    format: Format,
    counted: Option<&'a mut u64>,
}

impl Run<'_> {
    /// Writes one sample: the last label's value, and the sample's.
    pub fn row(&mut self, last_label: impl Value, value: impl Value) {
        if let Some(counted) = &mut self.counted {
            **counted += 1;
            return;
        }
        write_due_head(self.head, self.family, self.format, self.samples);
        self.samples.extend_from_slice(self.prefix);
        last_label.write(self.samples);
        self.samples.extend_from_slice(b"\"} ");
        value.write(self.samples);
        self.samples.push(b'\n');
    }
}
