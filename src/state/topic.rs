//! One topic: where its partitions lie and which offsets they have, as columns by partition number.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{Round, Sample};
use crate::model::heap;
use crate::model::{BrokerId, MaxAge, MaybeOffset, Moment, Offset, PartitionId, TopicId, TopicMetadata, TopicSettings};

/// One life of a topic: no two lives of one cluster share it, be it under one name or several.
/// Values read in one life say nothing about another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryId(pub u64);

/// Where a partition lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The leader; `None`: the partition is offline.
    pub leader: Option<BrokerId>,
    /// The first of the replica list.
    pub preferred: Option<BrokerId>,
    /// Length of the replica list.
    pub replicas: u16,
    /// How many of them are in sync.
    pub in_sync: u16,
    /// When the metadata first told that there is no leader; `None`: there is one.
    pub leaderless_since: Option<Moment>,
}

impl Placement {
    /// Takes over since when there has been no leader.
    fn follow(&mut self, before: &Self) {
        if self.leader.is_none() && before.leader.is_none() {
            self.leaderless_since = before.leaderless_since;
        }
    }
}

/// An offset with the time and the pass in which it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The offset, if it was ever read.
    pub offset: MaybeOffset,
    /// When it was asked for.
    pub at: Moment,
    /// In which pass.
    pub round: Round,
    /// How old it may get.
    pub max_age: MaxAge,
}

impl Reading {
    /// Never read.
    pub const NONE: Self = Self { offset: MaybeOffset::UNKNOWN, at: Moment(0), round: Round(0), max_age: MaxAge::ZERO };

    /// The offset with its reading, when there is one.
    #[must_use]
    pub fn known(&self) -> Option<Offset> {
        self.offset.get()
    }
}

/// One topic. The columns are equally long: the partition count. One that is not always asked for may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicTable {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, once DescribeTopics has told it.
    pub id: Option<TopicId>,
    /// Which life of the name this is.
    pub history: HistoryId,
    /// When that life was first seen. What was committed before says nothing about it.
    pub history_since: Moment,
    /// When the metadata last told of the topic, where the last metadata did not; `None`: it did.
    pub last_told: Option<Moment>,
    /// Whether the last metadata did not show the topic, or showed fewer partitions than before. A broker may lag behind:
    /// only a second such answer counts.
    pub is_doubted: bool,
    /// Where each partition lies.
    pub placements: Vec<Placement>,
    /// The partitions whose offsets are asked for; `None`: all.
    pub sample: Option<Sample>,
    /// The log start offset of each partition.
    pub starts: Vec<Reading>,
    /// The high watermark of each partition.
    pub ends: Vec<Reading>,
    /// The last stable offset of each partition (KIP-98): before the first open transaction. Empty until it is asked for,
    /// which it is only for groups that read committed records alone.
    pub stable_ends: Vec<Reading>,
    /// Its settings, once DescribeConfigs has told them.
    pub settings: Option<Arc<TopicSettings>>,
}

