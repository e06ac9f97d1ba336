//! Clusters of any size from a seed, for benches, for tests at scale, and for `kafkascope simulate`.

use std::time::Duration;

use super::flow::{Flow, Rate, Retention, mix};
use super::group::GroupType;
use super::model::Consumer;
use super::spec::{GroupSpec, Position, Spec, TopicSpec};

/// The shares below are thousandths.
pub const WHOLE: u32 = 1_000;
/// How many records a group is behind where it is behind and nothing moves.
pub const BEHIND_RECORDS: u32 = 1_000;
/// How long a burst lasts, and from one to the next.
const BURST: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];
/// For how long, at least, records have come before the cluster starts.
const HISTORY: Duration = Duration::from_secs(3_600);
/// Records come at 1 to so many a second to each partition of a topic that moves.
const MAX_RATE: usize = 50;
/// How often a consumer that works in batches wakes.
const BATCH_EVERY: Duration = Duration::from_secs(30);

/// How large, and how much of it moves and is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Brokers, in three racks.
    pub brokers: usize,
    /// Topics.
    pub topics: usize,
    /// Partitions of all topics together, spread evenly.
    pub partitions: usize,
    /// Groups. With members, one in four speaks KIP-848.
    pub groups: usize,
    /// Commits of all groups together: reached, and passed by less than one topic.
    pub group_partitions: usize,
    /// Members of each group. Without any, groups assign partitions for themselves, and commit all the same.
    pub members: usize,
    /// Thousandths of the topics into which records come, a tenth of them in bursts. Into the others none come any more.
    pub moving_per_mille: u32,
    /// Thousandths of what groups read that they have left [`BEHIND_RECORDS`] before the end. Everything else is caught up.
    pub behind_per_mille: u32,
    /// What is behind as one.
    pub behind: Behind,
}

/// What is behind as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Whole groups: their consumers have stopped.
    Groups,
    /// Topics of a group: it reads the others. Nearly every group is behind somewhere.
    Topics,
}

impl Scale {
    /// As many rows as the largest clusters that other exporters were measured with.
    pub const LARGE: Self = Self {
        brokers: 1,
        topics: 1_000,
        partitions: 10_000,
        groups: 200,
        group_partitions: 200_000,
        members: 0,
        moving_per_mille: 100,
        behind_per_mille: 0,
        behind: Behind::Topics,
    };

