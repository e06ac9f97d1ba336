//! What is remembered of one group, row by row of its commits, and the outlook that is made of it.

use std::sync::Arc;
use std::time::Duration;

use super::dating::Want;
use super::judge::Holder;
use super::rate::Rate;
use super::row::{Facts, RowTrack};
use super::search::TimeQuestion;
use super::settings::{StatusSettings, TimeLag, TrackSettings};
use super::topic::{TopicTrack, Walls};
use super::{CommitNote, Named, Times};
use crate::derive::{
    BehindCounts, GroupMeaning, GroupOutlook, GroupTopicOutlook, RowOutlook, RowOutlooks, Snapshot, Stamp, TopicLag,
};
use crate::model::heap;
use crate::model::{GroupState, Moment, PartitionId, TopicId, TopicSettings, WallTime};
use crate::state::{CommitTable, HistoryId, Membership, Segment};

/// One life of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life {
    history: HistoryId,
    id: Option<TopicId>,
}

/// What is remembered of a group on one topic.
#[derive(Debug, Clone, Default)]
struct SegmentTrack {
    /// `None`: the topic does not exist, or has not been looked at.
    life: Option<Life>,
    read_at: Option<Moment>,
    /// When a reading last counted towards verdicts.
    counted_at: Option<WallTime>,
    /// How long it was from the last reading but one to the last.
    rhythm: Duration,
    lag: Rate,
    committed: Rate,
    /// The version of the topic that was looked at last.
    topic: Option<Stamp>,
    /// What its rows own on the heap.
    row_bytes: usize,
}

/// One group.
#[derive(Debug, Clone)]
pub(super) struct GroupTrack {
    meaning: Arc<GroupMeaning>,
    rows: Vec<RowTrack>,
    segments: Vec<SegmentTrack>,
    outlook: Arc<GroupOutlook>,
    /// The rows whose append time only the broker can tell, in order.
    wants: Vec<(usize, Want)>,
    /// Whether the group's description could be gone by.
    knew_members: bool,
    /// The version of the settings that all of this goes by.
    terms: Option<Stamp>,
    /// What of it is on the heap.
    bytes: GroupBytes,
}

/// What a group takes on the heap.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GroupBytes {
    /// The facts.
    pub(super) facts: usize,
    /// What is derived from them.
    pub(super) lags: usize,
    /// What is remembered of it.
    pub(super) verdicts: usize,
    /// What that says now.
    pub(super) outlook: usize,
}

/// What a group is looked at with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) topics: &'a [Option<TopicTrack>],
    pub(super) settings: &'a TrackSettings,
    pub(super) named: &'a Named<'a>,
    pub(super) walls: Walls,
    pub(super) times: &'a Times,
    /// The version of the settings.
    pub(super) terms: Option<Stamp>,
    /// See [`Facts::close_readings`].
    pub(super) close_readings: Duration,
}

impl Context<'_> {
    /// Where a topic's append times may come from. What lies below the local log start of a tiered topic is read from
    /// afar: the broker is not asked about such topics.
    fn method(&self, topic: &TopicTrack) -> TimeLag {
        let is_tiered = topic.table.settings.as_ref().is_some_and(|settings| settings.is_tiered);
        match self.settings.time_lag.of(&topic.table.name) {
            TimeLag::Auto | TimeLag::Broker if is_tiered => TimeLag::History,
            method => method,
        }
    }
}

impl GroupTrack {
    pub(super) fn new(meaning: &Arc<GroupMeaning>) -> Self {
        let nothing = GroupOutlook {
            table: meaning.table.clone(),
            rows: RowOutlooks::default(),
            topics: Vec::new(),
            behind: BehindCounts::default(),
        };
        Self {
            meaning: Arc::new(GroupMeaning::of_nothing(&meaning.table)),
            rows: Vec::new(),
            segments: Vec::new(),
            outlook: Arc::new(nothing),
            wants: Vec::new(),
            knew_members: false,
            terms: None,
            bytes: GroupBytes::default(),
        }
    }

