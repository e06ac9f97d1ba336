//! The groups collector: state, members and assignments, described by each group's coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ask::Asker;
use super::brokers::{Names, members};
use super::report::PassReport;
use super::settings::GroupScope;
use crate::kafka::{GroupReply, KafkaApi, KafkaError, Operation, Target};
use crate::model::{BrokerId, KafkaCode, Moment};
use crate::state::{CollectorName, GroupLists, World};

/// Groups a call. On the wire each group is a request of its own, so this bounds what one call puts in flight.
const GROUPS_PER_CALL: usize = 50;

/// Takes in the brokers' lists.
pub(super) fn apply_lists(world: &mut World, lists: &GroupLists, scope: &GroupScope) {
    world.groups.apply_lists(lists, |listing| {
        let state_is_shown = scope.states.is_empty() || scope.states.contains(&listing.state);
        state_is_shown && scope.names.matches(&listing.group)
    });
}

/// Describes every group at its coordinator; one that has moved is asked for where else it was listed.
pub(super) async fn describe<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    lists: &GroupLists,
    now: Moment,
    report: &mut PassReport,
) {
    for group in without_coordinator(world) {
        world.groups.excuse(&group, now);
        report.incomplete(CollectorName::Groups);
        report.incomplete(CollectorName::Commits);
    }
    let moved = describe_at(asker, world, by_coordinator(world), now, report).await;
    let mut elsewhere: BTreeMap<BrokerId, Names> = BTreeMap::new();
    for (group, asked, error) in moved {
        let lists_it = |(broker, list): &&(BrokerId, Vec<_>)| {
            *broker != asked && list.iter().any(|listing: &crate::model::GroupListing| listing.group == group)
        };
        match lists.lists.iter().find(lists_it) {
            Some((broker, _)) => elsewhere.entry(*broker).or_default().push(group),
            None => {
                world.groups.excuse(&group, now);
                report.fail(CollectorName::Groups, error);
            }
        }
    }
    for (group, _, error) in describe_at(asker, world, elsewhere, now, report).await {
        world.groups.excuse(&group, now);
        report.fail(CollectorName::Groups, error);
    }
}

/// The known groups whose coordinator is not in the cluster: nobody can be asked about them until another lists them.
fn without_coordinator(world: &World) -> Names {
    let is_away = |coordinator| members(world).all(|member| member != coordinator);
    world.groups.iter().filter(|group| is_away(group.coordinator)).map(|group| group.name.clone()).collect()
}

/// The known groups by coordinator, as far as that is in the cluster.
pub(super) fn by_coordinator(world: &World) -> BTreeMap<BrokerId, Names> {
    let mut groups: BTreeMap<BrokerId, Names> = members(world).map(|broker| (broker, Vec::new())).collect();
    for group in world.groups.iter() {
        if let Some(names) = groups.get_mut(&group.coordinator) {
            names.push(group.name.clone());
        }
    }
    groups
}

/// Describes groups and takes the answers in. Returns those that are not coordinated where they were asked for.
async fn describe_at<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    groups: BTreeMap<BrokerId, Names>,
    now: Moment,
    report: &mut PassReport,
) -> Vec<(Arc<str>, BrokerId, KafkaError)> {
    let calls = groups
        .into_iter()
        .map(|(broker, names)| (broker, names.chunks(GROUPS_PER_CALL).map(<[_]>::to_vec).collect()))
        .collect();
    let results: Vec<(BrokerId, Result<Vec<GroupReply>, KafkaError>)> = asker
        .each_broker(calls, |broker, names: Names| async move {
            let call = asker.api.describe_groups(broker, &names);
            let result = asker.broker(Operation::DescribeGroups, Target::Broker(broker), call).await;
            // Silence comes group by group, within an answer: the calls that wait behind this one must not meet it, too.
            let is_silent = |reply: &GroupReply| reply.description.as_ref().is_err_and(KafkaError::is_silence);
            if result.iter().flatten().any(is_silent) {
                asker.breakers().silent(broker);
            }
            (broker, result)
        })
        .await;
    let mut moved = Vec::new();
    for (broker, result) in results {
        let replies = result.unwrap_or_else(|error| {
            report.fail(CollectorName::Groups, error);
            Vec::new()
        });
        for GroupReply { group, description } in replies {
            match description {
                Ok(description) => world.apply_group_description(&description, now),
                Err(error) if error.code() == Some(KafkaCode::GROUP_ID_NOT_FOUND) => world.groups.remove(&group),
                Err(error) if error.code() == Some(KafkaCode::NOT_COORDINATOR) => moved.push((group, broker, error)),
                Err(error) => {
                    if error.code().is_some_and(KafkaCode::is_coordinator_moving) {
                        world.groups.excuse(&group, now);
                    }
                    report.fail(CollectorName::Groups, error);
                }
            }
        }
    }
    moved
}
