//! Consumer groups: who is in them, what they have committed, how far behind they are.

use std::sync::Arc;

use crate::derive::{GroupMeaning, Snapshot, TopicLag};
use crate::metrics::exposition::{Samples, Value};
use crate::model::{Messages, WallTime};
use crate::state::{AssignedTopic, CommitTable, Membership, Segment, TopicIx};

fn membership<'a>(snapshot: &Snapshot, group: &'a GroupMeaning) -> Option<&'a Membership> {
    snapshot.freshness.membership(&group.table)
}

fn topic_name(snapshot: &Snapshot, ix: TopicIx) -> Option<&Arc<str>> {
    snapshot.world.names.name(ix)
}

pub(super) fn info(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    if let Some(member) = membership(snapshot, group) {
        let mut id = itoa::Buffer::new();
        let coordinator = id.format(member.coordinator.0);
        samples.sample(&[&group.table.name, member.kind.as_str(), &member.protocol, coordinator], true);
    }
}

pub(super) fn state(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    if let Some(member) = membership(snapshot, group) {
        samples.sample(&[&group.table.name, member.state.as_str()], true);
    }
}

pub(super) fn members(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    if let Some(member) = membership(snapshot, group) {
        samples.sample(&[&group.table.name], member.members);
    }
}

/// A sample for each topic that the group's members hold parts of. Consumers that assign for themselves tell nobody
/// what they hold.
fn assigned(
    snapshot: &Snapshot,
    group: &GroupMeaning,
    samples: &mut Samples<'_>,
    value: impl Fn(&AssignedTopic) -> Option<u32>,
) {
    let Some(member) = membership(snapshot, group).filter(|member| !member.is_simple) else { return };
    for assigned in &member.assignment {
        if let (Some(topic), Some(value)) = (topic_name(snapshot, assigned.topic), value(assigned)) {
            samples.sample(&[&group.table.name, topic], value);
        }
    }
}

pub(super) fn topic_members(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    assigned(snapshot, group, samples, |assigned| Some(assigned.members));
}

pub(super) fn assigned_partitions(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    assigned(snapshot, group, samples, |assigned| Some(assigned.held()));
}

pub(super) fn unassigned_partitions(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    assigned(snapshot, group, samples, |assigned| {
        let table = snapshot.world.topic(assigned.topic)?;
        let all = u32::try_from(table.partitions()).ok()?;
        snapshot.freshness.is_placed(table).then(|| all.saturating_sub(assigned.held()))
    });
}

/// A sample for each topic that the group has committed on.
fn by_topic<V: Value>(
    snapshot: &Snapshot,
    group: &GroupMeaning,
    samples: &mut Samples<'_>,
    value: impl Fn(&Segment, &TopicLag) -> Option<V>,
) {
    for (_, segment, lag) in group.segments() {
        if let (Some(topic), Some(value)) = (topic_name(snapshot, segment.topic), value(segment, lag)) {
            samples.sample(&[&group.table.name, topic], value);
        }
    }
}

/// A sample for each partition that the group has committed on, without those that are left out for having no lag.
fn by_partition<V: Value>(
    snapshot: &Snapshot,
    group: &GroupMeaning,
    samples: &mut Samples<'_>,
    value: impl Fn(&CommitTable, &Segment, usize) -> Option<V>,
) {
    let is_left_out = |row: usize| snapshot.detail.terms.drops_zero_lag && group.lag(row) == Some(Messages(0));
    for (commits, segment, _) in group.segments() {
        let Some(topic) = topic_name(snapshot, segment.topic) else { continue };
        let mut run = samples.run(&[&group.table.name, topic]);
        for row in segment.rows.clone().filter(|row| !is_left_out(*row)) {
            if let (Some(partition), Some(value)) = (commits.partitions.get(row), value(commits, segment, row)) {
                run.row(partition.0, value);
            }
        }
    }
}

pub(super) fn current_offset(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_partition(snapshot, group, samples, |commits, segment, row| {
        Some(snapshot.freshness.commit(commits, segment, row)?.get())
    });
}

pub(super) fn current_offset_sum(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |_, lag| lag.committed_sum);
}

pub(super) fn current_offset_sampled_sum(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |_, lag| lag.committed_sampled_sum);
}

fn number(messages: Option<Messages>) -> Option<u64> {
    messages.map(|messages| messages.0)
}

pub(super) fn lag(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_partition(snapshot, group, samples, |_, _, row| number(group.lag(row)));
}

pub(super) fn lag_sum(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |_, lag| number(lag.lag_sum));
}

pub(super) fn lag_sampled_sum(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |_, lag| number(lag.lag_sampled_sum));
}

pub(super) fn topic_max_lag(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |_, lag| number(lag.max_lag));
}

pub(super) fn max_lag(_: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    if let Some(lag) = number(group.max_lag) {
        samples.sample(&[&group.table.name], lag);
    }
}

pub(super) fn unknown(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |_, lag| Some(lag.unknown));
}

pub(super) fn last_commit(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |segment, _| segment.moved_at.map(WallTime::as_seconds));
}

pub(super) fn commits_total(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    let stream = snapshot.world.stream.as_ref();
    if let Some(streamed) = stream.and_then(|stream| stream.groups.get(&group.table.name)) {
        samples.sample(&[&group.table.name], streamed.commits);
    }
}

pub(super) fn lost_sum(snapshot: &Snapshot, group: &GroupMeaning, samples: &mut Samples<'_>) {
    by_topic(snapshot, group, samples, |_, lag| number(lag.lost_sum));
}