    pub(super) fn outlook(&self) -> Arc<GroupOutlook> {
        self.outlook.clone()
    }

    /// Whether what is known leads to no other outlook than before.
    pub(super) fn is_current(&self, meaning: &Arc<GroupMeaning>, context: Context<'_>) -> bool {
        Arc::ptr_eq(&self.meaning, meaning) && self.terms == context.terms && self.wants.is_empty()
    }

    /// Whether what is said of all segments alike is made of the same as when the group was looked at last.
    fn is_comparable(&self, meaning: &GroupMeaning, membership: Option<&Membership>, context: Context<'_>) -> bool {
        let holders = |member: &Membership| (member.members, member.is_simple, member.state);
        let before = self.meaning.table.membership.as_ref().filter(|_| self.knew_members);
        let same_holders = match (before, membership) {
            (Some(before), Some(now)) => holders(before) == holders(now) && before.assignment == now.assignment,
            (before, now) => before.is_none() && now.is_none(),
        };
        let same_isolation = self.meaning.table.is_read_committed == meaning.table.is_read_committed;
        same_holders && same_isolation && self.terms == context.terms && !context.named.is_exhaustive()
    }

    /// What was said of a segment, if all that it was made of is the same as then.
    fn said(&self, place: usize, of: &Of<'_>, topic: Option<&TopicTrack>) -> Option<GroupTopicOutlook> {
        let commits = self.meaning.table.commits.as_deref()?;
        let (track, before) = (self.segments.get(place)?, commits.segments.get(place)?);
        let is_same = track.topic == topic.map(TopicTrack::stamp)
            && of.commits.is_same_segment(of.segment, commits, before)
            && of.meaning.is_same_segment(&self.meaning, place);
        self.outlook.topics.get(place).filter(|_| is_same).copied()
    }

    /// Takes in what is known of the group now; `notes` are commits with times of their own.
    pub(super) fn follow(&mut self, meaning: &Arc<GroupMeaning>, notes: &[CommitNote], context: Context<'_>) {
        let no_commits = CommitTable::default();
        let commits = meaning.table.commits.as_deref().unwrap_or(&no_commits);
        let is_aligned = self.align(commits);
        let wants = std::mem::take(&mut self.wants);
        let mut outlook = GroupOutlook {
            table: meaning.table.clone(),
            rows: RowOutlooks::with_capacity(commits.partitions.len()),
            topics: Vec::with_capacity(commits.segments.len()),
            behind: BehindCounts::default(),
        };
        let membership = context.snapshot.freshness.membership(&meaning.table);
        // By partition; those of one partition stay in the order in which they were made.
        let mut notes = notes.to_vec();
        notes.sort_by_key(CommitNote::place);
        let notes = &notes[..];
        let repeats = is_aligned && notes.is_empty() && self.is_comparable(meaning, membership, context);
        for (place, (segment, lag)) in commits.segments.iter().zip(&meaning.topics).enumerate() {
            let of_topic = Of { commits, segment, lag, meaning, membership, notes, context };
            let topic = context.topics.get(segment.topic.index()).and_then(Option::as_ref);
            // A question that is open goes on: it may be answered, or have waited for too long.
            let is_asked = has_wants(&wants, segment);
            match self.said(place, &of_topic, topic).filter(|_| repeats && !is_asked) {
                Some(said) => {
                    outlook.rows.extend_from(&self.outlook.rows, segment.rows.clone());
                    outlook.topics.push(said);
                }
                None => {
                    self.follow_topic(place, of_topic, topic, &mut outlook);
                    let rows = self.rows.get(segment.rows.clone()).unwrap_or_default();
                    self.segments[place].row_bytes = rows.iter().map(RowTrack::heap_bytes).sum();
                }
            }
        }
        (self.knew_members, self.terms) = (membership.is_some(), context.terms);
        outlook.behind = behind(meaning, &outlook.rows);
        outlook.rows.trim();
        self.meaning = meaning.clone();
        self.outlook = Arc::new(outlook);
        self.bytes = self.measure();
    }

