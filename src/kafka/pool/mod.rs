//! A few long-lived handles of one cluster behind the face of one client.
//!
//! A Kafka broker works on one request per connection at a time, and a handle has one connection to each broker: what is
//! to go on at one broker at the same time needs several handles. The first one is always there. Others are opened when
//! all have calls in flight to the broker that is to be asked, and closed when they are idle. A handle that does worse
//! than a new one opened beside it is replaced; its calls in flight end as they would have.
//!
//! What takes time (opening, trying, closing) is done by [`KafkaPool::tend`]; without it there is one handle for ever.

mod health;
mod ledger;
mod member;
mod print;
#[cfg(test)]
mod real_tests;
mod tend;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;

use self::ledger::Ledger;
use self::member::{Member, Turn};
use self::tend::{Patience, Retiring};
use super::{
    AclOperation, Authorized, Cause, ClientSettings, GroupReply, KafkaApi, KafkaClient, KafkaError, Operation, Target,
};
use crate::model::{
    BrokerId, ClusterDescription, ClusterMetadata, CommittedOffsets, ConnectionStats, GroupListing, ListedPartition,
    OffsetSpec, TimedPartition, TopicDescription, TopicPartitions, TopicRows, TopicTimes,
};

pub use self::member::PooledClient;

/// The most handles that one pool may have: each costs a connection and a thread per broker.
const MAX_HANDLES: usize = 16;

/// Opens one more handle. May block for a moment.
type Open<C> = Arc<dyn Fn() -> Result<C, KafkaError> + Send + Sync>;

/// The handles of one cluster.
///
/// Dropping it never blocks: its clients take themselves down. After `close` every call answers [`Cause::Closed`].
pub struct KafkaPool<C = KafkaClient> {
    /// For log lines; may be empty.
    cluster: Arc<str>,
    open: Open<C>,
    size: usize,
    patience: Patience,
    state: Mutex<State<C>>,
    replacements: AtomicU64,
    /// Wakes the tending task: a handle is wanted, or some are behind.
    work: Notify,
}

/// Who is in the pool.
struct State<C> {
    /// Those that take calls. The first one is never closed for being idle.
    members: Vec<Arc<Member<C>>>,
    /// Those that were opened and do not take calls yet.
    guests: Vec<Arc<Member<C>>>,
    /// How many are being opened just now.
    opening: usize,
    /// Those that take no more calls and are being closed.
    retiring: Vec<Retiring<C>>,
    ledger: Ledger,
    /// The print of the newest metadata; 0 before the first.
    print: u64,
    /// Whether one more handle would be of use.
    is_wanted: bool,
    /// Whether the log says that the last handle could not be opened.
    said_not_opened: bool,
    is_closed: bool,
}

impl<C> State<C> {
    fn handles(&self) -> usize {
        self.members.len() + self.guests.len() + self.opening + self.retiring.len()
    }
}

impl KafkaPool<KafkaClient> {
    /// Sets up a pool of 1 to 16 handles and opens the first. Nothing is asked yet: the cluster may be away.
    ///
    /// # Errors
    /// When a property is wrong or the system gives no threads.
    pub fn connect(settings: &ClientSettings, connections_per_broker: usize) -> Result<Self, KafkaError> {
        let patience = Patience::new(settings.timeout());
        Self::with_patience(settings, connections_per_broker, patience)
    }

    fn with_patience(settings: &ClientSettings, size: usize, patience: Patience) -> Result<Self, KafkaError> {
        let settings = settings.clone();
        let cluster = settings.cluster.clone();
        let open: Open<KafkaClient> = Arc::new(move || KafkaClient::connect(&settings));
        Self::new(cluster, open, size, patience)
    }

