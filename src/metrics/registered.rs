//! The registry that holds the exporter's own families, and lets a cluster's series go.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::catalogue::{CLUSTER_LABEL, Family};

/// A family whose series can be let go cluster by cluster.
trait ByCluster: Send + Sync + fmt::Debug {
    fn remove(&self, cluster: &str);
}

impl<T: MetricVecBuilder + fmt::Debug> ByCluster for MetricVec<T>
where
    MetricVec<T>: Collector + fmt::Debug,
{
    fn remove(&self, cluster: &str) {
        for metric in self.collect().iter().flat_map(MetricFamily::get_metric) {
            let labels: HashMap<&str, &str> =
                metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if labels.get(CLUSTER_LABEL) == Some(&cluster) {
                // It is gone already when somebody else was faster.
                let _ = Self::remove(self, &labels);
            }
        }
    }
}

/// The registry, and those of its families that have series by cluster.
#[derive(Debug, Default)]
pub(super) struct Registered {
    registry: Registry,
    by_cluster: Mutex<Vec<Box<dyn ByCluster>>>,
}

impl Registered {
    /// Everything, as it stands now.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Lets every series of a cluster go.
    pub(super) fn remove_cluster(&self, cluster: &str) {
        let families = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        families.iter().for_each(|family| family.remove(cluster));
    }

    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn add_vec<T>(&self, family: &Family, vec: MetricVec<T>) -> Result<MetricVec<T>, prometheus::Error>
    where
        T: MetricVecBuilder + fmt::Debug + 'static,
        MetricVec<T>: Collector + Clone + fmt::Debug,
    {
        // Tasks of the exporter as a whole have no cluster_name, as those of the nameless cluster: their series go one by one.
        if family.origin.per_cluster && !family.labels.contains(&"task") {
            self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(vec.clone()));
        }
        self.add(vec)
    }
}

/// The label names as the registry knows them: every series of a family by cluster has `cluster_name`, empty for the
/// nameless one.
fn labels(family: &Family) -> Vec<&'static str> {
    let cluster = family.origin.per_cluster.then_some(CLUSTER_LABEL);
    cluster.into_iter().chain(family.labels.iter().copied()).collect()
}

pub(super) fn counter_vec(registry: &Registered, family: &Family) -> Result<IntCounterVec, prometheus::Error> {
    registry.add_vec(family, IntCounterVec::new(Opts::new(family.name, family.help), &labels(family))?)
}

pub(super) fn int_gauge_vec(registry: &Registered, family: &Family) -> Result<IntGaugeVec, prometheus::Error> {
    registry.add_vec(family, IntGaugeVec::new(Opts::new(family.name, family.help), &labels(family))?)
}

pub(super) fn int_gauge(registry: &Registered, family: &Family) -> Result<IntGauge, prometheus::Error> {
    registry.add(IntGauge::new(family.name, family.help)?)
}

pub(super) fn gauge(registry: &Registered, family: &Family) -> Result<Gauge, prometheus::Error> {
    registry.add(Gauge::new(family.name, family.help)?)
}

pub(super) fn gauge_vec(registry: &Registered, family: &Family) -> Result<GaugeVec, prometheus::Error> {
    registry.add_vec(family, GaugeVec::new(Opts::new(family.name, family.help), &labels(family))?)
}

pub(super) fn histogram_vec(
    registry: &Registered,
    family: &Family,
    buckets: &[f64],
) -> Result<HistogramVec, prometheus::Error> {
    let opts = HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec());
    registry.add_vec(family, HistogramVec::new(opts, &labels(family))?)
}

pub(super) fn histogram(
    registry: &Registered,
    family: &Family,
    buckets: &[f64],
) -> Result<Histogram, prometheus::Error> {
    let opts = HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec());
    registry.add(Histogram::with_opts(opts)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::metrics::catalogue as names;

    fn clusters(registered: &Registered) -> Vec<String> {
        let families = registered.gather();
        let metrics = families.iter().flat_map(MetricFamily::get_metric);
        let labels = metrics.flat_map(|metric| metric.get_label().iter().filter(|label| label.name() == CLUSTER_LABEL));
        labels.map(|label| label.value().to_owned()).collect()
    }

    #[test]
    fn a_clusters_series_go_whatever_family_they_are_of() {
        let registered = Registered::default();
        let counters = counter_vec(&registered, &names::KAFKASCOPE_BROKER_ERRORS_TOTAL).unwrap();
        let gauges = gauge_vec(&registered, &names::KAFKASCOPE_INTERVAL_SECONDS).unwrap();
        let histograms = histogram_vec(&registered, &names::KAFKASCOPE_PASS_DURATION_SECONDS, &[1.0]).unwrap();
        let tasks = counter_vec(&registered, &names::KAFKASCOPE_TASKS_STARTED_TOTAL).unwrap();
        let whole = counter_vec(&registered, &names::KAFKASCOPE_SCRAPES_TOTAL).unwrap();
        for cluster in ["a", "b", ""] {
            for broker in ["1", "2"] {
                counters.with_label_values(&[cluster, broker, "Metadata"]).inc();
            }
            gauges.with_label_values(&[cluster]).set(1.0);
            histograms.with_label_values(&[cluster]).observe(1.0);
        }
        tasks.with_label_values(&["", "reload"]).inc();
        whole.with_label_values(&["text"]).inc();
        assert_eq!(clusters(&registered).len(), 3 * 4 + 1);
        registered.remove_cluster("a");
        assert_eq!(clusters(&registered).iter().filter(|cluster| *cluster == "a").count(), 0);
        registered.remove_cluster("");
        assert_eq!(clusters(&registered), ["b", "b", "b", "b", ""], "the exporter's own task stays");
        assert_eq!(whole.with_label_values(&["text"]).get(), 1);
    }
}