    /// A million rows.
    pub const HUGE: Self = Self {
        brokers: 100,
        topics: 10_000,
        partitions: 100_000,
        groups: 5_000,
        group_partitions: 1_000_000,
        members: 4,
        ..Self::LARGE
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

/// Picks a share of what passes, evenly spread: no count is off by more than one.
struct Picker {
    per_mille: u32,
    so_far: u32,
}

impl Picker {
    fn new(dice: &mut Dice, per_mille: u32) -> Self {
        Self { per_mille: per_mille.min(WHOLE), so_far: u32::try_from(dice.below(WHOLE as usize)).unwrap_or(0) }
    }

    fn picks_next(&mut self) -> bool {
        self.so_far += self.per_mille;
        let is_picked = self.so_far >= WHOLE;
        self.so_far %= WHOLE;
        is_picked
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
        let mut moving = Picker::new(&mut dice, scale.moving_per_mille);
        for i in 0..scale.topics {
            let partitions = scale.partitions / topics + usize::from(i < scale.partitions % topics);
            spec.topics.push(scaled_topic(&mut dice, i, partitions.max(1), moving.picks_next()));
        }
        let mut behind = Picker::new(&mut dice, scale.behind_per_mille);
        let mut committed = 0;
        for i in 0..scale.groups {
            let wanted = scale.group_partitions * (i + 1) / scale.groups;
            let mut read: Vec<usize> = Vec::new();
            let mut taken = vec![false; spec.topics.len()];
            while committed < wanted && read.len() < scale.topics {
                let topic = unread(&mut dice, &mut taken);
                read.push(topic);
                committed += spec.topics.get(topic).map_or(0, |topic| topic.partitions);
            }
            let names: Vec<&str> = read.iter().filter_map(|i| spec.topics.get(*i)).map(|t| t.name.as_str()).collect();
            let group = scaled_group(&mut dice, &mut behind, (i, scale), &names);
            spec.groups.push(group);
        }
        spec
    }
}

/// A topic that is not taken yet: any, or the next one that is free.
fn unread(dice: &mut Dice, taken: &mut [bool]) -> usize {
    let start = dice.below(taken.len());
    let free = (start..taken.len()).chain(0..start).find(|i| taken.get(*i) == Some(&false)).unwrap_or(start);
    if let Some(taken) = taken.get_mut(free) {
        *taken = true;
    }
    free
}

fn scaled_topic(dice: &mut Dice, number: usize, partitions: usize, moves: bool) -> TopicSpec {
    let rate = Rate::per_second(u32::try_from(1 + dice.below(MAX_RATE)).unwrap_or(1));
    let bursty = dice.below(10) == 0;
    let [burst, every] = BURST;
    let flow = if bursty && moves { Flow::bursts(rate, burst, every) } else { Flow::steady(rate) };
    let kept = if dice.below(2) == 0 { Retention::Forever } else { Retention::Records(100_000) };
    TopicSpec {
        retention: kept,
        first_offset: i64::try_from(dice.below(1_000_000)).unwrap_or(0),
        has_ended: !moves,
        // Bursts of different topics fall on different moments.
        history: HISTORY + Duration::from_secs(u64::try_from(dice.below(60)).unwrap_or(0)),
        ..TopicSpec::new(&format!("topic-{number:05}"), partitions, flow)
    }
}

fn scaled_group(dice: &mut Dice, behind: &mut Picker, (number, scale): (usize, Scale), topics: &[&str]) -> GroupSpec {
    let name = format!("group-{number:05}");
    let mut group = GroupSpec::new(&name, scale.members, topics);
    group.simple = scale.members == 0;
    match scale.behind {
        Behind::Groups if behind.picks_next() => {
            group = GroupSpec::stopped(&name, topics, Position::Behind(BEHIND_RECORDS));
        }
        Behind::Groups => {}
        Behind::Topics => {
            group.left = topics.iter().filter(|_| behind.picks_next()).map(|topic| (*topic).to_owned()).collect();
            group.left_behind = BEHIND_RECORDS;
        }
    }
    if dice.below(20) == 0 && group.consumer != Consumer::Stopped {
        group.consumer = Consumer::Batches { every: BATCH_EVERY };
    }
    if dice.below(4) == 0 && group.members > 0 {
        group.group_type = GroupType::Consumer;
    }
    group
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::super::world::World;
    use super::*;

    const SMALL: Scale =
        Scale { brokers: 5, topics: 100, partitions: 1_003, groups: 50, group_partitions: 10_000, ..Scale::HUGE };
    const PORTS: [u16; 5] = [1, 2, 3, 4, 5];

    fn world(scale: Scale) -> World {
        Spec::scaled(3, scale).build("127.0.0.1", &PORTS).unwrap()
    }

    /// The ends of all partitions, by topic.
    fn ends(world: &World) -> Vec<Vec<i64>> {
        let ends = |(name, topic): (&str, &super::super::topic::Topic)| {
            (0..topic.partitions()).map(|p| world.end_offset(name, p).unwrap()).collect()
        };
        world.topics().map(ends).collect()
    }

    /// How many group-partitions are behind, and how far all of them are behind together.
    fn lags(world: &World) -> (usize, i64) {
        let all = world.groups().flat_map(|(group, facts)| {
            facts.commits().map(move |(topic, partition, _)| world.lag(group, topic, partition).unwrap())
        });
        all.fold((0, 0), |(rows, sum), lag| (rows + usize::from(lag > 0), sum + lag))
    }

    #[test]
    fn the_same_seed_gives_the_same_cluster_of_the_size_asked_for() {
        let spec = |seed| Spec { start_ms: 0, ..Spec::scaled(seed, SMALL) };
        assert_eq!(format!("{:?}", spec(3)), format!("{:?}", spec(3)));
        assert_ne!(format!("{:?}", spec(3).groups), format!("{:?}", spec(4).groups));
        assert_ne!(format!("{:?}", spec(3).topics), format!("{:?}", spec(4).topics));
        let world = world(SMALL);
        assert_eq!(world.topics().map(|(_, topic)| topic.partitions()).sum::<usize>(), 1_003);
        let commits = world.groups().map(|(_, group)| group.commits().count()).sum::<usize>();
        assert!((10_000..10_011).contains(&commits), "{commits}");
    }

    #[test]
    fn so_many_topics_move_and_the_others_stand_still() {
        for (moving_per_mille, moving) in [(0, 0), (100, 10), (250, 25), (1_000, 100)] {
            let mut world = world(Scale { moving_per_mille, ..SMALL });
            let before = ends(&world);
            world.advance(Duration::from_secs(120));
            let after = ends(&world);
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            assert_eq!(moved, moving);
            // Between two points of the pattern the same number of records comes, whenever they are.
            world.advance(Duration::from_secs(120));
            let again = ends(&world);
            for (topic, before) in before.iter().enumerate() {
                for (partition, before) in before.iter().enumerate() {
                    let (first, second) =
                        (after[topic][partition] - before, again[topic][partition] - after[topic][partition]);
                    // 1 to 50 a second, times a share of 0.7 to 1.3; in bursts a sixth of it.
                    assert!((0..=120 * 65).contains(&first) && (first - second).abs() <= 1, "{first}, {second}");
                }
            }
        }
    }

    #[test]
    fn all_are_caught_up_where_nobody_is_to_be_behind() {
        for members in [0, 4] {
            let mut world = world(Scale { members, moving_per_mille: 0, ..SMALL });
            assert_eq!(lags(&world), (0, 0));
            world.advance(Duration::from_secs(300));
            assert_eq!(lags(&world), (0, 0));
        }
    }

    #[test]
    fn so_many_group_partitions_are_behind_and_stay_there() {
        for behind in [Behind::Groups, Behind::Topics] {
            let mut world = world(Scale { moving_per_mille: 0, behind_per_mille: 200, behind, ..SMALL });
            let rows = world.groups().map(|(_, group)| group.commits().count()).sum::<usize>();
            let found = lags(&world);
            assert!(found.0.abs_diff(rows / 5) <= rows / 100, "{behind:?}: {found:?} of {rows}");
            assert_eq!(found.1, i64::try_from(found.0).unwrap() * i64::from(BEHIND_RECORDS));
            world.advance(Duration::from_secs(300));
            assert_eq!(lags(&world), found);
        }
    }

    #[test]
    fn who_reads_keeps_up_and_who_has_left_does_not() {
        let mut world = world(Scale { moving_per_mille: 1_000, behind_per_mille: 200, ..SMALL });
        world.advance(Duration::from_secs(600));
        for (name, group) in world.groups() {
            for (topic, partition, _) in group.commits() {
                let lag = world.lag(name, topic, partition).unwrap();
                let left = group.commits.iter().any(|c| c.topic.as_str() == topic && c.is_left);
                if left {
                    let came = world.end_offset(topic, partition).unwrap() - BEHIND_RECORDS as i64;
                    assert!(lag > i64::from(BEHIND_RECORDS) && came > 0, "{name} {topic} {partition}: {lag}");
                } else {
                    // At most half a minute and a commit behind, at the highest rate.
                    assert!(lag <= 35 * 65 + 1, "{name} {topic} {partition}: {lag}");
                }
            }
        }
    }
}
