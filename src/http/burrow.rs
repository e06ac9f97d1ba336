//! Burrow's HTTP API, read-only, for those who come from it: paths, shapes and field names of its version 3.
//!
//! What Burrow tells and is not known here is `null` (times and offsets of former commits) or empty (who holds a
//! partition). Facts from <https://github.com/linkedin/Burrow/wiki/HTTP-Endpoint>.

use std::iter::once;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;
use sysinfo::System;

use super::HttpState;
use super::pieces::{Piece, json_pieces, open, plain, separated};
use super::query::percent_decoded;
use super::response::{json, text};
use super::routes::{Answer, Head};
use crate::derive::{Snapshot, Standing, TopicStanding};
use crate::metrics::ClusterSource;
use crate::model::{GroupStatus, WallTime};

/// Where all of it is, but for the health check.
pub(super) const ROOT: &str = "/v3/kafka";

/// What the cluster is called that has no name in the configuration.
const NAMELESS: &str = "default";

/// The sort of cluster, as Burrow calls its only one.
const CLASS_NAME: &str = "kafka";

/// `/burrow/admin`: that the exporter answers.
pub(super) fn admin(_: &Arc<HttpState>, _: &Head) -> Answer {
    text(StatusCode::OK, "GOOD")
}

/// Which request is answered, by which host.
#[derive(Serialize)]
struct RequestInfo {
    url: String,
    host: String,
}

/// What every answer has, around what it is about.
#[derive(Serialize)]
struct Envelope<'a, T> {
    error: bool,
    message: &'a str,
    #[serde(flatten)]
    content: T,
    request: RequestInfo,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Clusters<'a> {
    clusters: Vec<&'a str>,
}

#[derive(Serialize)]
struct Module<'a> {
    module: ClusterModule<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterModule<'a> {
    class_name: &'a str,
    servers: &'a [String],
}

#[derive(Serialize)]
struct Topics<'a> {
    topics: Vec<&'a str>,
}

#[derive(Serialize)]
struct Offsets {
    /// One for each partition; `null`: not known just now.
    offsets: Vec<Option<i64>>,
}

#[derive(Serialize)]
struct Consumers<'a> {
    consumers: Vec<&'a str>,
}

/// A commit, at the time at which it was read.
#[derive(Clone, Serialize)]
struct Commit {
    offset: i64,
    /// When it was made, in milliseconds since the Unix epoch: not known.
    timestamp: Option<i64>,
    /// When it was read, in the same unit.
    #[serde(rename = "observedAt")]
    observed_at: i64,
    lag: Option<u64>,
}

/// A partition in a group's detail.
#[derive(Serialize)]
struct ConsumerPartition {
    offsets: Vec<Commit>,
    owner: &'static str,
    client_id: &'static str,
    #[serde(rename = "current-lag")]
    current_lag: Option<u64>,
}

/// A partition in a group's status.
#[derive(Serialize)]
struct PartitionStatus {
    topic: String,
    partition: i32,
    owner: &'static str,
    client_id: &'static str,
    status: &'static str,
    start: Option<Commit>,
    end: Option<Commit>,
    current_lag: u64,
    complete: f64,
}

/// A group's status, but for its partitions.
#[derive(Serialize)]
struct Status<'a> {
    cluster: &'a str,
    group: &'a str,
    status: &'a str,
    complete: f64,
    partition_count: usize,
    maxlag: Option<PartitionStatus>,
    /// `null` while the lag on a partition is not known: a partial sum is a false number.
    totallag: Option<u64>,
}

/// Why there is no answer.
struct Refusal(StatusCode, &'static str);

impl Refusal {
    fn not_found(message: &'static str) -> Self {
        Self(StatusCode::NOT_FOUND, message)
    }
}

const NO_CLUSTER: &str = "cluster not found";
const NO_TOPIC: &str = "cluster or topic not found";
const NO_CONSUMER: &str = "cluster or consumer not found";
const NOT_POLLED: &str = "cluster not polled yet, or not reached: try again, or see / for the reason";

/// Answers everything below [`ROOT`].
pub(super) fn answer(state: &Arc<HttpState>, head: &Head) -> Answer {
    let path = head.uri.path();
    let below = path.strip_prefix(ROOT).unwrap_or_default();
    let names: Vec<String> = below.split('/').filter(|name| !name.is_empty()).map(percent_decoded).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let question = Question { state, request: || request(path) };
    question.answer(&names).unwrap_or_else(|Refusal(code, message)| question.envelope(code, true, message, Nothing {}))
}

fn request(path: &str) -> RequestInfo {
    RequestInfo { url: percent_decoded(path), host: System::host_name().unwrap_or_default() }
}

/// A snapshot, and as of when it is told.
struct Told {
    snapshot: Arc<Snapshot>,
    at: WallTime,
}

/// One request and what its answer needs.
struct Question<'a, R> {
    state: &'a HttpState,
    request: R,
}

