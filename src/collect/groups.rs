//! The groups collector: state, members and assignments, described by each group's coordinator.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::ask::Asker;
use super::brokers::{Names, members};
use super::offsets::failure_answer;
use super::report::PassReport;
use super::settings::GroupScope;
use crate::kafka::{GroupReply, KafkaApi, KafkaError, Operation, Target};
use crate::model::{BrokerId, GroupState, KafkaCode, MaxAge, Moment};
use crate::schedule::{Answer, Scheduler};
use crate::state::{CollectorName, GroupLists, World};

/// Groups a call. On the wire each group is a request of its own, so this bounds what one call puts in flight.
const GROUPS_PER_CALL: usize = 50;
/// librdkafka asks for a classic group in the way of KIP-848 first.
const REQUESTS_PER_DESCRIPTION: usize = 2;

/// Takes in the brokers' lists. What is listed otherwise than before is asked for at once.
pub(super) fn apply_lists(world: &mut World, scheduler: &mut Scheduler, lists: &GroupLists, scope: &GroupScope) {
    world.groups.apply_lists(lists, |listing| {
        let state_is_shown = scope.states.is_empty() || scope.states.contains(&listing.state);
        state_is_shown && scope.names.matches(&listing.group)
    });
    world.groups.set_read_committed(|name| scope.read_committed.matches(name));
    for group in world.groups.iter() {
        scheduler.group_entry(&group.name, group.coordinator);
    }
    scheduler.retain_groups(|name| world.groups.get(name).is_some());
    for (broker, listings) in &lists.lists {
        for listing in listings {
            // Where a coordinator moves, two brokers list the group: the one that is believed counts.
            let is_believed = world.groups.get(&listing.group).is_some_and(|group| group.coordinator == *broker);
            if let Some(item) = scheduler.group_mut(&listing.group).filter(|_| is_believed) {
                item.listed(*broker, listing.state);
            }
        }
    }
}

/// Has groups that the one broker whose groups are shown does not list any more described at once. Its word tells whether
/// they have moved, and are another exporter's from now on, or whether the list is short.
pub(super) fn doubt_unlisted(world: &World, scheduler: &mut Scheduler, lists: &GroupLists) {
    if world.scope.is_cluster() || !lists.complete {
        return;
    }
    let listed: HashSet<&str> = lists.lists.iter().flat_map(|(_, list)| list).map(|row| row.group.as_ref()).collect();
    for group in world.groups.iter().filter(|group| !listed.contains(group.name.as_ref())) {
        if let Some(item) = scheduler.group_mut(&group.name) {
            item.membership.wake();
        }
    }
}

/// Describes groups at their coordinators; one that has moved is asked for where else it was listed. `max_age` says how
/// old a description may get. Returns what became of each group that still exists.
pub(super) async fn describe<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    groups: &[Arc<str>],
    lists: &GroupLists,
    max_age: impl Fn(&str) -> MaxAge,
    now: Moment,
    report: &mut PassReport,
) -> Vec<(Arc<str>, Answer)> {
    let mut round = Describing { asker, max_age: &max_age, now, outcomes: Vec::new() };
    let moved = round.ask(world, by_coordinator(world, groups), report).await;
    let mut elsewhere: BTreeMap<BrokerId, Names> = BTreeMap::new();
    for (group, asked, error) in moved {
        if !world.scope.is_cluster() {
            // Whoever coordinates it now, it is not in the part that is shown.
            world.groups.remove(&group);
            continue;
        }
        let lists_it = |(broker, list): &&(BrokerId, Vec<_>)| {
            *broker != asked && list.iter().any(|listing: &crate::model::GroupListing| listing.group == group)
        };
        match lists.lists.iter().find(lists_it) {
            Some((broker, _)) => elsewhere.entry(*broker).or_default().push(group),
            None => round.lost(world, group, error, report),
        }
    }
    for (group, _, error) in round.ask(world, elsewhere, report).await {
        round.lost(world, group, error, report);
    }
    round.outcomes
}

/// Takes note of the groups whose coordinator is not in the cluster: nobody can be asked about them until another lists
/// them.
pub(super) fn note_without_coordinator(world: &mut World, now: Moment, report: &mut PassReport) {
    let is_away = |coordinator| members(world).all(|member| member != coordinator);
    let away: Names =
        world.groups.iter().filter(|group| is_away(group.coordinator)).map(|group| group.name.clone()).collect();
    for group in away {
        world.groups.excuse(&group, now);
        report.incomplete(CollectorName::Groups);
        report.incomplete(CollectorName::Commits);
    }
}

