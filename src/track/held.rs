//! Histories from before a restart, held until it is certain whether the topic of that name is still the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Point, TopicHistory};
use crate::model::{Moment, PartitionId, heap};
use crate::state::TopicTable;

/// A topic that has no id for so long gets none: brokers before Kafka 2.8 have none.
const ID_WITHIN: Duration = Duration::from_secs(600);
/// A topic that is not there for so long is gone. One list without it may come from a broker that lags behind.
const GONE_AFTER: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
struct Kept {
    history: TopicHistory,
    nameless_since: Option<Moment>,
    missing_since: Option<Moment>,
}

/// What was handed in and has not been taken over yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    by_topic: HashMap<Arc<str>, Kept>,
}

impl Held {
    /// Holds histories; of two of one topic the later stands.
    pub(super) fn add(&mut self, histories: Vec<TopicHistory>) {
        let kept = |history: TopicHistory| {
            (history.topic.clone(), Kept { history, nameless_since: None, missing_since: None })
        };
        self.by_topic.extend(histories.into_iter().map(kept));
    }

    /// Whether a topic's history is held.
    pub(super) fn holds(&self, topic: &str) -> bool {
        self.by_topic.contains_key(topic)
    }

    /// The history of a topic that is there, once it is certain that it is its own. Another id is another topic, for which
    /// the history says nothing: it is let go.
    pub(super) fn claim(&mut self, table: &TopicTable, now: Moment) -> Option<TopicHistory> {
        let kept = self.by_topic.get_mut(&table.name)?;
        kept.missing_since = None;
        if kept.history.id.is_some() && table.id.is_none() {
            // Of a topic that nobody looks after, as in another exporter's part, nobody has asked for the id either.
            table.ends.iter().find(|end| end.known().is_some())?;
            let since = *kept.nameless_since.get_or_insert(now);
            if now.since(since) < ID_WITHIN {
                return None;
            }
        }
        let history = self.by_topic.remove(&table.name)?.history;
        let is_other = history.id.zip(table.id).is_some_and(|(before, present)| before != present);
        (!is_other).then_some(history)
    }

    /// Lets go of topics that are gone, by a list of those that are there.
    pub(super) fn miss(&mut self, is_there: impl Fn(&str) -> bool, now: Moment) {
        self.by_topic.retain(|topic, kept| {
            if is_there(topic) {
                return true;
            }
            let since = *kept.missing_since.get_or_insert(now);
            now.since(since) < GONE_AFTER
        });
    }

    /// What it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let points = |(_, points): &(PartitionId, Vec<Point>)| heap::vec(points);
        let of_topic = |kept: &Kept| {
            let partitions = &kept.history.partitions;
            heap::text(&kept.history.topic) + heap::vec(partitions) + partitions.iter().map(points).sum::<usize>()
        };
        heap::map(&self.by_topic) + self.by_topic.values().map(of_topic).sum::<usize>()
    }

    /// Everything that is held.
    pub(super) fn iter(&self) -> impl Iterator<Item = &TopicHistory> {
        self.by_topic.values().map(|kept| &kept.history)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::model::{Offset, TopicId};
    use crate::state::{HistoryId, Reading};

    fn history(id: Option<u128>) -> TopicHistory {
        TopicHistory { topic: "a".into(), id: id.map(TopicId), partitions: Vec::new() }
    }

    fn table(topic: &str, id: Option<u128>) -> TopicTable {
        TopicTable {
            name: topic.into(),
            id: id.map(TopicId),
            history: HistoryId(1),
            history_since: Moment(0),
            last_told: None,
            is_doubted: false,
            placements: Vec::new(),
            sample: None,
            starts: Vec::new(),
            ends: vec![Reading { offset: Offset::new(5).into(), ..Reading::NONE }],
            stable_ends: Vec::new(),
            settings: None,
        }
    }

    fn held(id: Option<u128>) -> Held {
        let mut held = Held::default();
        held.add(vec![history(id)]);
        held
    }

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1000)
    }

    #[test]
    fn a_topic_of_the_same_id_takes_its_history_over_once() {
        let mut held = held(Some(7));
        assert_eq!(held.claim(&table("b", Some(7)), at(1)), None);
        assert_eq!(held.claim(&table("a", Some(7)), at(1)), Some(history(Some(7))));
        assert!(!held.holds("a") && held.claim(&table("a", Some(7)), at(2)).is_none());
    }

    #[test]
    fn another_topic_of_the_name_gets_nothing() {
        let mut held = held(Some(7));
        assert_eq!(held.claim(&table("a", Some(8)), at(1)), None);
        assert!(!held.holds("a"));
    }

    #[test]
    fn an_id_is_waited_for_but_not_for_ever() {
        let mut waiting = held(Some(7));
        assert_eq!(waiting.claim(&table("a", None), at(1)), None);
        assert_eq!(waiting.claim(&table("a", None), at(600)), None);
        let mut late = waiting.clone();
        assert_eq!(late.claim(&table("a", Some(8)), at(601)), None, "it is another one after all");
        assert!(waiting.claim(&table("a", None), at(601)).is_some(), "there are no ids");
        assert!(held(None).claim(&table("a", Some(7)), at(1)).is_some(), "there were none before");
    }

    #[test]
    fn the_id_of_a_topic_that_nobody_looks_after_is_waited_for_until_somebody_does() {
        let mut held = held(Some(7));
        let unseen = TopicTable { ends: vec![Reading::NONE], ..table("a", None) };
        [1, 700, 1400].into_iter().for_each(|second| assert_eq!(held.claim(&unseen, at(second)), None));
        assert_eq!(held.claim(&table("a", None), at(1500)), None, "it is looked after since now");
        assert_eq!(held.claim(&table("a", Some(8)), at(1501)), None, "it became another one meanwhile");
        assert!(!held.holds("a"));
    }

    #[test]
    fn topics_that_are_gone_are_let_go() {
        let mut held = held(Some(7));
        held.miss(|_| false, at(1));
        held.miss(|_| false, at(600));
        assert!(held.claim(&table("a", None), at(600)).is_none(), "there it is, and waits for its id");
        held.miss(|_| false, at(601));
        held.miss(|_| false, at(1200));
        assert_eq!(held.iter().count(), 1, "it was there in between");
        held.miss(|_| false, at(1201));
        assert!(!held.holds("a"));
    }
}