impl<R: Fn() -> RequestInfo> Question<'_, R> {
    fn answer(&self, names: &[&str]) -> Result<Answer, Refusal> {
        match names {
            [] => Ok(self.clusters()),
            [cluster] => self.cluster(cluster),
            [cluster, "topic"] => self.topics(cluster),
            [cluster, "topic", topic] => self.topic(cluster, topic),
            [cluster, "topic", topic, "consumers"] => self.consumers_of(cluster, topic),
            [cluster, "consumer"] => self.consumers(cluster),
            [cluster, "consumer", group] => self.consumer(cluster, group),
            [cluster, "consumer", group, "status"] => {
                Ok(self.status(cluster, group, |status| status > GroupStatus::Ok))
            }
            [cluster, "consumer", group, "lag"] => Ok(self.status(cluster, group, |_| true)),
            _ => Err(Refusal::not_found("invalid request type")),
        }
    }

    fn envelope<T: Serialize>(&self, code: StatusCode, error: bool, message: &str, content: T) -> Answer {
        let envelope = Envelope { error, message, content, request: (self.request)() };
        match serde_json::to_vec(&envelope) {
            Ok(body) => json(code, body),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("this cannot be written as JSON: {error}\n")),
        }
    }

    fn ok<T: Serialize>(&self, message: &str, content: T) -> Answer {
        self.envelope(StatusCode::OK, false, message, content)
    }

    fn find(&self, cluster: &str) -> Option<Arc<ClusterSource>> {
        self.state.clusters().iter().find(|source| name(source) == cluster).cloned()
    }

    fn snapshot(&self, cluster: &str, otherwise: &'static str) -> Result<Told, Refusal> {
        let source = self.find(cluster).ok_or(Refusal::not_found(otherwise))?;
        let snapshot = source.snapshot.load_full().ok_or(Refusal(StatusCode::SERVICE_UNAVAILABLE, NOT_POLLED))?;
        let at = source.told_at(Some(&snapshot));
        Ok(Told { snapshot, at })
    }

    fn clusters(&self) -> Answer {
        let clusters = self.state.clusters();
        self.ok("cluster list returned", Clusters { clusters: clusters.iter().map(|source| name(source)).collect() })
    }

    fn cluster(&self, cluster: &str) -> Result<Answer, Refusal> {
        let source = self.find(cluster).ok_or(Refusal::not_found("cluster module not found"))?;
        let module = ClusterModule { class_name: CLASS_NAME, servers: &source.bootstrap_servers };
        Ok(self.ok("cluster module detail returned", Module { module }))
    }

    fn topics(&self, cluster: &str) -> Result<Answer, Refusal> {
        let Told { snapshot, .. } = self.snapshot(cluster, NO_CLUSTER)?;
        let scope = &snapshot.world.scope;
        let shown = snapshot.world.topics_by_name().filter(|(_, table)| scope.has_topic(table));
        let topics = shown.map(|(_, table)| table.name.as_ref());
        Ok(self.ok("topic list returned", Topics { topics: topics.collect() }))
    }

    fn topic(&self, cluster: &str, topic: &str) -> Result<Answer, Refusal> {
        let Told { snapshot, .. } = self.snapshot(cluster, NO_TOPIC)?;
        let table = snapshot.world.names.get(topic).and_then(|ix| snapshot.world.topic(ix));
        // Where the topic is at home all its ends are known; the answer is about all of them.
        let table = table.filter(|table| snapshot.world.scope.has_topic(table)).ok_or(Refusal::not_found(NO_TOPIC))?;
        let end = |place| snapshot.freshness.end(table, place).map(|offset| offset.get());
        Ok(self.ok("topic offsets returned", Offsets { offsets: (0..table.partitions()).map(end).collect() }))
    }

    fn consumers_of(&self, cluster: &str, topic: &str) -> Result<Answer, Refusal> {
        let Told { snapshot, .. } = self.snapshot(cluster, NO_CLUSTER)?;
        let ix = snapshot.world.names.get(topic);
        let groups = snapshot.groups.iter().filter(|group| {
            let mut segments = group.table.commits.iter().flat_map(|commits| &commits.segments);
            segments.any(|segment| Some(segment.topic) == ix && !segment.rows.is_empty())
        });
        let consumers = groups.map(|group| group.table.name.as_ref()).collect();
        Ok(self.ok("consumers of topic returned", Consumers { consumers }))
    }

    fn consumers(&self, cluster: &str) -> Result<Answer, Refusal> {
        let Told { snapshot, .. } = self.snapshot(cluster, NO_CLUSTER)?;
        let groups = snapshot.groups.iter().filter(|group| commits(group.table.commits.as_deref()) > 0);
        let consumers = groups.map(|group| group.table.name.as_ref()).collect();
        Ok(self.ok("consumer list returned", Consumers { consumers }))
    }

    fn consumer(&self, cluster: &str, group: &str) -> Result<Answer, Refusal> {
        let Told { snapshot, at } = self.snapshot(cluster, NO_CONSUMER)?;
        let place = place(&snapshot, group).ok_or(Refusal::not_found(NO_CONSUMER))?;
        let segments = snapshot.groups.get(place).map_or(0, |group| group.topics.len());
        let topics = (0..segments).filter_map(move |segment| {
            let standing = Standing::of(&snapshot, place, at)?;
            consumer_topic(&snapshot, standing, &standing.topic(segment)?)
        });
        let head = Envelope {
            error: false,
            message: "consumer detail returned",
            content: Nothing {},
            request: (self.request)(),
        };
        let pieces = once(open(&head, "topics", '{')).chain(separated(topics)).chain(once(plain("}}")));
        Ok(json_pieces(self.state, pieces))
    }

    /// The partitions that `shown` lets through by their verdict. An unknown group is told as such, with a status of its
    /// own and no error: that is Burrow's way.
    fn status(&self, cluster: &str, group: &str, shown: fn(GroupStatus) -> bool) -> Answer {
        let (snapshot, at, place) = match self.snapshot(cluster, NO_CLUSTER) {
            Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, message)) => {
                return self.envelope(StatusCode::SERVICE_UNAVAILABLE, true, message, Nothing {});
            }
            Err(_) => return self.no_status(cluster, group),
            Ok(Told { snapshot, at }) => match place(&snapshot, group) {
                Some(place) => (snapshot, at, place),
                None => return self.no_status(cluster, group),
            },
        };
        let Some(head) = Standing::of(&snapshot, place, at).map(|standing| status(cluster, &snapshot, standing)) else {
            return self.no_status(cluster, group);
        };
        let head = open(&head, "partitions", '[');
        let rows = snapshot.groups.get(place).map_or(0, |group| commits(group.table.commits.as_deref()));
        let partitions = (0..rows).filter_map(move |row| {
            let standing = Standing::of(&snapshot, place, at)?;
            let verdict = standing.partition_status(row).unwrap_or(GroupStatus::NotFound);
            shown(verdict).then(|| partition(&snapshot, standing, row)).flatten()
        });
        let partitions = separated(partitions.map(|partition| serde_json::to_vec(&partition)));
        let tail = self.after_status();
        let start = format!("{{\"error\":false,\"message\":\"{STATUS_RETURNED}\",\"status\":");
        json_pieces(self.state, once(plain(&start)).chain(once(head)).chain(partitions).chain(once(tail)))
    }

    /// What closes an answer about a status.
    fn after_status(&self) -> Piece {
        let mut tail = b"]},\"request\":".to_vec();
        tail.append(&mut serde_json::to_vec(&(self.request)())?);
        tail.push(b'}');
        Ok(tail)
    }

    fn no_status(&self, cluster: &str, group: &str) -> Answer {
        #[derive(Serialize)]
        struct NoStatus<'a> {
            status: WithoutPartitions<'a>,
        }
        #[derive(Serialize)]
        struct WithoutPartitions<'a> {
            #[serde(flatten)]
            status: Status<'a>,
            partitions: [PartitionStatus; 0],
        }
        let status = Status {
            cluster,
            group,
            status: GroupStatus::NotFound.as_str(),
            complete: 1.0,
            partition_count: 0,
            maxlag: None,
            totallag: Some(0),
        };
        let status = WithoutPartitions { status, partitions: [] };
        self.envelope(StatusCode::NOT_FOUND, false, STATUS_RETURNED, NoStatus { status })
    }
}