    /// What may be done with the cluster; `None` when the broker does not tell.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub async fn cluster_operations(&self) -> Result<Option<Vec<AclOperation>>, KafkaError> {
        let turn = self.turn(Operation::DescribeCluster, None)?;
        let answer = turn.client().cluster_operations().await;
        turn.heard(&answer);
        answer
    }

    /// What may be done with some topics; a few hundred at most.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub async fn topic_operations(&self, topics: &[Arc<str>]) -> Result<Vec<Authorized>, KafkaError> {
        let turn = self.turn(Operation::DescribeTopics, None)?;
        let answer = turn.client().topic_operations(topics).await;
        turn.heard(&answer);
        answer
    }

    /// What may be done with some groups of one coordinator.
    ///
    /// # Errors
    /// When the call as a whole fails.
    pub async fn group_operations(
        &self,
        coordinator: BrokerId,
        groups: &[Arc<str>],
    ) -> Result<Vec<Authorized>, KafkaError> {
        let turn = self.turn(Operation::DescribeGroups, Some(coordinator))?;
        let answer = turn.client().group_operations(coordinator, groups).await;
        turn.heard(&answer);
        answer
    }
}

impl<C: PooledClient> KafkaPool<C> {
    fn new(cluster: Arc<str>, open: Open<C>, size: usize, patience: Patience) -> Result<Self, KafkaError> {
        let first = Arc::new(Member::new(open()?));
        let state = State {
            members: vec![first],
            guests: Vec::new(),
            opening: 0,
            retiring: Vec::new(),
            ledger: Ledger::default(),
            print: 0,
            is_wanted: false,
            said_not_opened: false,
            is_closed: false,
        };
        Ok(Self {
            cluster,
            open,
            size: size.clamp(1, MAX_HANDLES),
            patience,
            state: Mutex::new(state),
            replacements: AtomicU64::new(0),
            work: Notify::new(),
        })
    }

    /// The newest connection statistics of all handles together; empty until the first came, 10 s after the start.
    /// Counters go on when a handle goes; gauges are of the handles that are there.
    #[must_use]
    pub fn broker_stats(&self) -> Arc<ConnectionStats> {
        let state = self.state();
        let replacements = self.replacements();
        if let [only] = &state.members[..]
            && state.retiring.is_empty()
            && state.ledger.is_empty()
            && replacements == 0
        {
            return only.client.broker_stats();
        }
        let live: Vec<_> = state.members.iter().map(|member| member.client.broker_stats()).collect();
        let leaving: Vec<_> = state.retiring.iter().filter_map(Retiring::uncounted).collect();
        let merged = state.ledger.merge(&live, &leaving);
        Arc::new(ConnectionStats { replacements, ..merged })
    }

    /// How long ago the poll thread that is furthest behind last turned.
    #[must_use]
    pub fn poll_age(&self) -> Duration {
        self.state().members.iter().map(|member| member.client.poll_age()).max().unwrap_or_default()
    }

    /// How often poll threads panicked and went on; the panics themselves are on standard error.
    #[must_use]
    pub fn poll_panics(&self) -> u64 {
        let state = self.state();
        let members = state.members.iter().map(|member| member.client.poll_panics());
        let leaving = state.retiring.iter().map(Retiring::uncounted_panics);
        members.chain(leaving).fold(state.ledger.panics(), u64::saturating_add)
    }

    /// How often a sick handle was replaced.
    #[must_use]
    pub fn replacements(&self) -> u64 {
        self.replacements.load(Ordering::Relaxed)
    }

    /// How many handles there are, those that are being tried or closed included: one more than the pool's size at most.
    #[must_use]
    pub fn handles(&self) -> usize {
        self.state().handles()
    }