    fn measure(&self) -> GroupBytes {
        let rows = self.segments.iter().map(|segment| segment.row_bytes).sum::<usize>();
        GroupBytes {
            facts: self.meaning.table.heap_bytes(),
            lags: self.meaning.heap_bytes(),
            verdicts: heap::vec(&self.rows) + heap::vec(&self.segments) + heap::vec(&self.wants) + rows,
            outlook: self.outlook.heap_bytes(),
        }
    }

    /// What it takes on the heap, as of when it was followed last.
    pub(super) fn bytes(&self) -> GroupBytes {
        self.bytes
    }

    /// Brings what is remembered into the order of the present commits. Returns whether it was in that order.
    fn align(&mut self, commits: &CommitTable) -> bool {
        let before = self.meaning.table.commits.clone();
        let before = before.as_deref();
        let same_rows = |table: &CommitTable| {
            table.partitions == commits.partitions
                && table.segments.len() == commits.segments.len()
                && table.segments.iter().zip(&commits.segments).all(|(a, b)| (a.topic, &a.rows) == (b.topic, &b.rows))
        };
        if before.is_some_and(same_rows) {
            return true;
        }
        let mut rows = Vec::with_capacity(commits.partitions.len());
        let mut segments = Vec::with_capacity(commits.segments.len());
        for segment in &commits.segments {
            let known = before.and_then(|table| {
                let place = table.segments.binary_search_by_key(&segment.topic, |known| known.topic).ok()?;
                Some((table, place))
            });
            segments.push(known.and_then(|(_, place)| self.segments.get(place).cloned()).unwrap_or_default());
            for partition in &commits.partitions[segment.rows.clone()] {
                let row = known.and_then(|(table, place)| table.row(&table.segments[place], *partition));
                rows.push(row.and_then(|row| self.rows.get_mut(row)).map(std::mem::take).unwrap_or_default());
            }
        }
        (self.rows, self.segments) = (rows, segments);
        false
    }

    fn follow_topic(&mut self, place: usize, of: Of<'_>, topic: Option<&TopicTrack>, outlook: &mut GroupOutlook) {
        self.follow_life(place, of, topic);
        self.segments[place].topic = topic.map(TopicTrack::stamp);
        let Some(topic) = topic else {
            let unknown = RowTrack::default().unknown();
            of.segment.rows.clone().for_each(|_| outlook.rows.push(unknown));
            outlook.topics.push(GroupTopicOutlook::default());
            return;
        };
        let reading = self.segments[place].read(of.segment, of.context.walls, &of.context.settings.status);
        let unchanged_at = topic.ends_at.filter(|_| of.context.named.is_exhaustive());
        self.segments[place].rate(of.lag, &reading, unchanged_at);
        let method = of.context.method(topic);
        let mut deleted_from: Option<WallTime> = None;
        for row in of.segment.rows.clone() {
            let Some((facts, place)) = of.facts(topic, row, &reading) else {
                outlook.rows.push(RowTrack::default().unknown());
                continue;
            };
            let told = self.follow_row(row, &facts, method, &of, &reading);
            outlook.rows.push(if method == TimeLag::Off { told.without_time_lag() } else { told });
            let deleted = of.deleted_from(topic, place, &facts, told.oldest_unread());
            deleted_from = earliest(deleted_from, deleted);
        }
        let track = &self.segments[place];
        outlook.topics.push(GroupTopicOutlook {
            velocity: track.lag.per_second(),
            consume_rate: track.committed.per_second().map(|rate| rate.max(0.0)),
            deleted_from,
        });
    }