const STATUS_RETURNED: &str = "consumer status returned";

fn name(source: &ClusterSource) -> &str {
    source.name.as_deref().unwrap_or(NAMELESS)
}

fn commits(table: Option<&crate::state::CommitTable>) -> usize {
    table.map_or(0, |commits| commits.partitions.len())
}

/// A group that has committed something: Burrow knows no others.
fn place(snapshot: &Snapshot, group: &str) -> Option<usize> {
    let place = snapshot.groups.binary_search_by(|known| known.table.name.as_ref().cmp(group)).ok()?;
    (commits(snapshot.groups.get(place)?.table.commits.as_deref()) > 0).then_some(place)
}

fn status<'a>(cluster: &'a str, snapshot: &Snapshot, standing: Standing<'a>) -> Status<'a> {
    let count = commits(standing.group.table.commits.as_deref());
    let known = || (0..count).filter(|row| standing.group.lag(*row).is_some());
    let whole = known().filter(|row| standing.complete(*row).is_some_and(|complete| complete >= 1.0)).count();
    // The first of those that are equally far behind.
    let worst = known().rev().max_by_key(|row| standing.group.lag(*row));
    #[expect(clippy::cast_precision_loss, reason = "partitions of a group are far fewer than 2^53")]
    let complete = whole as f64 / count.max(1) as f64;
    Status {
        cluster,
        group: &standing.group.table.name,
        status: standing.status().unwrap_or(GroupStatus::NotFound).as_str(),
        complete,
        partition_count: count,
        maxlag: worst.and_then(|row| partition(snapshot, standing, row)),
        totallag: standing.lag_sum().map(|lag| lag.0),
    }
}

