//! The brokers collector: who is in the cluster, in which rack, and who answers.
//!
//! Every broker is asked for the groups that it coordinates. The answer is the groups collector's list and at the same
//! time the sign that the broker lives: the metadata alone does not tell a frozen broker from a healthy one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::ask::Asker;
use super::report::PassReport;

use crate::kafka::{KafkaApi, KafkaError, Operation, Target};
use crate::model::{BrokerId, GroupListing, Moment, NamePredicate};
use crate::schedule::Probe;
use crate::state::{CollectorName, GroupLists, World};

/// How often cluster id and racks are asked for while the set of brokers stays the same.
const DESCRIPTION_MAX_AGE: Duration = Duration::from_secs(300);

/// What the collector remembers between passes.
#[derive(Debug, Default)]
pub(super) struct Brokers {
    described: Option<(Moment, BTreeSet<BrokerId>)>,
    probes: HashMap<BrokerId, JoinHandle<bool>>,
}

impl Brokers {
    /// Asks for cluster id and racks when the brokers changed or the last answer is old.
    pub(super) async fn describe<K: KafkaApi>(
        &mut self,
        asker: &Asker<K>,
        world: &mut World,
        now: Moment,
        report: &mut PassReport,
    ) {
        let members: BTreeSet<BrokerId> = members(world).collect();
        let is_fresh =
            |(at, known): &(Moment, BTreeSet<BrokerId>)| *known == members && now.since(*at) < DESCRIPTION_MAX_AGE;
        if self.described.as_ref().is_some_and(is_fresh) {
            report.cluster_description.hits += 1;
            return;
        }
        report.cluster_description.misses += 1;
        let started = Instant::now();
        match asker.cluster(asker.api.describe_cluster()).await {
            Ok(description) => {
                world.apply_cluster_description(&description);
                self.described = Some((now, members));
            }
            Err(error) => report.fail(CollectorName::Brokers, error),
        }
        report.cluster_description.took += started.elapsed();
    }

    /// Closes the breakers of the brokers whose probes were answered since the last pass; the others' stay open longer.
    /// Returns whether there were any.
    pub(super) async fn harvest_probes<K: KafkaApi>(&mut self, asker: &Asker<K>, now: Moment) -> bool {
        let mut recovered = false;
        let done: Vec<BrokerId> =
            self.probes.iter().filter(|(_, probe)| probe.is_finished()).map(|(broker, _)| *broker).collect();
        for broker in done {
            let Some(probe) = self.probes.remove(&broker) else { continue };
            // A probe that panicked did not find the broker well either.
            if probe.await.unwrap_or(false) {
                asker.breakers().recovered(broker);
                recovered = true;
            } else {
                asker.breakers().probe_failed(broker, now);
            }
        }
        recovered
    }

    /// Sends a probe to every silent broker whose backoff is over. Nobody waits for it, and it takes no place among the
    /// calls in flight: a dead broker holds up no pass.
    pub(super) fn start_probes<K: KafkaApi>(&mut self, asker: &Asker<K>, world: &World, now: Moment) {
        let is_member: BTreeSet<BrokerId> = members(world).collect();
        let mut breakers = asker.breakers();
        breakers.retain(|broker| is_member.contains(&broker));
        // What a probe of a broker that left finds out says nothing of the one that comes back.
        self.probes.extract_if(|broker, _| !is_member.contains(broker)).for_each(|(_, probe)| probe.abort());
        for Probe { broker, after } in breakers.start_probes(now) {
            let api = asker.api.clone();
            let probe = tokio::spawn(async move {
                tokio::time::sleep(after).await;
                // A refusal is an answer.
                api.list_groups(broker).await.map_or_else(|error| !error.is_silence(), |_| true)
            });
            if let Some(old) = self.probes.insert(broker, probe) {
                old.abort();
            }
        }
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        self.probes.values().for_each(JoinHandle::abort);
    }
}

/// Asks every broker that is watched for its groups. Returns the lists of those whose groups are shown, and which brokers
/// answered.
pub(super) async fn list_groups<K: KafkaApi>(
    asker: &Asker<K>,
    world: &World,
    report: &mut PassReport,
) -> (GroupLists, BTreeSet<BrokerId>) {
    let watched = members(world).filter(|broker| world.scope.watches(*broker));
    let calls: BTreeMap<BrokerId, Vec<()>> = watched.map(|broker| (broker, vec![()])).collect();
    let results: Vec<(BrokerId, Result<Vec<GroupListing>, KafkaError>)> = asker
        .each_broker(calls, |broker, ()| async move {
            let call = asker.api.list_groups(broker);
            (broker, asker.broker(Operation::ListGroups, Target::Broker(broker), call).await)
        })
        .await;
    let mut lists = GroupLists::default();
    let mut answered = BTreeSet::new();
    for (broker, result) in results {
        match result {
            Ok(groups) => {
                answered.insert(broker);
                if world.scope.has_groups_of(broker) {
                    lists.lists.push((broker, groups));
                }
            }
            Err(error) => {
                if error.code().is_some_and(|code| !code.is_silence()) {
                    answered.insert(broker);
                }
                report.fail(CollectorName::Groups, error);
            }
        }
    }
    // An expected broker that the metadata does not name may hold groups that nobody else lists.
    let has_list = |broker: BrokerId| lists.lists.iter().any(|(id, _)| *id == broker);
    lists.complete = match world.scope.beside() {
        Some(beside) => has_list(beside.broker()),
        None => world.brokers.iter().all(|broker| has_list(broker.id)),
    };
    (lists, answered)
}

/// The brokers that the metadata names: those that can be asked.
pub(super) fn members(world: &World) -> impl Iterator<Item = BrokerId> {
    world.members().map(|broker| broker.id)
}

/// Asks for the metadata and takes it in; the cluster counts as reached when it comes.
pub(super) async fn metadata<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    shown: &NamePredicate,
    now: Moment,
    report: &mut PassReport,
) -> bool {
    match asker.cluster(asker.api.metadata()).await {
        Ok(metadata) => {
            world.apply_metadata(&metadata, |name| shown.matches(name), now);
            true
        }
        Err(error) => {
            report.fail(CollectorName::Brokers, error);
            report.incomplete(CollectorName::Topics);
            false
        }
    }
}

/// Shares one name list between futures without copying the names.
pub(super) type Names = Vec<Arc<str>>;
