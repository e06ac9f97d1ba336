//! The verdict on a partition: Burrow's rules, with what is known to be wrong with them mended.
//!
//! Commits with times of their own are judged by these rules to the letter. Polled ones tell no times: what they lack,
//! membership makes up for. A member that holds the partition and does not advance stalls; a partition that does not
//! advance and that nobody holds is stopped.

use std::time::Duration;

use super::ring::{Commit, Ends, Ring};
use super::settings::StatusSettings;
use crate::derive::Verdict;
use crate::model::{GroupStatus, Messages, Offset, WallTime};

/// How long a topic of which no member holds a part any more, while the group lives, is missed.
const ABANDONED_TOPIC_AFTER: Duration = Duration::from_secs(3600);

/// How long the only commit that was ever seen on a partition may stand before it means something.
const LONE_COMMIT_STANDS: Duration = Duration::from_secs(300);

/// Who holds a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// A member of the group, or one will in a moment: the group rebalances.
    Member,
    /// Nobody: the group has no members, or none of them was given it.
    Nobody,
    /// Nobody holds any part of the topic, and the group has members.
    TopicDropped,
    /// Not known, or the group's consumers assign for themselves.
    Unknown,
}

/// What a verdict is made of.
#[derive(Debug)]
pub(super) struct Case<'a> {
    /// The last commits; `None`: the group has never been behind.
    pub(super) ring: Option<&'a Ring>,
    /// The last ends.
    pub(super) ends: &'a Ends,
    /// The commit that stands.
    pub(super) offset: Offset,
    /// Since when, as far as is known.
    pub(super) since: WallTime,
    /// When that was seen last.
    pub(super) seen_at: WallTime,
    /// How far behind the group is.
    pub(super) lag: Messages,
    /// Who holds the partition.
    pub(super) holder: Holder,
}

/// Judges one partition.
pub(super) fn judge(case: &Case<'_>, settings: &StatusSettings) -> Verdict {
    if case.lag.0 <= settings.allowed_lag {
        return Verdict::of(GroupStatus::Ok);
    }
    if case.is_residue(settings) {
        return Verdict::of(GroupStatus::Ok);
    }
    let verdict = match case.ring.filter(|ring| ring.is_timed && ring.len() > 1) {
        Some(ring) => by_commit_times(case, ring, settings),
        None => by_membership(case, settings),
    };
    Verdict { abandoned_from: case.abandoned_from(&verdict, settings), ..verdict }
}

/// Burrow's rules to the letter.
fn by_commit_times(case: &Case<'_>, ring: &Ring, settings: &StatusSettings) -> Verdict {
    let stop_after = ring.first().zip(ring.last()).and_then(|(first, last)| {
        // With an end at or before the last commit among those that were seen lately the group was at the end lately.
        // While all that was left was a marker there was nothing to commit: silence counts from when records came.
        let quiet_from =
            case.ends.rested_until(last.offset, settings.marker_slack).map_or(last.at, |at| at.max(last.at));
        case.ends.all_past(last.offset).then(|| quiet_from.plus(last.at.since(first.at)))
    });
    let commits: Vec<Commit> = ring.iter().copied().collect();
    let status = if is_rewound(&commits) {
        GroupStatus::Rewind
    } else if rested_at_markers(&commits, settings.marker_slack) {
        GroupStatus::Ok
    } else {
        slowness(&commits, settings.allowed_lag, settings.allowed_lag)
    };
    Verdict { turns_into: GroupStatus::Stop, turns_after: stop_after, ..Verdict::of(status) }
}

/// The same rules for commits that were polled, where membership says what is wrong with one that does not advance.
fn by_membership(case: &Case<'_>, settings: &StatusSettings) -> Verdict {
    let commits = case.commits();
    let advances = match commits.as_slice() {
        [.., before, last] => last.offset > before.offset,
        _ => false,
    };
    // A commit with a time of its own tells by itself when it becomes silent.
    let is_timed = case.ring.is_some_and(|ring| ring.is_timed);
    let is_held = matches!(case.holder, Holder::Member) && !is_timed;
    let is_left = matches!(case.holder, Holder::Nobody | Holder::TopicDropped);
    if is_rewound(&commits) {
        return Verdict::of(GroupStatus::Rewind);
    }
    if is_left && !advances {
        return Verdict::of(GroupStatus::Stop);
    }
    // Where polling itself goes on nothing is silent; what was not seen for long is.
    let turns_after = commits.first().zip(commits.last()).and_then(|(first, last)| {
        let patience = if commits.len() > 1 { last.at.since(first.at) } else { LONE_COMMIT_STANDS };
        case.ends.all_past(case.offset).then(|| last.at.plus(patience))
    });
    let turns_into = if is_held { GroupStatus::Stall } else { GroupStatus::Stop };
    if rested_at_markers(&commits, settings.marker_slack) {
        return Verdict { turns_into, turns_after, ..Verdict::of(GroupStatus::Ok) };
    }
    // Who rests at a marker has read all: the transaction that a poll comes upon next makes it no slower.
    let at_end = settings.allowed_lag.max(settings.marker_slack);
    let status = match case.ring {
        Some(ring) if ring.len() >= least_polled(settings) => slowness(&commits, settings.allowed_lag, at_end),
        _ => GroupStatus::Ok,
    };
    Verdict { turns_into, turns_after, ..Verdict::of(status) }
}

