//! The exporter's own families, as the `prometheus` crate holds them, through the same encoder.

use std::collections::HashMap;

use prometheus::proto::{LabelPair, Metric, MetricFamily};

use super::Samples;
use crate::metrics::catalogue::{CLUSTER_LABEL, Kind};

/// What a registry gathered, by family name.
#[derive(Debug, Clone, Default)]
pub struct RegistryFamilies(HashMap<String, Vec<Metric>>);

impl RegistryFamilies {
    /// Takes what `Registry::gather` returned.
    #[must_use]
    pub fn new(gathered: Vec<MetricFamily>) -> Self {
        Self(gathered.into_iter().map(|mut family| (family.name().to_owned(), family.take_metric())).collect())
    }

    /// Writes the samples of one family, of those clusters for which `shown` holds, and what is of no certain one: either
    /// the only cluster has no name, or it is of the exporter as a whole.
    pub(super) fn write(&self, samples: &mut Samples<'_>, shown: impl Fn(&str) -> bool) {
        for metric in self.0.get(samples.family().name).into_iter().flatten() {
            let cluster = label(metric.get_label(), CLUSTER_LABEL);
            if !samples.family().origin.per_cluster || cluster.is_empty() || shown(cluster) {
                write_metric(metric, samples);
            }
        }
    }
}

/// A label's value; empty when it is not there, which is the same to Prometheus.
fn label<'a>(labels: &'a [LabelPair], name: &str) -> &'a str {
    labels.iter().find(|label| label.name() == name).map_or("", LabelPair::value)
}

fn write_metric(metric: &Metric, samples: &mut Samples<'_>) {
    let family = samples.family();
    // The registry orders labels by name; the catalogue's order is the one that is shown.
    let labels = || {
        let names = std::iter::once(CLUSTER_LABEL).chain(family.labels.iter().copied());
        names.map(|name| (name, label(metric.get_label(), name)))
    };
    match family.kind {
        Kind::Gauge => samples.write("", labels(), None, metric.get_gauge().get_value()),
        Kind::Counter => samples.write("", labels(), None, metric.get_counter().get_value()),
        Kind::Histogram => {
            let histogram = metric.get_histogram();
            for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
                samples.write("_bucket", labels(), Some(bucket.upper_bound()), bucket.cumulative_count());
            }
            let count = histogram.get_sample_count();
            samples.write("_bucket", labels(), Some(f64::INFINITY), count);
            samples.write("_sum", labels(), None, histogram.get_sample_sum());
            samples.write("_count", labels(), None, count);
        }
    }
}
