//! What is wrong with a group: findings made from facts alone, the worst first. Their wording is the reports' business.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Snapshot, Standing, TopicStanding};
use crate::model::{GroupState, GroupStatus, Messages, PartitionId, WallTime};
use crate::state::Membership;

/// A rebalance that every description has found for so long does not come to an end by itself. Kafka's own limit for a
/// member to join again is `max.poll.interval.ms`, five minutes unless it is set.
const REBALANCE_IS_LONG: Duration = Duration::from_secs(5 * 60);
/// A group whose verdict is good and whose lag grows all the same is reported once it is so far behind: a burst ends before.
const FALLING_BEHIND_IS_LONG: Duration = Duration::from_secs(15 * 60);
/// Slower than this, in messages a second, a lag does not grow.
const GROWTH_WORTH_SAYING: f64 = 0.1;
/// Less time than this until unread records may be deleted is short, unless half of what there was is still left.
const HEADROOM_IS_SHORT: Duration = Duration::from_secs(6 * 3600);

/// What is wrong with one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis<'a> {
    /// The group.
    pub group: &'a str,
    /// What is wrong, the worst first; none when the only trouble is that time runs out.
    pub findings: Vec<Finding<'a>>,
    /// How far behind it is where it is worst off; `None`: nowhere, or it is not known.
    pub behind: Option<Behind<'a>>,
    /// How long it takes until the first unread record may be deleted.
    pub headroom: Option<Duration>,
    /// How fast its lag grows where it is worst off, in messages a second; `None`: it does not, or it is not known.
    pub growth: Option<f64>,
    /// How long it needs to catch up there.
    pub catch_up: Option<Duration>,
    /// Further topics on which its verdict is bad.
    pub more_topics: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding<'a> {
    /// Messages were deleted before the group read them.
    Lost {
        /// Where most of them were.
        topic: &'a str,
        /// How many there.
        messages: Messages,
    },
    /// There is something to read, and nobody to read it.
    NoMembers {
        /// Since when; `None`: since before it was first seen.
        since: Option<WallTime>,
    },
    /// A rebalance does not come to an end.
    Rebalancing {
        /// For how long at least.
        lasting: Duration,
    },
    /// Partitions have a bad verdict.
    Verdict {
        /// `Stop`, `Stall`, `Rewind` or `Warn`.
        status: GroupStatus,
        /// Which ones.
        place: Place<'a>,
        /// When a commit on the topic last moved, when all of its partitions are to blame.
        moved_at: Option<WallTime>,
    },
    /// Nobody holds some partitions of a topic that the group reads.
    Unassigned {
        /// The topic.
        topic: &'a str,
        /// How many nobody holds.
        partitions: usize,
        /// How many there are.
        of: usize,
    },
    /// The verdict is good, yet the lag has been growing for long and does not stop.
    FallingBehind {
        /// Where.
        topic: &'a str,
    },
}

/// Partitions of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition, when it is one alone among several.
    pub partition: Option<PartitionId>,
    /// How many partitions it is about.
    pub partitions: usize,
    /// How many of the topic the group reads.
    pub of: usize,
}

/// How far behind a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind<'a> {
    /// On which topic.
    pub topic: &'a str,
    /// On which partition, when one alone is to blame.
    pub partition: Option<PartitionId>,
    /// In messages.
    pub messages: Messages,
    /// Whether more may be behind on partitions that are not known.
    pub is_at_least: bool,
    /// In time, where that is known.
    pub time: Option<Duration>,
}

impl<'a> Finding<'a> {
    /// The topic that it is about, if it is about one.
    #[must_use]
    pub fn topic(&self) -> Option<&'a str> {
        match self {
            Self::Lost { topic, .. } | Self::Unassigned { topic, .. } | Self::FallingBehind { topic } => Some(topic),
            Self::Verdict { place, .. } => Some(place.topic),
            Self::NoMembers { .. } | Self::Rebalancing { .. } => None,
        }
    }

    /// How bad it is; more is worse.
    #[must_use]
    pub fn weight(&self) -> u8 {
        match self {
            Self::Lost { .. } => 8,
            Self::NoMembers { .. } => 7,
            Self::Rebalancing { .. } => 6,
            Self::Verdict { status, .. } => status.badness() + 1,
            Self::Unassigned { .. } | Self::FallingBehind { .. } => 1,
        }
    }
}

