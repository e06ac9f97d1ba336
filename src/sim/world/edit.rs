//! Edits of the facts: what administrators, controllers and failures do to a cluster.

use std::time::Duration;

use kafka_protocol::protocol::StrBytes;

use super::super::error::SimError;
use super::super::fault::Loading;
use super::super::flow::{Flow, Retention, hash_name, millis, mix};
use super::super::group::{Group, GroupState};
use super::super::model::Consumer;
use super::super::spec::{GroupSpec, MAX_PARTITIONS, TopicSpec};
use super::super::topic::{BrokerIndex, Shape, Topic};
use super::World;

/// Topics, with the history that their description asks for.
impl World {
    /// Creates a topic. Its id is new, also when there was one of that name before.
    pub fn create_topic(&mut self, spec: &TopicSpec) -> Result<(), SimError> {
        if self.topic(&spec.name).is_some() {
            return Err(SimError::Exists(spec.name.clone()));
        }
        let name = StrBytes::from_string(spec.name.clone());
        self.topics_made += 1;
        let high = mix(hash_name(&spec.name) ^ self.topics_made);
        let id = (u128::from(high) << 64) | u128::from(mix(high ^ self.topics_made));
        let brokers = u64::try_from(self.brokers.len().max(1)).unwrap_or(1);
        let mut topic = Topic::new(Shape {
            name: name.clone(),
            id,
            internal: spec.internal,
            partitions: spec.partitions,
            replication: spec.replication,
            first_broker: BrokerIndex::try_from(self.topics_made % brokers).unwrap_or(0),
            flow: spec.flow,
            retention: spec.retention,
            min_insync: spec.min_insync,
            is_compacted: spec.is_compacted,
            start_ms: self.now_ms - millis(spec.history),
            first_offset: spec.first_offset,
        });
        if spec.has_ended {
            topic.set_flow(self.now_ms, Flow::IDLE);
        }
        self.elect(&mut topic);
        self.topic_names.insert(id, name.clone());
        self.topics.insert(name, topic);
        Ok(())
    }

    /// Deletes a topic and, as Kafka does, the commits on it.
    pub fn delete_topic(&mut self, name: &str) -> Result<(), SimError> {
        let topic = self.topics.remove(name.as_bytes()).ok_or_else(|| SimError::NoTopic(name.to_owned()))?;
        self.topic_names.remove(&topic.id);
        for group in self.groups.values_mut() {
            group.commits.retain(|commits| commits.topic.as_str() != name);
        }
        Ok(())
    }

    /// Adds partitions to a topic.
    pub fn grow_topic(&mut self, name: &str, partitions: usize) -> Result<(), SimError> {
        if partitions > MAX_PARTITIONS {
            return Err(SimError::Spec(format!("topic {name:?} may have {MAX_PARTITIONS} partitions at most")));
        }
        let now_ms = self.now_ms;
        self.edit_topic(name, |topic| topic.grow(now_ms, partitions))?;
        self.elect_all();
        Ok(())
    }

    /// Sets the high watermark: forward as if that many records came now, backward as a truncation.
    pub fn set_end_offset(&mut self, topic: &str, partition: usize, offset: i64) -> Result<(), SimError> {
        let now_ms = self.now_ms;
        self.edit_partition(topic, partition, |topic| topic.set_end(now_ms, partition, offset.max(0)))
    }

    /// Sets the log start, as DeleteRecords does; never beyond the end.
    pub fn set_log_start_offset(&mut self, topic: &str, partition: usize, offset: i64) -> Result<(), SimError> {
        let now_ms = self.now_ms;
        self.edit_partition(topic, partition, |topic| topic.set_log_start(now_ms, partition, offset.max(0)))
    }

    /// Changes what flows into a topic from now on.
    pub fn set_flow(&mut self, topic: &str, flow: Flow) -> Result<(), SimError> {
        let now_ms = self.now_ms;
        self.edit_topic(topic, |topic| topic.set_flow(now_ms, flow))
    }

    /// Changes a topic's retention.
    pub fn set_retention(&mut self, topic: &str, retention: Retention) -> Result<(), SimError> {
        let now_ms = self.now_ms;
        self.edit_topic(topic, |topic| topic.set_retention(now_ms, retention))
    }

    /// Changes a topic's `min.insync.replicas`.
    pub fn set_min_insync(&mut self, topic: &str, replicas: u16) -> Result<(), SimError> {
        self.edit_topic(topic, |topic| topic.set_min_insync(replicas))
    }

