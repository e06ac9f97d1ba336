//! Clusters of any size from a seed, for benches and for tests at scale.

use std::time::Duration;

use super::flow::{Flow, Rate, Retention, mix};
use super::group::GroupType;
use super::model::Consumer;
use super::spec::{GroupSpec, Position, Spec, TopicSpec};

/// How large.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Brokers, in three racks.
    pub brokers: usize,
    /// Topics.
    pub topics: usize,
    /// Partitions of all topics together, spread evenly.
    pub partitions: usize,
    /// Groups; one in four speaks KIP-848.
    pub groups: usize,
    /// Commits of all groups together: reached, and passed by less than one topic.
    pub group_partitions: usize,
    /// Members of each group.
    pub members: usize,
    /// Thousandths of the topics into which records come; a tenth of them in bursts.
    pub moving_per_mille: u32,
}

impl Scale {
    /// The size that the largest marks are about.
    pub const HUGE: Self = Self {
        brokers: 100,
        topics: 10_000,
        partitions: 100_000,
        groups: 5_000,
        group_partitions: 1_000_000,
        members: 4,
        moving_per_mille: 100,
    };
}

/// Numbers from a seed: splitmix64.
struct Dice(u64);

impl Dice {
    /// The next number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(1);
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(mix(self.0) % bound).unwrap_or(0)
    }
}

impl Spec {
    /// A cluster of the given size. The same seed gives the same cluster.
    pub fn scaled(seed: u64, scale: Scale) -> Self {
        let mut dice = Dice(mix(seed));
        let mut spec = Self::new(scale.brokers, 3);
        for rack in spec.brokers.iter_mut().filter_map(|broker| broker.rack.as_mut()) {
            // librdkafka 2.12 reserves four times a Metadata answer's length for what it decodes. That is too little for
            // an answer of many brokers without topics whose hosts and racks have names of a few letters.
            rack.insert_str(0, "europe-west1-");
        }
        let topics = scale.topics.max(1);
        for i in 0..scale.topics {
            let partitions = scale.partitions / topics + usize::from(i < scale.partitions % topics);
            spec.topics.push(scaled_topic(&mut dice, i, partitions.max(1), scale.moving_per_mille));
        }
        let mut committed = 0;
        for i in 0..scale.groups {
            let wanted = scale.group_partitions * (i + 1) / scale.groups;
            let mut names: Vec<&str> = Vec::new();
            while committed < wanted && names.len() < scale.topics {
                let topic = unread(&mut dice, &spec.topics, &names);
                names.push(&topic.name);
                committed += topic.partitions;
            }
            let group = scaled_group(&mut dice, i, scale.members, &names);
            spec.groups.push(group);
        }
        spec
    }
}

/// A topic that is not among `names` yet: any, or the next one that is free.
fn unread<'t>(dice: &mut Dice, topics: &'t [TopicSpec], names: &[&str]) -> &'t TopicSpec {
    let start = dice.below(topics.len());
    let (before, after) = topics.split_at(start);
    let mut in_turn = after.iter().chain(before);
    match in_turn.find(|topic| !names.contains(&topic.name.as_str())) {
        Some(topic) => topic,
        None => &topics[start],
    }
}

fn scaled_topic(dice: &mut Dice, number: usize, partitions: usize, moving_per_mille: u32) -> TopicSpec {
    let moving = dice.below(1_000) < usize::try_from(moving_per_mille).unwrap_or(usize::MAX);
    let rate = Rate::per_second(u32::try_from(1 + dice.below(50)).unwrap_or(1));
    let bursty = dice.below(10) == 0;
    let flow = match (moving, bursty) {
        (false, _) => Flow::IDLE,
        (true, false) => Flow::steady(rate),
        (true, true) => Flow::bursts(rate, Duration::from_secs(10), Duration::from_secs(60)),
    };
    let kept = if dice.below(2) == 0 { Retention::Forever } else { Retention::Records(100_000) };
    TopicSpec {
        retention: kept,
        first_offset: i64::try_from(dice.below(1_000_000)).unwrap_or(0),
        ..TopicSpec::new(&format!("topic-{number:05}"), partitions, flow)
    }
}

fn scaled_group(dice: &mut Dice, number: usize, members: usize, topics: &[&str]) -> GroupSpec {
    let name = format!("group-{number:05}");
    let healthy = GroupSpec::new(&name, members, topics);
    let mut group = match dice.below(20) {
        0 => GroupSpec::stopped(&name, topics, Position::Behind(1_000)),
        1 | 2 => GroupSpec { consumer: Consumer::Paced { per_mille: 800 }, position: Position::Behind(50), ..healthy },
        3 => GroupSpec { consumer: Consumer::Batches { every: Duration::from_secs(30) }, ..healthy },
        _ => healthy,
    };
    if dice.below(4) == 0 {
        group.group_type = GroupType::Consumer;
    }
    group
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_cluster_of_the_size_asked_for() {
        let scale =
            Scale { brokers: 5, topics: 100, partitions: 1_003, groups: 50, group_partitions: 10_000, ..Scale::HUGE };
        let spec = Spec::scaled(3, scale);
        assert_eq!(format!("{:?}", spec.groups), format!("{:?}", Spec::scaled(3, scale).groups));
        assert_ne!(format!("{:?}", spec.groups), format!("{:?}", Spec::scaled(4, scale).groups));
        let world = spec.build("127.0.0.1", &[1, 2, 3, 4, 5]).unwrap();
        assert_eq!(world.topics().map(|(_, topic)| topic.partitions()).sum::<usize>(), 1_003);
        let commits = world.groups().map(|(_, group)| group.commits().count()).sum::<usize>();
        assert!((10_000..10_011).contains(&commits), "{commits}");
    }
}