impl<'a> Diagnosis<'a> {
    /// What is wrong with a group at a time; `None`: nothing that is known.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot, standing: Standing<'a>, now: WallTime) -> Option<Self> {
        let surveys: Vec<Survey<'a>> =
            standing.topics().filter_map(|topic| Survey::of(snapshot, standing, topic)).collect();
        let worst = surveys.iter().filter(|survey| survey.messages > 0).max_by_key(|survey| survey.order());
        let examined = Examined { snapshot, standing, now, surveys: &surveys, worst };
        let findings = examined.findings();
        let headroom = surveys.iter().filter_map(|survey| survey.topic.retention_headroom()).min();
        if findings.is_empty() && !surveys.iter().any(Survey::runs_out_of_time) {
            return None;
        }
        let lost = findings.iter().any(|finding| matches!(finding, Finding::Lost { .. }));
        let affected = surveys.iter().filter(|survey| survey.status.badness() > 0).count();
        let is_said = usize::from(worst.is_some_and(|worst| worst.status.badness() > 0));
        Some(Self {
            group: &standing.group.table.name,
            behind: worst.map(|worst| worst.behind(standing, &findings)),
            headroom: headroom.filter(|_| !lost),
            growth: worst.and_then(Survey::growth),
            // A lag also shrinks when what was not read is deleted: that is no catching up.
            catch_up: worst.and_then(|worst| worst.topic.catch_up()).filter(|_| !lost),
            more_topics: affected - is_said,
            findings,
        })
    }

    /// Sorts diagnoses so that the worst comes first.
    #[must_use]
    pub fn order(&self) -> impl Ord + use<'a> {
        let weight = self.findings.first().map_or(1, Finding::weight);
        let behind = self.behind.map(|behind| (behind.time, behind.messages));
        Reverse((weight, behind))
    }
}

/// Everything that findings are made from.
struct Examined<'s, 'a> {
    snapshot: &'a Snapshot,
    standing: Standing<'a>,
    now: WallTime,
    surveys: &'s [Survey<'a>],
    worst: Option<&'s Survey<'a>>,
}

impl<'a> Examined<'_, 'a> {
    fn findings(&self) -> Vec<Finding<'a>> {
        // Groups that assign for themselves never have members: that says nothing of them.
        let membership = self.snapshot.freshness.membership(&self.standing.group.table);
        let membership = membership.filter(|membership| !membership.is_simple);
        let without_readers = membership.and_then(|membership| self.no_members(membership));
        let without_readers = without_readers.or_else(|| membership.and_then(|known| self.rebalancing(known)));
        let verdict = self.verdict().filter(|(status, _)| {
            let nobody_reads = matches!(status, GroupStatus::Stop | GroupStatus::Stall);
            without_readers.is_none() || !nobody_reads
        });
        let unassigned = || membership.and_then(|membership| self.unassigned(membership));
        let mut findings: Vec<Finding<'a>> = self.lost().into_iter().chain(without_readers).collect();
        findings.extend(verdict.map(|(_, finding)| finding));
        if without_readers.is_none() {
            findings.extend(unassigned());
        }
        if findings.is_empty() {
            findings.extend(self.falling_behind());
        }
        findings.sort_by_key(|finding| Reverse(finding.weight()));
        findings
    }

    fn lost(&self) -> Option<Finding<'a>> {
        let lost = self.surveys.iter().filter_map(|survey| Some((survey.topic.lag.lost_sum?, survey.name)));
        let (messages, topic) = lost.filter(|(lost, _)| lost.0 > 0).max_by_key(|(lost, _)| *lost)?;
        Some(Finding::Lost { topic, messages })
    }

    fn no_members(&self, membership: &Membership) -> Option<Finding<'a>> {
        let is_empty = membership.members == 0 && !membership.state.is_rebalancing();
        // A group may do its work between two visits: where its commits say that it does, they are believed.
        let does_its_work = matches!(self.standing.status(), Some(GroupStatus::Ok | GroupStatus::Warn));
        (is_empty && self.worst.is_some() && !does_its_work).then(|| Finding::NoMembers {
            since: membership.empty_since.map(|moment| self.snapshot.derived_at.wall_at(moment)),
        })
    }

    fn rebalancing(&self, membership: &Membership) -> Option<Finding<'a>> {
        let since = self.snapshot.derived_at.wall_at(membership.rebalancing_since?);
        let lasting = self.now.since(since);
        (lasting >= REBALANCE_IS_LONG).then_some(Finding::Rebalancing { lasting })
    }

    fn verdict(&self) -> Option<(GroupStatus, Finding<'a>)> {
        let worst = self.worst.filter(|worst| worst.status.badness() > 0)?;
        let place = Place {
            topic: worst.name,
            partition: worst.to_blame(),
            partitions: worst.blamed.len(),
            of: worst.rows.len(),
        };
        let moved_at = worst.topic.segment.moved_at.filter(|_| place.partitions == place.of);
        Some((worst.status, Finding::Verdict { status: worst.status, place, moved_at }))
    }

    fn unassigned(&self, membership: &Membership) -> Option<Finding<'a>> {
        if membership.state != GroupState::Stable || membership.members == 0 {
            return None;
        }
        let unheld = membership.assignment.iter().filter_map(|assigned| {
            let table = self.snapshot.world.topic(assigned.topic)?;
            let of = table.partitions();
            let partitions = of.saturating_sub(assigned.partitions.len());
            let is_known = self.snapshot.freshness.is_placed(table) && partitions > 0;
            is_known.then_some(Finding::Unassigned { topic: &table.name, partitions, of })
        });
        unheld.max_by_key(|finding| match finding {
            Finding::Unassigned { partitions, .. } => *partitions,
            _ => 0,
        })
    }

    fn falling_behind(&self) -> Option<Finding<'a>> {
        let worst = self.worst?;
        worst.growth()?;
        (worst.time? >= FALLING_BEHIND_IS_LONG).then_some(Finding::FallingBehind { topic: worst.name })
    }
}