    /// Holds the last stable offset of a partition at `first_offset`, or lets it go.
    pub fn set_open_transaction(
        &mut self,
        topic: &str,
        partition: usize,
        first_offset: Option<i64>,
    ) -> Result<(), SimError> {
        self.edit_partition(topic, partition, |topic| match first_offset {
            Some(offset) => drop(topic.open_transactions.insert(partition, offset)),
            None => drop(topic.open_transactions.remove(&partition)),
        })
    }

    /// Takes a partition's leader away, or gives it one again.
    pub fn set_leaderless(&mut self, topic: &str, partition: usize, leaderless: bool) -> Result<(), SimError> {
        self.edit_partition(topic, partition, |topic| {
            if leaderless {
                topic.leaderless.insert(partition);
            } else {
                topic.leaderless.remove(&partition);
            }
        })?;
        self.elect_all();
        Ok(())
    }

    fn edit_topic(&mut self, name: &str, edit: impl FnOnce(&mut Topic)) -> Result<(), SimError> {
        let topic = self.topics.get_mut(name.as_bytes()).ok_or_else(|| SimError::NoTopic(name.to_owned()))?;
        edit(topic);
        Ok(())
    }

    fn edit_partition(&mut self, name: &str, partition: usize, edit: impl FnOnce(&mut Topic)) -> Result<(), SimError> {
        if self.topic(name).is_some_and(|topic| partition >= topic.partitions()) {
            return Err(SimError::NoPartition { topic: name.to_owned(), partition });
        }
        self.edit_topic(name, edit)
    }
}

/// Leadership and coordination.
impl World {
    /// A broker is gone. `moves`: its leaderships and groups go to brokers that are up.
    /// `leaves`: it is not in the metadata any more.
    pub(in crate::sim) fn broker_down(&mut self, index: BrokerIndex, moves: bool, leaves: bool) {
        if let Some(broker) = self.brokers.get_mut(usize::from(index)) {
            broker.up = !moves;
            broker.listed = !leaves;
        }
        if moves {
            self.elect_all();
            self.move_groups_from(index);
        }
    }

    pub(in crate::sim) fn broker_up(&mut self, index: BrokerIndex) {
        if let Some(broker) = self.brokers.get_mut(usize::from(index)) {
            broker.up = true;
            broker.listed = true;
        }
        self.elect_all();
    }

    /// Gives every partition back to its preferred leader where that is up, as the controller
    /// does some minutes after a restart.
    pub fn elect_preferred_leaders(&mut self) {
        for topic in self.topics.values_mut() {
            topic.leaders.fill(None);
        }
        self.elect_all();
    }

    /// Moves one partition to another replica.
    pub fn set_leader(&mut self, topic: &str, partition: usize, broker: i32) -> Result<(), SimError> {
        let index = self.broker_index(broker)?;
        self.edit_partition(topic, partition, |topic| {
            if let Some(leader) = topic.leaders.get_mut(partition) {
                *leader = Some(index);
            }
            if let Some(epoch) = topic.leader_epochs.get_mut(partition) {
                *epoch += 1;
            }
        })
    }

    fn elect_all(&mut self) {
        let mut topics = std::mem::take(&mut self.topics);
        for topic in topics.values_mut() {
            self.elect(topic);
        }
        self.topics = topics;
    }

    /// Keeps leaders that are up; elsewhere the first replica that is up leads, or none.
    fn elect(&self, topic: &mut Topic) {
        let up = |index: &BrokerIndex| self.brokers.get(usize::from(*index)).is_some_and(|broker| broker.up);
        for partition in 0..topic.partitions() {
            let now = topic.leaders.get(partition).copied().flatten();
            let next = if topic.leaderless.contains(&partition) {
                None
            } else {
                now.filter(up).or_else(|| topic.replicas(partition, self.brokers.len()).find(up))
            };
            if next != now {
                if let Some(leader) = topic.leaders.get_mut(partition) {
                    *leader = next;
                }
                if let Some(epoch) = topic.leader_epochs.get_mut(partition) {
                    *epoch += 1;
                }
            }
        }
    }

    fn move_groups_from(&mut self, index: BrokerIndex) {
        let mut groups = std::mem::take(&mut self.groups);
        for group in groups.values_mut().filter(|group| group.coordinator == index) {
            if let Some(next) = self.default_coordinator(&group.name) {
                group.coordinator = next;
            }
        }
        self.groups = groups;
    }