    /// Ends all handles: calls in flight answer [`Cause::Closed`] at once. Waits for librdkafka for 2 s at most.
    pub async fn close(&self) {
        let all: Vec<Arc<Member<C>>> = {
            let mut state = self.state();
            state.is_closed = true;
            let leaving = state.retiring.iter().map(|retiring| retiring.member.clone());
            state.members.iter().cloned().chain(state.guests.iter().cloned()).chain(leaving).collect()
        };
        self.work.notify_one();
        join_all(all.iter().map(|member| member.client.close())).await;
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call on the handle that does best: well with this broker, up to date, with the fewest calls in flight to
    /// the broker and then to all.
    fn turn(&self, operation: Operation, broker: Option<BrokerId>) -> Result<Turn<C>, KafkaError> {
        let mut state = self.state();
        let best = state.members.iter().min_by_key(|member| member.rank(broker, state.print)).cloned();
        let Some(best) = best.filter(|_| !state.is_closed) else {
            let target = broker.map_or(Target::Cluster, Target::Broker);
            return Err(KafkaError { operation, target, cause: Cause::Closed });
        };
        // Calls that any broker may answer are few: they are no reason for another handle.
        if broker.is_some() && state.members.len() < self.size && best.in_flight_to(broker) > 0 && !state.is_wanted {
            state.is_wanted = true;
            self.work.notify_one();
        }
        Ok(best.begin(broker))
    }

    /// Takes note of metadata that a handle told. The others may still know the brokers and leaders of before.
    fn told(&self, member: &Arc<Member<C>>, metadata: &ClusterMetadata) {
        let mut state = self.state();
        for known in &state.members {
            known.retain(|broker| metadata.brokers.iter().any(|it| it.id == broker));
        }
        if self.size > 1 {
            let print = print::print(metadata);
            member.set_print(print);
            state.print = print;
            if state.members.iter().any(|known| known.print() != print) {
                self.work.notify_one();
            }
        }
    }
}

impl<C: PooledClient> KafkaApi for KafkaPool<C> {
    async fn metadata(&self) -> Result<ClusterMetadata, KafkaError> {
        let turn = self.turn(Operation::Metadata, None)?;
        let answer = turn.client().metadata().await;
        turn.heard(&answer);
        if let Ok(metadata) = &answer {
            self.told(&turn.member, metadata);
        }
        answer
    }

    async fn describe_cluster(&self) -> Result<ClusterDescription, KafkaError> {
        let turn = self.turn(Operation::DescribeCluster, None)?;
        let answer = turn.client().describe_cluster().await;
        turn.heard(&answer);
        answer
    }

    async fn describe_topics(&self, topics: &[Arc<str>]) -> Result<Vec<TopicDescription>, KafkaError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let turn = self.turn(Operation::DescribeTopics, None)?;
        let answer = turn.client().describe_topics(topics).await;
        turn.heard(&answer);
        answer
    }

    async fn list_groups(&self, broker: BrokerId) -> Result<Vec<GroupListing>, KafkaError> {
        let turn = self.turn(Operation::ListGroups, Some(broker))?;
        let answer = turn.client().list_groups(broker).await;
        turn.heard(&answer);
        answer
    }

    async fn describe_groups(&self, coordinator: BrokerId, groups: &[Arc<str>]) -> Result<Vec<GroupReply>, KafkaError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let turn = self.turn(Operation::DescribeGroups, Some(coordinator))?;
        let answer = turn.client().describe_groups(coordinator, groups).await;
        // Silence comes group by group, within an answer.
        let is_silent = |reply: &GroupReply| reply.description.as_ref().is_err_and(KafkaError::is_silence);
        if answer.iter().flatten().any(is_silent) {
            turn.heard_nothing();
        } else {
            turn.heard(&answer);
        }
        answer
    }

    async fn committed_offsets(
        &self,
        coordinator: BrokerId,
        group: &Arc<str>,
        partitions: Option<&[TopicPartitions]>,
    ) -> Result<CommittedOffsets, KafkaError> {
        if partitions.is_some_and(asks_nothing) {
            return Ok(CommittedOffsets::default());
        }
        let turn = self.turn(Operation::OffsetFetch, Some(coordinator))?;
        let answer = turn.client().committed_offsets(coordinator, group, partitions).await;
        turn.heard(&answer);
        answer
    }

    async fn list_offsets(
        &self,
        leader: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicRows<ListedPartition>>, KafkaError> {
        if asks_nothing(partitions) {
            return Ok(Vec::new());
        }
        let turn = self.turn(Operation::ListOffsets, Some(leader))?;
        let answer = turn.client().list_offsets(leader, spec, partitions).await;
        turn.heard(&answer);
        answer
    }

    async fn offsets_at(
        &self,
        leader: BrokerId,
        times: &[TopicTimes],
    ) -> Result<Vec<TopicRows<TimedPartition>>, KafkaError> {
        if times.iter().all(|topic| topic.partitions.is_empty()) {
            return Ok(Vec::new());
        }
        let turn = self.turn(Operation::ListOffsets, Some(leader))?;
        let answer = turn.client().offsets_at(leader, times).await;
        turn.heard(&answer);
        answer
    }
}

/// An empty question is answered without asking, so it must not count as an answer of the broker.
fn asks_nothing(partitions: &[TopicPartitions]) -> bool {
    partitions.iter().all(|topic| topic.partitions.is_empty())
}