    /// Lets go of what was remembered of another life of the topic. When the log merely lost its tail, the commits on what
    /// is left of it count on.
    fn follow_life(&mut self, place: usize, of: Of<'_>, topic: Option<&TopicTrack>) {
        let track = &mut self.segments[place];
        let life = topic.map(|topic| Life { history: topic.table.history, id: topic.table.id });
        let before = std::mem::replace(&mut track.life, life);
        let Some(before) = before else { return };
        if life.is_some_and(|life| life.history == before.history) {
            return;
        }
        *track = SegmentTrack { life, ..SegmentTrack::default() };
        let is_same_topic = life.is_some_and(|life| life.id == before.id);
        for row in of.segment.rows.clone() {
            let end = topic.and_then(|topic| topic.end(of.commits.partitions[row]));
            let stands = is_same_topic && self.rows[row].offset().zip(end).is_some_and(|(offset, end)| offset <= end);
            if stands {
                self.rows[row].forget_times();
            } else {
                self.rows[row] = RowTrack::default();
            }
        }
    }

    fn follow_row(
        &mut self,
        row: usize,
        facts: &Facts<'_>,
        method: TimeLag,
        of: &Of<'_>,
        reading: &SegmentReading,
    ) -> RowOutlook {
        let settings = &of.context.settings.status;
        let (topic, partition) = (of.segment.topic, of.commits.partitions[row]);
        let track = &mut self.rows[row];
        let from = of.notes.partition_point(|note| note.place() < (topic, partition));
        let notes = of.notes[from..].iter().take_while(|note| note.place() == (topic, partition));
        notes.for_each(|note| track.committed((note.offset, note.at), facts, settings));
        track.polled(facts, reading.before, settings);
        track.correct(facts);
        for (record, at) in of.context.times.of(topic, partition) {
            track.told(record, at, facts, method);
        }
        if let Some(want) = track.date(facts, method) {
            self.wants.push((row, want));
        }
        self.rows[row].outlook(facts, settings)
    }

    /// The questions that only the broker can answer.
    pub(super) fn questions(&self) -> impl Iterator<Item = TimeQuestion> + '_ {
        let commits = self.meaning.table.commits.as_deref();
        self.wants.iter().filter_map(move |(row, want)| {
            let commits = commits?;
            let segment = commits.segments.partition_point(|segment| segment.rows.end <= *row);
            Some(TimeQuestion {
                topic: commits.segments.get(segment)?.topic,
                partition: *commits.partitions.get(*row)?,
                offset: want.record,
                not_before: want.not_before,
                not_after: want.not_after,
            })
        })
    }
}

/// Counts the rows on which the group is behind.
fn behind(meaning: &GroupMeaning, rows: &RowOutlooks) -> BehindCounts {
    let mut counts = BehindCounts::default();
    for row in (0..rows.len()).filter(|row| meaning.lag(*row).is_some_and(|lag| lag.0 > 0)) {
        counts.count(rows.get(row).and_then(|told| told.oldest_unread().and(told.method())));
    }
    counts
}

/// Whether one of some questions, in the order of the rows, is about a segment.
fn has_wants(wants: &[(usize, Want)], segment: &Segment) -> bool {
    let from = wants.partition_point(|(row, _)| *row < segment.rows.start);
    wants.get(from).is_some_and(|(row, _)| *row < segment.rows.end)
}

/// What was read of a segment since it was looked at last.
struct SegmentReading {
    /// When it was read; `None`: it was not read since.
    at: Option<WallTime>,
    /// When it was read before that.
    before: Option<WallTime>,
    counts: bool,
}

impl SegmentTrack {
    fn read(&mut self, segment: &Segment, walls: Walls, settings: &StatusSettings) -> SegmentReading {
        let before = self.read_at.map(|at| walls.of(at));
        if self.read_at.is_some_and(|at| segment.at <= at) {
            return SegmentReading { at: None, before, counts: false };
        }
        self.read_at = Some(segment.at);
        let at = walls.of(segment.at);
        let counts = self.counted_at.is_none_or(|counted| at < counted || at.since(counted) >= settings.poll_distance);
        if counts {
            self.counted_at = Some(at);
        }
        self.rhythm = before.map_or(Duration::ZERO, |before| at.since(before));
        SegmentReading { at: Some(at), before, counts }
    }