    /// Moves a group to another coordinator; the old one answers NOT_COORDINATOR from now on.
    pub fn move_coordinator(&mut self, group: &str, broker: i32) -> Result<(), SimError> {
        let index = self.broker_index(broker)?;
        self.edit_group(group, |group| group.coordinator = index)
    }

    /// Lets a broker list a group that another one coordinates, or stop doing so.
    pub fn set_also_listed(&mut self, group: &str, broker: i32, listed: bool) -> Result<(), SimError> {
        let index = self.broker_index(broker)?;
        self.edit_group(group, |group| {
            group.also_listed_by.retain(|other| *other != index);
            if listed {
                group.also_listed_by.push(index);
            }
        })
    }

    /// Lets a broker load its groups, or be done with it.
    pub fn set_loading(&mut self, broker: i32, loading: Loading) -> Result<(), SimError> {
        let index = self.broker_index(broker)?;
        if let Some(broker) = self.brokers.get_mut(usize::from(index)) {
            broker.loading = loading;
        }
        Ok(())
    }
}

/// Groups.
impl World {
    /// Creates a group as described, with the commits that it starts from.
    pub fn create_group(&mut self, spec: &GroupSpec) -> Result<(), SimError> {
        if self.group(&spec.name).is_some() {
            return Err(SimError::Exists(spec.name.clone()));
        }
        let coordinator = self.default_coordinator(&spec.name).unwrap_or(0);
        let group = spec.build(self, coordinator)?;
        self.groups.insert(group.name.clone(), group);
        Ok(())
    }

    /// Deletes a group with its commits.
    pub fn delete_group(&mut self, name: &str) -> Result<(), SimError> {
        self.groups.remove(name.as_bytes()).map(drop).ok_or_else(|| SimError::NoGroup(name.to_owned()))
    }

    /// Sets or removes (`None`) a committed offset. The topic need not exist.
    pub fn set_commit(
        &mut self,
        group: &str,
        topic: &str,
        partition: usize,
        offset: Option<i64>,
    ) -> Result<(), SimError> {
        if partition >= MAX_PARTITIONS {
            return Err(SimError::NoPartition { topic: topic.to_owned(), partition });
        }
        let known = self.topics.get_key_value(topic.as_bytes()).map(|(name, _)| name.clone());
        let topic = known.unwrap_or_else(|| StrBytes::from_string(topic.to_owned()));
        self.edit_group(group, |group| group.set_commit(&topic, partition, offset.map(|o| o.max(0))))
    }

    /// Changes how a group reads from now on.
    pub fn set_consumer(&mut self, group: &str, consumer: Consumer) -> Result<(), SimError> {
        let now_ms = self.now_ms;
        self.edit_group(group, |group| {
            group.consumer = consumer;
            group.last_commit_ms = now_ms;
        })
    }

    /// How often a group commits, `auto.commit.interval.ms`.
    pub fn set_commit_interval(&mut self, group: &str, every: Duration) -> Result<(), SimError> {
        self.edit_group(group, |group| group.commit_every_ms = millis(every).max(1))
    }

    /// Sets a group's state. Empty and Dead take its members away.
    pub fn set_state(&mut self, group: &str, state: GroupState) -> Result<(), SimError> {
        self.edit_group(group, |group| {
            group.state = state;
            group.generation += 1;
            if matches!(state, GroupState::Empty | GroupState::Dead) {
                group.members.clear();
            }
        })
    }

    /// Sets how many members a group has; none makes it Empty, some Stable.
    pub fn set_members(&mut self, group: &str, members: usize) -> Result<(), SimError> {
        self.edit_group(group, |group| {
            group.members = super::super::spec::members_of(&group.name, members);
            group.generation += 1;
            group.state = if group.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        })
    }

    /// Leaves a partition without a member although the group is stable, or not any more.
    pub fn set_unassigned(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        unassigned: bool,
    ) -> Result<(), SimError> {
        self.edit_group(group, |group| {
            group.unassigned.retain(|(t, p)| t.as_str() != topic || *p != partition);
            if unassigned {
                group.unassigned.push((StrBytes::from_string(topic.to_owned()), partition));
            }
        })
    }

    fn edit_group(&mut self, name: &str, edit: impl FnOnce(&mut Group)) -> Result<(), SimError> {
        let group = self.groups.get_mut(name.as_bytes()).ok_or_else(|| SimError::NoGroup(name.to_owned()))?;
        edit(group);
        Ok(())
    }
}