/// Groups by coordinator, as far as that is in the cluster.
fn by_coordinator(world: &World, groups: &[Arc<str>]) -> BTreeMap<BrokerId, Names> {
    let mut by_coordinator: BTreeMap<BrokerId, Names> = members(world).map(|broker| (broker, Vec::new())).collect();
    for group in groups.iter().filter_map(|name| world.groups.get(name)) {
        if let Some(names) = by_coordinator.get_mut(&group.coordinator) {
            names.push(group.name.clone());
        }
    }
    by_coordinator
}

/// Descriptions under way.
struct Describing<'a, K, A> {
    asker: &'a Asker<K>,
    max_age: &'a A,
    now: Moment,
    outcomes: Vec<(Arc<str>, Answer)>,
}

impl<K: KafkaApi, A: Fn(&str) -> MaxAge> Describing<'_, K, A> {
    /// Describes groups and takes the answers in. Returns those that are not coordinated where they were asked for.
    async fn ask(
        &mut self,
        world: &mut World,
        groups: BTreeMap<BrokerId, Names>,
        report: &mut PassReport,
    ) -> Vec<(Arc<str>, BrokerId, KafkaError)> {
        let mut calls: BTreeMap<BrokerId, Vec<Names>> = BTreeMap::new();
        for (broker, names) in groups {
            report.count_requests(broker, names.len() * REQUESTS_PER_DESCRIPTION);
            calls.insert(broker, names.chunks(GROUPS_PER_CALL).map(<[_]>::to_vec).collect());
        }
        let asker = self.asker;
        let results: Vec<(BrokerId, Names, Result<Vec<GroupReply>, KafkaError>)> = asker
            .each_broker(calls, |broker, names: Names| async move {
                let call = asker.api.describe_groups(broker, &names);
                let result = asker.broker(Operation::DescribeGroups, Target::Broker(broker), call).await;
                // Silence comes group by group, within an answer: the calls that wait behind this one must not meet it, too.
                let is_silent = |reply: &GroupReply| reply.description.as_ref().is_err_and(KafkaError::is_silence);
                if result.iter().flatten().any(is_silent) {
                    asker.silent(broker);
                }
                (broker, names, result)
            })
            .await;
        let mut moved = Vec::new();
        for (broker, names, result) in results {
            let replies = match result {
                Ok(replies) => replies,
                Err(error) => {
                    let answer = failure_answer(&error);
                    self.outcomes.extend(names.into_iter().map(|name| (name, answer)));
                    report.fail(CollectorName::Groups, error);
                    continue;
                }
            };
            for reply in replies {
                moved.extend(self.take(world, broker, reply, report));
            }
        }
        moved
    }

    /// Takes one answer in. Returns the group if it is not coordinated where it was asked for.
    fn take(
        &mut self,
        world: &mut World,
        broker: BrokerId,
        reply: GroupReply,
        report: &mut PassReport,
    ) -> Option<(Arc<str>, BrokerId, KafkaError)> {
        let GroupReply { group, description } = reply;
        match description {
            Ok(description) => {
                let changed = world.apply_group_description(&description, (self.max_age)(&group), self.now);
                let is_settled = matches!(description.state, GroupState::Stable | GroupState::Empty);
                let answer = if changed || !is_settled { Answer::Moved } else { Answer::Still };
                self.outcomes.push((group, answer));
            }
            Err(error) if error.code() == Some(KafkaCode::GROUP_ID_NOT_FOUND) => world.groups.remove(&group),
            Err(error) if error.code() == Some(KafkaCode::NOT_COORDINATOR) => return Some((group, broker, error)),
            Err(error) => {
                if error.code().is_some_and(KafkaCode::is_coordinator_moving) {
                    world.groups.excuse(&group, self.now);
                }
                self.outcomes.push((group, failure_answer(&error)));
                report.fail(CollectorName::Groups, error);
            }
        }
        None
    }

    /// Nobody is known to coordinate the group just now.
    fn lost(&mut self, world: &mut World, group: Arc<str>, error: KafkaError, report: &mut PassReport) {
        world.groups.excuse(&group, self.now);
        self.outcomes.push((group, failure_answer(&error)));
        report.fail(CollectorName::Groups, error);
    }
}