/// A group on one topic: the partitions that count, and what is worst among them.
struct Survey<'a> {
    name: &'a str,
    topic: TopicStanding<'a>,
    /// Rows whose lag is known, but for those that nobody has read for long.
    rows: Vec<usize>,
    /// The worst verdict.
    status: GroupStatus,
    /// The rows that have it, when it is bad.
    blamed: Vec<usize>,
    messages: u64,
    time: Option<Duration>,
}

impl<'a> Survey<'a> {
    /// `None`: nobody reads the topic any more, or nothing is known.
    fn of(snapshot: &'a Snapshot, standing: Standing<'a>, topic: TopicStanding<'a>) -> Option<Self> {
        let counts = |row: &usize| standing.group.lag(*row).is_some() && !standing.is_abandoned(*row);
        let rows: Vec<usize> = topic.segment.rows.clone().filter(counts).collect();
        if rows.is_empty() {
            return None;
        }
        let verdict = |row: &usize| standing.partition_status(*row).unwrap_or(GroupStatus::NotFound);
        let status = rows.iter().map(verdict).max_by_key(|status| status.badness())?;
        let blamed = rows.iter().copied().filter(|row| status.badness() > 0 && verdict(row) == status).collect();
        let messages = rows.iter().filter_map(|row| standing.group.lag(*row)).map(|lag| lag.0);
        Some(Self {
            name: snapshot.world.names.name(topic.segment.topic)?,
            topic,
            status,
            blamed,
            messages: messages.fold(0, u64::saturating_add),
            time: rows.iter().filter_map(|row| standing.time_lag(*row)).max(),
            rows,
        })
    }

    /// More is worse.
    fn order(&self) -> impl Ord + use<> {
        (self.status.badness(), self.time, self.messages)
    }

    fn growth(&self) -> Option<f64> {
        self.topic.velocity().filter(|velocity| *velocity >= GROWTH_WORTH_SAYING)
    }

    /// The only partition to blame, where there are others.
    fn to_blame(&self) -> Option<PartitionId> {
        let [row] = self.blamed[..] else { return None };
        (self.rows.len() > 1).then(|| self.topic.commits.partitions[row])
    }

    /// When a verdict blames one partition alone, how far behind that one is.
    fn behind(&self, standing: Standing<'a>, findings: &[Finding<'a>]) -> Behind<'a> {
        let is_verdict = |finding: &Finding<'_>| matches!(finding, Finding::Verdict { .. });
        let partition = self.to_blame().filter(|_| findings.iter().any(is_verdict));
        let only = self.blamed.first().copied().filter(|_| partition.is_some());
        Behind {
            topic: self.name,
            partition,
            messages: only.and_then(|row| standing.group.lag(row)).unwrap_or(Messages(self.messages)),
            is_at_least: only.is_none() && (self.topic.lag.unknown > 0 || self.topic.segment.sample.is_some()),
            time: only.map_or(self.time, |row| standing.time_lag(row)),
        }
    }

    /// Whether unread records may soon be deleted: little time is left, less than half of what there was, and the group
    /// will not have caught up by then. A topic that keeps its records for minutes always has little time.
    fn runs_out_of_time(&self) -> bool {
        let Some(left) = self.topic.retention_headroom() else { return false };
        let is_mostly_used_up = self.time.is_none_or(|time| time > left);
        let is_in_time = self.topic.catch_up().is_some_and(|needed| needed < left);
        left < HEADROOM_IS_SHORT && is_mostly_used_up && !is_in_time
    }
}
