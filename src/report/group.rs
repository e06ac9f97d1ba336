//! A group as JSON: its lags, verdicts and forecasts at a time. What is unknown is left out, as in the metrics.

use serde::Serialize;

use super::sentence;
use crate::derive::{Diagnosis, Snapshot, Standing, TopicStanding};
use crate::model::WallTime;
use crate::state::Sample;

/// One group at a time. Times and rates are in seconds and messages a second.
#[derive(Debug, Serialize)]
pub struct GroupReport {
    group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    coordinator: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// What is wrong with it, in a sentence; left out when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_sum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_lag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_lag_seconds: Option<f64>,
    #[serde(flatten)]
    forecast: Forecast,
    topics: Vec<GroupTopicReport>,
}

/// What is foretold of a group, or of it on one topic.
#[derive(Debug, Serialize)]
struct Forecast {
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_messages: Option<u64>,
    /// How fast the lag grows; negative while the group catches up.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_velocity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consume_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_seconds: Option<f64>,
    /// Until the first unread record may be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_headroom_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct GroupTopicReport {
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_sum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_sum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_lag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_lag_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_unread_timestamp_seconds: Option<f64>,
    #[serde(flatten)]
    forecast: Forecast,
    /// Of a sampled topic: how many partitions are asked for, and what those add up to.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled_partitions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_sampled_sum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_sampled_sum: Option<u64>,
    unknown_partitions: u32,
    partitions: Vec<GroupPartitionReport>,
}

#[derive(Debug, Serialize)]
struct GroupPartitionReport {
    partition: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
    /// How the time lag is known: `history` or `broker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// The commits that the status is made of ÷ those that a whole one is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<f64>,
}

impl GroupReport {
    /// The report of one group at a time.
    #[must_use]
    pub fn new(snapshot: &Snapshot, standing: Standing<'_>, now: WallTime) -> Self {
        let meaning = standing.group;
        let membership = snapshot.freshness.membership(&meaning.table);
        Self {
            group: meaning.table.name.to_string(),
            state: membership.map(|membership| membership.state.as_str()),
            kind: membership.map(|membership| membership.kind.as_str()),
            protocol: membership.map(|membership| membership.protocol.to_string()),
            coordinator: meaning.table.coordinator.0,
            members: membership.map(|membership| membership.members),
            status: standing.status().map(|status| status.as_str()),
            diagnosis: Diagnosis::of(snapshot, standing, now).map(|diagnosis| sentence(&diagnosis, now)),
            lag_sum: standing.lag_sum().map(|lag| lag.0),
            max_lag: meaning.max_lag.map(|lag| lag.0),
            max_lag_seconds: standing.max_time_lag().map(|lag| lag.as_secs_f64()),
            forecast: Forecast {
                lost_messages: standing.lost_sum().map(|lost| lost.0),
                lag_velocity: standing.velocity(),
                consume_rate: standing.consume_rate(),
                catch_up_seconds: standing.catch_up().map(|needed| needed.as_secs_f64()),
                retention_headroom_seconds: standing.retention_headroom().map(|left| left.as_secs_f64()),
            },
            topics: standing.topics().filter_map(|on| topic(snapshot, standing, &on)).collect(),
        }
    }
}

fn topic(snapshot: &Snapshot, standing: Standing<'_>, on: &TopicStanding<'_>) -> Option<GroupTopicReport> {
    let partitions = on.segment.rows.clone().map(|row| GroupPartitionReport {
        partition: on.commits.partitions[row].0,
        committed: snapshot.freshness.commit(on.commits, on.segment, row).map(|offset| offset.get()),
        lag: standing.group.lag(row).map(|lag| lag.0),
        lag_seconds: standing.time_lag(row).map(|lag| lag.as_secs_f64()),
        method: standing.method(row).map(|method| method.as_str()),
        status: standing.partition_status(row).map(|status| status.as_str()),
        complete: standing.partition_status(row).and(standing.complete(row)),
    });
    Some(GroupTopicReport {
        topic: snapshot.world.names.name(on.segment.topic)?.to_string(),
        committed_sum: on.lag.committed_sum,
        lag_sum: on.lag.lag_sum.map(|lag| lag.0),
        max_lag: on.lag.max_lag.map(|lag| lag.0),
        max_lag_seconds: on.max_time_lag().map(|lag| lag.as_secs_f64()),
        oldest_unread_timestamp_seconds: on.oldest_unread().map(WallTime::as_seconds),
        forecast: Forecast {
            lost_messages: on.lag.lost_sum.map(|lost| lost.0),
            lag_velocity: on.velocity(),
            consume_rate: on.consume_rate(),
            catch_up_seconds: on.catch_up().map(|needed| needed.as_secs_f64()),
            retention_headroom_seconds: on.retention_headroom().map(|left| left.as_secs_f64()),
        },
        sampled_partitions: on.segment.sample.map(Sample::partitions),
        committed_sampled_sum: on.lag.committed_sampled_sum,
        lag_sampled_sum: on.lag.lag_sampled_sum.map(|lag| lag.0),
        unknown_partitions: on.lag.unknown,
        partitions: partitions.collect(),
    })
}
