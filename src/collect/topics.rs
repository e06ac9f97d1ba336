//! The topics collector: topic ids, which alone tell a topic from another that came back under its name (KIP-516).
//!
//! An id is asked for when the topic is new, or was not looked after until now, when its partition count or an end offset fell, and otherwise on a slow
//! cycle that visits every topic once in a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;

use super::ask::Asker;
use super::interest::Interest;
use super::report::PassReport;
use crate::kafka::KafkaApi;
use crate::model::heap;
use crate::state::{CollectorName, HistoryId, TopicIx, World};

/// Topics a DescribeTopics call: librdkafka's matching is quadratic.
const TOPICS_PER_CALL: usize = 100;
/// DescribeTopics calls in flight.
const CALLS_IN_FLIGHT: usize = 4;
/// Every topic's id is asked for once in this time.
const SLOW_CYCLE: Duration = Duration::from_secs(300);

/// What the collector remembers between passes.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// By topic place: the life of the topic whose id was last told.
    told: Vec<Option<HistoryId>>,
    /// Where in the order of topics the slow cycle stands.
    cursor: usize,
}

impl Topics {
    /// What it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        heap::vec(&self.told)
    }

    /// The topics whose ids are to be asked for in this pass.
    fn due(&mut self, world: &World, interest: &Interest, interval: Duration) -> Vec<Arc<str>> {
        let total = world.topic_order.len();
        let passes = SLOW_CYCLE.as_millis().checked_div(interval.as_millis()).unwrap_or(1).max(1);
        let share = total.div_ceil(usize::try_from(passes).unwrap_or(usize::MAX));
        self.told.resize(world.topics.len(), None);
        let mut due = Vec::new();
        for (place, (ix, table)) in world.topics_by_name().enumerate() {
            if !interest.has_topic(ix) {
                // While nobody looks after it another topic may take its name.
                self.told[ix.index()] = None;
                continue;
            }
            let is_new = self.told[ix.index()] != Some(table.history);
            let from_cursor = (place + total - self.cursor.min(total)) % total;
            if is_new || from_cursor < share {
                due.push(table.name.clone());
            }
        }
        self.cursor = if total == 0 { 0 } else { (self.cursor + share) % total };
        due
    }

    /// Asks for the ids that are due.
    pub(super) async fn ask_due<K: KafkaApi>(
        &mut self,
        asker: &Asker<K>,
        world: &mut World,
        interest: &Interest,
        interval: Duration,
        report: &mut PassReport,
    ) {
        let due = self.due(world, interest, interval);
        let wanted = world.topic_order.iter().filter(|ix| interest.has_topic(**ix)).count();
        let unasked = wanted.saturating_sub(due.len());
        report.topic_ids.hits += u64::try_from(unasked).unwrap_or(u64::MAX);
        self.ask(asker, world, due, report).await;
    }

    /// Asks for the ids of some topics and takes them in.
    pub(super) async fn ask<K: KafkaApi>(
        &mut self,
        asker: &Asker<K>,
        world: &mut World,
        topics: Vec<Arc<str>>,
        report: &mut PassReport,
    ) {
        let started = Instant::now();
        report.topic_ids.misses += u64::try_from(topics.len()).unwrap_or(u64::MAX);
        let calls: Vec<Vec<Arc<str>>> = topics.chunks(TOPICS_PER_CALL).map(<[_]>::to_vec).collect();
        let answers: Vec<_> = stream::iter(calls)
            .map(|names| async move { asker.cluster(asker.api.describe_topics(&names)).await })
            .buffer_unordered(CALLS_IN_FLIGHT)
            .collect()
            .await;
        for answer in answers {
            match answer {
                Ok(descriptions) => {
                    world.apply_topic_ids(&descriptions, world.round);
                    let told = descriptions.iter().filter(|description| description.id.is_ok());
                    told.for_each(|description| self.note_told(world, &description.name));
                }
                Err(error) => report.fail(CollectorName::Topics, error),
            }
        }
        report.topic_ids.took += started.elapsed();
    }

    fn note_told(&mut self, world: &World, name: &str) {
        let place: Option<TopicIx> = world.names.get(name);
        if let Some((ix, table)) = place.and_then(|ix| Some((ix, world.topic(ix)?))) {
            self.told.resize(world.topics.len(), None);
            self.told[ix.index()] = Some(table.history);
        }
    }
}