/// Commits that must have counted before a group is called slow. Where they are picked from many readings, two say little:
/// a group may not have committed in between, or may be a little further behind than it was.
fn least_polled(settings: &StatusSettings) -> usize {
    if settings.poll_distance.is_zero() { 2 } else { 3 }
}

/// Rule 2: an offset went down and no later commit made up for it.
fn is_rewound(commits: &[Commit]) -> bool {
    let fell = |place: usize| commits[place].offset < commits[place - 1].offset;
    let regained = |place: usize| commits[place..].iter().any(|later| later.offset >= commits[place - 1].offset);
    (1..commits.len()).any(|place| fell(place) && !regained(place))
}

/// Whether the group was at the end but for a transaction's marker: at every commit, or at one that was there twice. Records
/// that have come since then make it neither stalled nor slow, as they do not where an end without a marker was reached.
fn rested_at_markers(commits: &[Commit], slack: u64) -> bool {
    let is_close = |commit: &Commit| commit.lag().is_some_and(|lag| lag.0 <= slack);
    let rests = |pair: &[Commit]| pair[0].offset == pair[1].offset && pair.iter().all(is_close);
    slack > 0 && (commits.iter().all(is_close) || commits.windows(2).any(rests))
}

/// Rule 3: behind at every commit, and none of them moves, or the lag never falls. One commit says neither. A group whose
/// commits move has been at the end when one of them was up to `at_end` away from it.
fn slowness(commits: &[Commit], allowed_lag: u64, at_end: u64) -> GroupStatus {
    let lags = || commits.iter().filter_map(|commit| commit.lag());
    let always_behind = |by: u64| lags().all(|lag| lag.0 > by);
    if commits.len() < 2 || !always_behind(allowed_lag) {
        return GroupStatus::Ok;
    }
    if commits.windows(2).all(|pair| pair[0].offset == pair[1].offset) {
        return GroupStatus::Stall;
    }
    let never_falls = lags().zip(lags().skip(1)).all(|(before, after)| after >= before);
    if never_falls && always_behind(at_end) { GroupStatus::Warn } else { GroupStatus::Ok }
}