impl TopicTable {
    /// The number of partitions.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.placements.len()
    }

    /// How many partitions' offsets are asked for: the first so many. Those of the others are not known.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.sample.map_or(self.partitions(), Sample::partitions)
    }

    /// The place of a partition in the columns, if the topic has it.
    #[must_use]
    pub fn place(&self, partition: PartitionId) -> Option<usize> {
        partition.index().filter(|index| *index < self.placements.len())
    }

    /// A table from fresh metadata, with what the previous table of the same life knows.
    ///
    /// A partition count that fell starts a new life, `fresh`: Kafka never takes partitions away from a topic. Of more
    /// partitions than `limit` only a sample is asked for.
    pub(super) fn from_metadata(
        metadata: &TopicMetadata,
        previous: Option<&Self>,
        limit: Option<NonZeroUsize>,
        fresh: HistoryId,
        at: Moment,
    ) -> Self {
        let mut placements = placements(metadata, at);
        let count = placements.len();
        let sample = Sample::of(limit, count);
        let mut starts = vec![Reading::NONE; count];
        let mut ends = vec![Reading::NONE; count];
        let (mut id, mut settings, mut stable_ends) = (None, None, Vec::new());
        let (mut history, mut history_since) = (fresh, at);
        if let Some(previous) = previous.filter(|previous| previous.partitions() <= count) {
            (history, history_since) = (previous.history, previous.history_since);
            (id, settings) = (previous.id, previous.settings.clone());
            placements.iter_mut().zip(&previous.placements).for_each(|(now, before)| now.follow(before));
            let known = sample.map_or(count, Sample::partitions).min(previous.partitions());
            starts[..known].copy_from_slice(&previous.starts[..known]);
            ends[..known].copy_from_slice(&previous.ends[..known]);
            if !previous.stable_ends.is_empty() {
                stable_ends = vec![Reading::NONE; count];
                stable_ends[..known].copy_from_slice(&previous.stable_ends[..known]);
            }
        }
        Self {
            name: metadata.name.clone(),
            id,
            history,
            history_since,
            last_told: None,
            is_doubted: false,
            placements,
            sample,
            starts,
            ends,
            stable_ends,
            settings,
        }
    }

    /// What it takes on the heap, but for its name. Settings that several topics share count in parts.
    pub(crate) fn heap_bytes(&self) -> usize {
        let readings = [&self.starts, &self.ends, &self.stable_ends].map(heap::vec).iter().sum::<usize>();
        let settings =
            |settings: &Arc<TopicSettings>| heap::arc::<TopicSettings>() / Arc::strong_count(settings).max(1);
        heap::arc::<Self>() + heap::vec(&self.placements) + readings + self.settings.as_ref().map_or(0, settings)
    }

    /// Whether metadata says nothing but what the table says already, of which it was told the last time too.
    pub(super) fn says(&self, metadata: &TopicMetadata, limit: Option<NonZeroUsize>) -> bool {
        let mut placements = placements(metadata, Moment(0));
        placements.iter_mut().zip(&self.placements).for_each(|(now, before)| now.follow(before));
        self.last_told.is_none()
            && !self.is_doubted
            && self.sample == Sample::of(limit, placements.len())
            && self.placements == placements
    }

    /// Takes note of the topic's id; another id than before starts a new life, `fresh`, that began with the last
    /// `metadata`. Of the readings of the former life none stay; an end that was read in this very `round`, just before the
    /// id was asked for, is of the new one.
    pub(super) fn set_id(&mut self, id: TopicId, fresh: HistoryId, metadata_at: Option<Moment>, round: Round) {
        let recreated = self.id.is_some_and(|known| known != id);
        self.id = Some(id);
        if recreated {
            let since = self.last_told.or(metadata_at).unwrap_or(self.history_since);
            (self.history, self.history_since) = (fresh, since);
            self.starts.fill(Reading::NONE);
            self.ends.iter_mut().filter(|end| end.round != round).for_each(|end| *end = Reading::NONE);
            self.forget_life();
        }
    }

    /// Lets go what said something about the former life of the topic only.
    pub(super) fn forget_life(&mut self) {
        self.stable_ends = Vec::new();
        self.settings = None;
    }
}

/// The metadata's partitions as a column by number. Numbers are dense in Kafka; in an answer where they are not, those
/// beyond the count are left out.
fn placements(metadata: &TopicMetadata, at: Moment) -> Vec<Placement> {
    let count = metadata.partitions.iter().filter_map(|partition| partition.id.index()).max().map_or(0, |max| max + 1);
    // A broken answer must not make a column of billions.
    let count = count.min(metadata.partitions.len());
    let absent = Placement { leader: None, preferred: None, replicas: 0, in_sync: 0, leaderless_since: Some(at) };
    let mut placements = vec![absent; count];
    for partition in &metadata.partitions {
        if let Some(place) = partition.id.index().and_then(|index| placements.get_mut(index)) {
            *place = Placement {
                leader: partition.leader,
                preferred: partition.replicas.first().copied(),
                replicas: u16::try_from(partition.replicas.len()).unwrap_or(u16::MAX),
                in_sync: partition.in_sync,
                leaderless_since: partition.leader.is_none().then_some(at),
            };
        }
    }
    placements
}
