//! `kafkascope snapshot`: one pass over every cluster, for people and programs.

use std::sync::Arc;

use super::cluster;
use crate::collect::{CallLimits, Clock, PassReport, Poller, ScopeRule, SystemClock};
use crate::config::{Cluster, Config};
use crate::derive::Snapshot;
use crate::kafka::{KafkaApi, KafkaError};
use crate::metrics::ClusterSource;
use crate::track::{Named, Tracker};

/// How often append times are searched for, some rounds each time: a search that is not over then stays open.
const MAX_SEARCHES: usize = 4;

/// What one pass found of one cluster.
#[derive(Debug)]
pub struct Found {
    /// How the cluster is labelled, with the snapshot published in it.
    pub source: Arc<ClusterSource>,
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// What failed, in words.
    pub errors: Vec<String>,
}

/// Makes one pass over every cluster, one after another; `progress` is told what is going on.
///
/// # Errors
/// When a client cannot be set up. That a cluster cannot be reached is not an error here: its snapshot says so.
pub async fn snapshot(config: &Config, progress: impl Fn(&str)) -> Result<Vec<Found>, KafkaError> {
    let mut found = Vec::new();
    for cluster in &config.clusters {
        progress(&format!("asking {}", cluster.display_name()));
        found.push(one(cluster, config).await?);
    }
    Ok(found)
}

async fn one(cluster: &Cluster, config: &Config) -> Result<Found, KafkaError> {
    let client = Arc::new(cluster::connect(cluster, &config.polling)?);
    let clock = SystemClock::start();
    let mut settings =
        cluster::poll_settings(cluster, config, &CallLimits::new(config.polling.max_in_flight), &Arc::default());
    if let Some(locator) = cluster::locator(cluster) {
        // One pass cannot wait for the next to know beside which broker it is.
        if let Ok(metadata) = client.metadata().await {
            locator.search(&metadata.brokers).await;
        }
        settings.scope_rule = ScopeRule::Local(locator);
    }
    let mut poller = Poller::new(client.clone(), clock, settings, None);
    let mut report = poller.tick().await;
    let mut snapshot = Snapshot::derive(poller.world(), None, clock.now());
    // One pass is little to judge by, but who holds what, and where there is something to read, is known.
    let mut tracker = Tracker::new(cluster::track_settings(cluster, config));
    snapshot.set_outlook(tracker.observe(&snapshot, &Named::Fresh));
    for _ in 0..MAX_SEARCHES {
        let questions = tracker.questions();
        if questions.is_empty() {
            break;
        }
        poller.set_time_questions(&questions);
        report.errors.extend(poller.search().await.errors);
        tracker.answer(&poller.take_time_answers());
        snapshot.set_outlook(tracker.observe(&snapshot, &Named::Fresh));
    }
    client.close().await;
    let source = Arc::new(cluster::source(cluster));
    let snapshot = source.publish(snapshot);
    source.connections.store(client.broker_stats());
    Ok(Found { source, snapshot, errors: lines(&report) })
}

fn lines(report: &PassReport) -> Vec<String> {
    let mut lines: Vec<String> = report.errors.iter().map(ToString::to_string).collect();
    lines.dedup();
    if report.more_errors > 0 {
        lines.push(format!("and {} more failures", report.more_errors));
    }
    lines
}