impl Case<'_> {
    /// The stored commits, and the one that stands when it is not among them.
    fn commits(&self) -> Vec<Commit> {
        let mut commits: Vec<Commit> = self.ring.iter().flat_map(|ring| ring.iter()).copied().collect();
        let is_timed = self.ring.is_some_and(|ring| ring.is_timed);
        let is_stored = is_timed || commits.last().is_some_and(|last| last.at >= self.seen_at);
        if !is_stored {
            commits.push(Commit::new(self.offset, self.seen_at, Some(self.lag)));
        }
        commits
    }

    /// Whether the lag is what a transaction's marker leaves: as small, and either it always was, or neither the end nor
    /// the commit has moved since the oldest end that is remembered.
    pub(super) fn is_residue(&self, settings: &StatusSettings) -> bool {
        if self.lag.0 > settings.marker_slack {
            return false;
        }
        if self.ends.still_since().is_some_and(|since| self.since <= since) {
            return true;
        }
        let commits = self.commits();
        !is_rewound(&commits)
            && commits.iter().all(|commit| commit.lag().is_none_or(|lag| lag.0 <= settings.marker_slack))
    }

    /// Whether it is known to be one: end and commit have stood still for a whole ring.
    pub(super) fn is_settled_residue(&self, settings: &StatusSettings) -> bool {
        let is_whole = self.ends.is_full(usize::from(settings.intervals));
        let is_still = self.ends.still_since().is_some_and(|since| self.since <= since);
        self.lag.0 <= settings.marker_slack && is_whole && is_still
    }

    /// When somebody was there last. Who commits the same offset again and again, at times of its own, is.
    fn tended_at(&self) -> WallTime {
        let committed = self.ring.filter(|ring| ring.is_timed).and_then(Ring::last);
        committed.map_or(self.since, |last| last.at.max(self.since))
    }

    /// From when on nobody misses the partition.
    fn abandoned_from(&self, verdict: &Verdict, settings: &StatusSettings) -> Option<WallTime> {
        if verdict.status == GroupStatus::Ok && verdict.turns_after.is_none() {
            return None;
        }
        match self.holder {
            Holder::Member => None,
            Holder::TopicDropped => Some(self.tended_at().plus(ABANDONED_TOPIC_AFTER.min(settings.abandoned_after))),
            Holder::Nobody | Holder::Unknown => Some(self.tended_at().plus(settings.abandoned_after)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// What is said of a polled group that a member reads for, by its commits and their lags, a minute apart.
    fn polled(seen: &[(i64, u64)]) -> GroupStatus {
        let (mut ring, mut ends) = (Ring::default(), Ends::default());
        let mut commits = seen.iter().zip(0..).map(|((offset, lag), minute)| {
            let offset = Offset::new(*offset).unwrap();
            Commit::new(offset, WallTime(minute * 60_000), Some(Messages(*lag)))
        });
        let mut last = commits.next().unwrap();
        ring.push(last, 10, Duration::ZERO);
        for commit in commits {
            let end = commit.offset.get() + i64::try_from(commit.lag().unwrap().0).unwrap();
            ring.push(commit, 10, Duration::ZERO);
            ends.push(Offset::new(end).unwrap(), commit.at, 10);
            last = commit;
        }
        let (offset, at, lag) = (last.offset, last.at, last.lag().unwrap());
        let holder = Holder::Member;
        let case = Case { ring: Some(&ring), ends: &ends, offset, since: at, seen_at: at, lag, holder };
        judge(&case, &StatusSettings::default()).status
    }

    /// The verdict on a consumer that commits when it has read something, a minute apart, and what it turns into when it is
    /// silent; `ends` are those that were seen since then, a minute apart too.
    fn timed(seen: &[(i64, u64)], ends_since: &[i64], lag: u64) -> (GroupStatus, Option<WallTime>) {
        let (mut ring, mut ends, mut minute) = (Ring::of_timed(), Ends::default(), 0);
        let mut end_at = |end: i64, at: WallTime| ends.push(Offset::new(end).unwrap(), at, 10);
        for (offset, lag) in seen {
            let (offset, at) = (Offset::new(*offset).unwrap(), WallTime(minute * 60_000));
            ring.push(Commit::new(offset, at, Some(Messages(*lag))), 10, Duration::ZERO);
            end_at(offset.get() + i64::try_from(*lag).unwrap(), at);
            minute += 1;
        }
        for end in ends_since {
            end_at(*end, WallTime(minute * 60_000));
            minute += 1;
        }
        let last = *ring.last().unwrap();
        let (offset, since, lag, holder) = (last.offset, last.at, Messages(lag), Holder::Member);
        let verdict = judge(
            &Case { ring: Some(&ring), ends: &ends, offset, since, seen_at: since, lag, holder },
            &StatusSettings::default(),
        );
        (verdict.status, verdict.turns_after)
    }

    #[test]
    fn who_was_at_a_marker_is_not_at_fault_the_moment_that_records_come() {
        let at = |minute: i64| Some(WallTime(minute * 60_000));
        let rested = [(10, 1), (20, 1), (30, 1)];
        let long = [31, 31, 31, 31, 31, 31, 31, 31, 31, 35];
        assert_eq!(timed(&rested, &long, 5), (GroupStatus::Ok, at(11 + 2)), "silent from the eleventh minute on");
        assert_eq!(timed(&rested, &[35; 10], 5), (GroupStatus::Ok, at(2 + 2)), "it did not rest");
        assert_eq!(timed(&[(30, 1), (30, 1), (30, 1)], &[35], 5).0, GroupStatus::Ok);
        assert_eq!(timed(&[(30, 1), (30, 1), (30, 5)], &[35], 5).0, GroupStatus::Ok, "as with 0, 0, 4");
        assert_eq!(timed(&[(30, 1), (30, 5), (30, 9)], &[39], 9).0, GroupStatus::Stall);
        assert_eq!(timed(&[(10, 1), (20, 2), (30, 3)], &[33], 3).0, GroupStatus::Warn);
        assert_eq!(
            timed(&[(10, 2), (20, 2), (30, 2)], &[32, 32, 32, 32, 32, 32, 32, 32, 32, 35], 5),
            (GroupStatus::Warn, at(2 + 2))
        );
        assert_eq!(polled(&[(10, 1), (10, 1), (10, 6)]), GroupStatus::Ok);
    }

    #[test]
    fn who_rests_at_markers_is_not_slow_in_the_middle_of_a_transaction() {
        assert_eq!(polled(&[(10, 1), (20, 1), (30, 1), (40, 6)]), GroupStatus::Ok);
        assert_eq!(polled(&[(10, 2), (20, 2), (30, 2), (40, 6)]), GroupStatus::Warn, "more than a marker");
        assert_eq!(polled(&[(10, 1), (10, 6), (10, 16)]), GroupStatus::Stall, "it does not move");
    }
}