    /// Takes in how far behind the group is and how far it has come. `unchanged_at`: until then the commits that were not
    /// read are known to be the same; when that is for longer than it took from one to the next, there is none.
    fn rate(&mut self, lag: &TopicLag, reading: &SegmentReading, unchanged_at: Option<WallTime>) {
        let is_silent = |at: &WallTime| reading.before.is_some_and(|before| at.since(before) > self.rhythm);
        let Some(at) = reading.at.or_else(|| unchanged_at.filter(is_silent)) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a rate is no more exact than a double")]
        {
            lag.lag_sum.iter().for_each(|sum| self.lag.observe(sum.0 as f64, at));
            lag.committed_sum.iter().for_each(|sum| self.committed.observe(*sum as f64, at));
        }
    }
}

/// A group's commits on one topic, with all that is known about them.
#[derive(Clone, Copy)]
struct Of<'a> {
    commits: &'a CommitTable,
    segment: &'a Segment,
    lag: &'a TopicLag,
    meaning: &'a GroupMeaning,
    membership: Option<&'a Membership>,
    notes: &'a [CommitNote],
    context: Context<'a>,
}

impl<'a> Of<'a> {
    fn facts(&self, topic: &'a TopicTrack, row: usize, reading: &SegmentReading) -> Option<(Facts<'a>, usize)> {
        let partition = self.commits.partitions[row];
        let place = topic.table.place(partition)?;
        let is_named = self.context.named.names_commit(&self.meaning.table.name, self.segment.topic, partition);
        let facts = Facts {
            offset: self.commits.offsets[row].get()?,
            read_at: reading.at.filter(|_| is_named && self.commits.is_current(row)),
            counts: reading.counts,
            lag: self.meaning.lag(row),
            start: topic.table.starts[place].known(),
            end: topic.table.ends[place].known(),
            partition: topic.partition(place)?,
            holder: self.holder(partition),
            close_readings: self.context.close_readings,
            now: self.context.walls.now(),
        };
        Some((facts, place))
    }

    fn holder(&self, partition: PartitionId) -> Holder {
        let Some(member) = self.membership.filter(|member| !member.is_simple) else { return Holder::Unknown };
        let is_settled = matches!(member.state, GroupState::Stable | GroupState::Reconciling);
        match member.assignment.binary_search_by_key(&self.segment.topic, |assigned| assigned.topic) {
            _ if member.members == 0 => Holder::Nobody,
            Ok(place) if member.assignment[place].partitions.binary_search(&partition).is_ok() => Holder::Member,
            // Its members have left their partitions, and are about to get others.
            _ if !is_settled => Holder::Member,
            Ok(_) => Holder::Nobody,
            Err(_) => Holder::TopicDropped,
        }
    }

    /// When the oldest unread record may be deleted at the earliest; `None`: never, or it is not known.
    fn deleted_from(
        &self,
        topic: &TopicTrack,
        place: usize,
        facts: &Facts<'_>,
        oldest_unread: Option<WallTime>,
    ) -> Option<WallTime> {
        let settings = topic.table.settings.as_deref();
        if facts.lag.is_none_or(|lag| lag.0 == 0) || settings.is_some_and(|settings| settings.cleanup.compact) {
            return None;
        }
        let by_time = settings.and_then(|settings| Some(oldest_unread?.plus(settings.deletes_after()?)));
        // Where nothing is deleted by itself, applications delete what they have read: that threatens nobody.
        let moves_by_itself = settings.is_none_or(TopicSettings::is_limited);
        let by_moves = topic.partition(place)?.start_reaches(facts.unread(), facts.now).filter(|_| moves_by_itself);
        earliest(by_time, by_moves)
    }
}

fn earliest(a: Option<WallTime>, b: Option<WallTime>) -> Option<WallTime> {
    a.into_iter().chain(b).min()
}