/// The topic that a row of a group's commits is on.
fn topic_of<'a>(standing: Standing<'a>, row: usize) -> Option<TopicStanding<'a>> {
    let segments = &standing.group.table.commits.as_deref()?.segments;
    standing.topic(segments.partition_point(|segment| segment.rows.end <= row))
}

/// A partition of a group's status; `None` while its lag is not known.
fn partition(snapshot: &Snapshot, standing: Standing<'_>, row: usize) -> Option<PartitionStatus> {
    let on = topic_of(standing, row)?;
    Some(PartitionStatus {
        topic: snapshot.world.names.name(on.segment.topic)?.to_string(),
        partition: on.commits.partitions.get(row)?.0,
        owner: "",
        client_id: "",
        status: standing.partition_status(row).unwrap_or(GroupStatus::NotFound).as_str(),
        start: None,
        end: commit(snapshot, standing, &on, row),
        current_lag: standing.group.lag(row)?.0,
        complete: standing.complete(row).unwrap_or(0.0),
    })
}

fn commit(snapshot: &Snapshot, standing: Standing<'_>, on: &TopicStanding<'_>, row: usize) -> Option<Commit> {
    let WallTime(observed_at) = snapshot.derived_at.wall_at(on.commits.read_at(on.segment, row));
    Some(Commit {
        offset: snapshot.freshness.commit(on.commits, on.segment, row)?.get(),
        timestamp: None,
        observed_at,
        lag: standing.group.lag(row).map(|lag| lag.0),
    })
}

/// A member of a group's detail: the topic with its partitions, each at its own place in a list. A commit on a partition
/// that does not exist has no place.
fn consumer_topic(snapshot: &Snapshot, standing: Standing<'_>, on: &TopicStanding<'_>) -> Option<Piece> {
    let table = snapshot.world.topic(on.segment.topic)?;
    let placed = || {
        let place = |row: usize| Some((row, table.place(*on.commits.partitions.get(row)?)?));
        on.segment.rows.clone().filter_map(place)
    };
    let length = placed().map(|(_, place)| place + 1).max()?;
    let nothing = || ConsumerPartition { offsets: Vec::new(), owner: "", client_id: "", current_lag: None };
    let mut partitions: Vec<ConsumerPartition> = (0..length).map(|_| nothing()).collect();
    for (row, place) in placed() {
        if let Some(partition) = partitions.get_mut(place) {
            partition.offsets.extend(commit(snapshot, standing, on, row));
            partition.current_lag = standing.group.lag(row).map(|lag| lag.0);
        }
    }
    let member = || -> Piece {
        let mut member = serde_json::to_vec(table.name.as_ref())?;
        member.push(b':');
        member.append(&mut serde_json::to_vec(&partitions)?);
        Ok(member)
    };
    Some(member())
}
