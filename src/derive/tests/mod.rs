//! The rules of lag against a slow, obvious oracle, over random histories in which any answer may fail.

mod interleaving;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{
    BrokerId, ClusterMetadata, CommittedOffsets, CommittedPartition, GroupKind, GroupListing, GroupState, Instants,
    KafkaCode, ListedPartition, MaxAge, Messages, Moment, Offset, OffsetSpec, PartitionId, PartitionMetadata,
    TopicMetadata, TopicRows, WallTime,
};
use crate::state::{Asked, CollectorName, Collectors, GroupLists, ReadAt, Round, World};

const PARTITIONS: usize = 3;
const PASS: u64 = 15_000;
const MAX_AGE: MaxAge = MaxAge::from_secs(40);

/// What Kafka answers in one pass; `None` is a failure.
#[derive(Debug, Clone)]
struct Pass {
    leaderless: [bool; PARTITIONS],
    starts: [Option<i64>; PARTITIONS],
    ends: [Option<i64>; PARTITIONS],
    /// Last stable offsets: read after the ends, so that they may lie beyond them.
    stable: [Option<i64>; PARTITIONS],
    /// `None`: the whole call failed. A row: `Ok(None)` no commit, `Err` this row failed.
    commits: Option<[Result<Option<i64>, ()>; PARTITIONS]>,
    /// Whether the topic came back with fewer partitions and grew again before this pass.
    recreated: bool,
}

fn passes() -> impl Strategy<Value = Vec<Pass>> {
    let commit =
        prop_oneof![4 => (0_i64..60).prop_map(|offset| Ok(Some(offset))), 1 => Just(Ok(None)), 1 => Just(Err(()))];
    let pass = (
        prop::array::uniform3(prop::bool::weighted(0.15)),
        prop::array::uniform3(prop::option::weighted(0.8, 0_i64..30)),
        prop::array::uniform3(prop::option::weighted(0.7, 20_i64..80)),
        prop::array::uniform3(prop::option::weighted(0.7, 0_i64..90)),
        prop::option::weighted(0.8, prop::array::uniform3(commit)),
        prop::bool::weighted(0.08),
    );
    prop::collection::vec(
        pass.prop_map(|(leaderless, starts, ends, stable, commits, recreated)| Pass {
            leaderless,
            starts,
            ends,
            stable,
            commits,
            recreated,
        }),
        1..12,
    )
}

fn metadata(partitions: usize, leaderless: &[bool; PARTITIONS]) -> ClusterMetadata {
    let partitions = (0..partitions)
        .map(|place| PartitionMetadata {
            id: PartitionId::from_index(place).unwrap(),
            leader: (!leaderless[place]).then_some(BrokerId(1)),
            replicas: vec![BrokerId(1)],
            in_sync: 1,
        })
        .collect();
    let topic = TopicMetadata { name: "t".into(), error: KafkaCode::NONE, partitions };
    ClusterMetadata { brokers: Vec::new(), topics: vec![topic] }
}

fn listed(offsets: &[Option<i64>; PARTITIONS], leaderless: &[bool; PARTITIONS]) -> Vec<TopicRows<ListedPartition>> {
    let rows = (0..PARTITIONS).filter(|place| !leaderless[*place]).map(|place| ListedPartition {
        partition: PartitionId::from_index(place).unwrap(),
        offset: offsets[place].and_then(Offset::new).ok_or(KafkaCode::LOCAL_NO_OFFSET),
    });
    vec![TopicRows { topic: "t".into(), rows: rows.collect() }]
}

fn committed(rows: &[Result<Option<i64>, ()>; PARTITIONS]) -> CommittedOffsets {
    let rows = rows.iter().enumerate().map(|(place, row)| CommittedPartition {
        partition: PartitionId::from_index(place).unwrap(),
        offset: row.map(|raw| raw.and_then(Offset::new)).map_err(|()| KafkaCode(29)),
    });
    CommittedOffsets { topics: vec![TopicRows { topic: "t".into(), rows: rows.collect() }] }
}

fn new_world() -> World {
    let mut world = World::new(Collectors::new(|_: CollectorName| true));
    world.metadata_max_age = MAX_AGE;
    let listing = GroupListing { group: "g".into(), state: GroupState::Empty, kind: GroupKind::Classic };
    let lists = GroupLists { lists: vec![(BrokerId(1), vec![listing])], complete: true };
    world.groups.apply_lists(&lists, |_| true);
    world
}

fn read(round: u32, at: u64) -> ReadAt {
    ReadAt { round: Round(round), instants: Instants { moment: Moment(at), wall: WallTime(0) } }
}

/// Runs one pass through the real pipeline, in its order.
fn run(world: &mut World, pass: &Pass, number: u32) {
    let at = u64::from(number) * PASS;
    if pass.recreated {
        // Once may be a broker that lags behind; twice it is true.
        world.apply_metadata(&metadata(1, &pass.leaderless), |_| true, Moment(at));
        world.apply_metadata(&metadata(1, &pass.leaderless), |_| true, Moment(at));
    }
    world.apply_metadata(&metadata(PARTITIONS, &pass.leaderless), |_| true, Moment(at));
    world.apply_offsets(OffsetSpec::Earliest, &listed(&pass.starts, &pass.leaderless), |_| MAX_AGE, read(number, at));
    if let Some(rows) = &pass.commits {
        world.apply_commits("g", &committed(rows), Asked::Everything, |_| true, &|_| MAX_AGE, read(number, at + 1));
    }
    world.apply_offsets(OffsetSpec::Latest, &listed(&pass.ends, &pass.leaderless), |_| MAX_AGE, read(number, at + 2));
    let stable = listed(&pass.stable, &pass.leaderless);
    world.apply_offsets(OffsetSpec::LastStable, &stable, |_| MAX_AGE, read(number, at + 3));
}

/// The oracle for one partition: walks the history and remembers, in the plainest way, what the rules say.
#[derive(Debug, Default, Clone)]
struct Oracle {
    start: Option<(i64, u64)>,
    end: Option<(i64, u64)>,
    stable: Option<(i64, u64)>,
    pair: Option<(i64, u64)>,
    commit: Option<(i64, u64)>,
    has_row: bool,
    /// Whether the last answer of the coordinator told this row.
    told: bool,
    /// When that answer came.
    fetched_at: u64,
    /// When the partition was first told to have no leader, while it has none.
    leaderless_since: Option<u64>,
    /// When this life of the topic began.
    life_since: u64,
}

/// Whether an end of the topic falls in this pass: then no pair of before stands.
fn falls(oracles: &[Oracle], pass: &Pass) -> bool {
    let fell = |(place, oracle): (usize, &Oracle)| {
        let read = pass.ends[place].filter(|_| !pass.leaderless[place]);
        !pass.recreated && read.zip(oracle.end).is_some_and(|(now, (before, _))| now < before)
    };
    oracles.iter().enumerate().any(fell)
}

impl Oracle {
    fn step(&mut self, pass: &Pass, place: usize, number: u32, falls: bool, is_read_committed: bool) {
        let at = u64::from(number) * PASS;
        let now = at + 10;
        if pass.recreated {
            (self.start, self.end, self.stable) = (None, None, None);
            (self.pair, self.life_since) = (None, at);
        }
        if falls {
            (self.life_since, self.stable) = (at + 2, None);
        }
        let leaderless = pass.leaderless[place];
        // A topic that came back is another one: its partitions begin anew.
        let since = self.leaderless_since.filter(|_| !pass.recreated).unwrap_or(at);
        self.leaderless_since = leaderless.then_some(since);
        if !leaderless {
            self.start = pass.starts[place].map(|start| (start, at)).or(self.start);
            self.end = pass.ends[place].map(|end| (end, at + 2)).or(self.end);
            self.stable = pass.stable[place].map(|stable| (stable, at + 3)).or(self.stable);
        }
        if let Some(rows) = pass.commits {
            match rows[place] {
                Ok(Some(commit)) => (self.commit, self.has_row, self.told) = (Some((commit, at + 1)), true, true),
                Ok(None) => (self.commit, self.has_row, self.pair, self.told) = (None, false, None, false),
                Err(()) => (self.has_row, self.told) = (true, false),
            }
            self.fetched_at = at + 1;
        }
        let is_fresh = |read_at: u64, now: u64| Duration::from_millis(now.saturating_sub(read_at)) <= MAX_AGE.get();
        // What was too old when the leader went does not come back.
        let usable = |(_, read_at): &(i64, u64)| {
            is_fresh(*read_at, now) || self.leaderless_since.is_some_and(|since| is_fresh(*read_at, since))
        };
        let (start, end) = (self.start.filter(usable), self.end.filter(usable));
        if let (true, Some((commit, read_at)), Some((start, start_at)), Some((end, end_at))) =
            (self.told, self.commit, start, end)
        {
            // With a leader only what one pass read, in its order; without one, the ends stand for every commit.
            let of_this_life = end_at >= self.life_since;
            let belongs_together = of_this_life && end_at == self.fetched_at + 1 && start_at < self.fetched_at;
            // A fall begins another life of the topic, of which a commit of before says nothing.
            // Of committed records there are those before the last stable offset that goes with the end; who is at the end
            // has read them all.
            let stable = self.stable.filter(usable).filter(|(_, stable_at)| *stable_at == end_at + 1);
            let readable = match stable {
                _ if !is_read_committed || commit >= end => Some(end),
                Some((stable, _)) => Some(stable.min(end)),
                None => None,
            };
            if let Some(readable) = readable
                && (belongs_together || (leaderless && self.fetched_at >= self.life_since))
            {
                self.pair = Some(((readable - commit.max(start)).max(0), read_at));
            }
        }
    }

    fn lag(&self, now: u64) -> Option<u64> {
        let (lag, at) = self.pair.filter(|_| self.has_row)?;
        (Duration::from_millis(now - at) <= MAX_AGE.get()).then(|| u64::try_from(lag).unwrap())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn lag_is_the_last_whole_pair_or_absent(
        history in passes(),
        limit in 0..=PARTITIONS,
        is_read_committed: bool,
    ) {
        let mut world = new_world();
        world.groups.set_read_committed(|_| is_read_committed);
        world.sample_partitions = NonZeroUsize::new(limit);
        // Of what is not asked for nothing is known.
        let asked = if limit == 0 { PARTITIONS } else { limit };
        let mut oracles = vec![Oracle::default(); asked];
        let mut snapshot: Option<Snapshot> = None;
        for (number, pass) in (1_u32..).zip(&history) {
            run(&mut world, pass, number);
            let falls = falls(&oracles, pass);
            for (place, oracle) in oracles.iter_mut().enumerate() {
                oracle.pair = oracle.pair.filter(|_| !falls);
                oracle.step(pass, place, number, falls, is_read_committed);
            }
            let now = u64::from(number) * PASS + 10;
            let instants = Instants { moment: Moment(now), wall: WallTime(0) };
            let derived = Snapshot::derive(&world, snapshot.as_ref(), instants);
            check(&derived, &oracles, now)?;
            check_topic(&derived, &oracles, now)?;
            snapshot = Some(derived);
        }
    }
}

/// Sums over the whole topic and sums over its sample: only one of them stands, and only whole.
fn check_topic(snapshot: &Snapshot, oracles: &[Oracle], now: u64) -> Result<(), TestCaseError> {
    let sum = |value: fn(&Oracle) -> Option<(i64, u64)>| -> Option<u64> {
        let known = |oracle: &Oracle| {
            // What was not too old when the leader went stands for as long as there is none.
            let until = oracle.leaderless_since.unwrap_or(now);
            let is_usable = |at: u64| Duration::from_millis(until - at) <= MAX_AGE.get();
            value(oracle).filter(|(_, at)| is_usable(*at)).map(|(offset, _)| offset.unsigned_abs())
        };
        oracles.iter().map(known).sum()
    };
    let (ends, starts) = (sum(|oracle| oracle.end), sum(|oracle| oracle.start));
    let topic = snapshot.topic(snapshot.world.names.get("t").expect("the topic is known"));
    let (of_all, of_sample) = ([topic.end_sum, topic.start_sum], [topic.end_sampled_sum, topic.start_sampled_sum]);
    let is_sampled = oracles.len() < PARTITIONS;
    prop_assert_eq!(if is_sampled { of_sample } else { of_all }, [ends, starts]);
    prop_assert_eq!(if is_sampled { of_all } else { of_sample }, [None, None]);
    prop_assert_eq!(topic.unknown == 0, ends.is_some() && starts.is_some());
    Ok(())
}

fn check(snapshot: &Snapshot, oracles: &[Oracle], now: u64) -> Result<(), TestCaseError> {
    let group = snapshot.group("g").expect("the group is known");
    let is_sampled = oracles.len() < PARTITIONS;
    let expected: Vec<Option<u64>> =
        oracles.iter().filter(|oracle| oracle.has_row).map(|oracle| oracle.lag(now)).collect();
    let rows = group.table.commits.as_ref().map_or(0, |commits| commits.partitions.len());
    let lags: Vec<Option<u64>> = (0..rows).map(|row| group.lag(row).map(|lag| lag.0)).collect();
    prop_assert_eq!(&lags, &expected);
    for (commits, segment, sums) in group.segments() {
        let known: Vec<u64> = lags.iter().flatten().copied().collect();
        let complete = known.len() == lags.len() && !lags.is_empty();
        let lag_sum = complete.then(|| Messages(known.iter().sum()));
        let of_topic = (sums.lag_sum, sums.max_lag, group.max_lag);
        let max_lag = known.iter().max().map(|max| Messages(*max));
        prop_assert_eq!(segment.sample.is_some(), is_sampled);
        if is_sampled {
            prop_assert_eq!((sums.lag_sampled_sum, of_topic, sums.lost_sum), (lag_sum, (None, None, None), None));
        } else {
            prop_assert_eq!(of_topic, (lag_sum, max_lag, max_lag), "a sum is whole or absent");
            prop_assert_eq!(sums.lag_sampled_sum, None);
        }
        prop_assert_eq!(usize::try_from(sums.unknown).unwrap(), lags.len() - known.len());
        let offsets: Option<Vec<i64>> =
            segment.rows.clone().map(|row| Some(snapshot.freshness.commit(commits, segment, row)?.get())).collect();
        let offsets = offsets.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<i64>().unsigned_abs());
        let expected = if is_sampled { (None, offsets) } else { (offsets, None) };
        prop_assert_eq!((sums.committed_sum, sums.committed_sampled_sum), expected);
    }
    Ok(())
}

fn simple(starts: i64, ends: i64, commit: i64) -> Pass {
    Pass {
        leaderless: [false; PARTITIONS],
        starts: [Some(starts); PARTITIONS],
        ends: [Some(ends); PARTITIONS],
        stable: [None; PARTITIONS],
        commits: Some([Ok(Some(commit)); PARTITIONS]),
        recreated: false,
    }
}

fn derive_after(world: &World, previous: Option<&Snapshot>, number: u32) -> Snapshot {
    let moment = Moment(u64::from(number) * PASS + 10);
    Snapshot::derive(world, previous, Instants { moment, wall: WallTime(0) })
}

#[test]
fn lag_of_a_group_of_committed_records_ends_at_the_last_stable_offset() {
    let mut world = new_world();
    world.groups.set_read_committed(|_| true);
    let mut pass = simple(0, 100, 50);
    pass.stable = [Some(80), None, Some(120)];
    run(&mut world, &pass, 1);
    let snapshot = derive_after(&world, None, 1);
    let group = snapshot.group("g").unwrap();
    let lags = [Some(Messages(30)), None, Some(Messages(50))];
    assert_eq!([group.lag(0), group.lag(1), group.lag(2)], lags, "not told: unknown; read after the end: the end");
    let (_, _, sums) = group.segments().next().unwrap();
    assert_eq!((sums.lag_sum, sums.max_lag, sums.unknown), (None, lags[2], 1));
    let ix = world.names.get("t").unwrap();
    assert_eq!(snapshot.topic(ix).end_sum, Some(300), "the topic's ends are the high watermarks");

    world.groups.set_read_committed(|_| false);
    let all = derive_after(&world, Some(&snapshot), 1);
    assert_eq!(all.group("g").unwrap().lag(0), Some(Messages(50)));
    world.groups.set_read_committed(|_| true);
    world.apply_commits("g", &committed(&[Ok(Some(50)); 3]), Asked::Everything, |_| true, &|_| MAX_AGE, read(2, PASS));
    let again = derive_after(&world, Some(&all), 1);
    assert_eq!(again.group("g").unwrap().lag(1), None, "what was derived up to the high watermark does not stand");
}

#[test]
fn a_group_that_has_read_to_the_end_needs_no_last_stable_offset() {
    let mut world = new_world();
    world.groups.set_read_committed(|_| true);
    run(&mut world, &simple(0, 100, 100), 1);
    let snapshot = derive_after(&world, None, 1);
    let (_, _, sums) = snapshot.group("g").unwrap().segments().next().unwrap();
    assert_eq!((sums.lag_sum, sums.unknown), (Some(Messages(0)), 0));
}

#[test]
fn lag_reaches_down_to_the_log_start_only_and_the_rest_is_lost() {
    let mut world = new_world();
    run(&mut world, &simple(30, 100, 10), 1);
    let snapshot = derive_after(&world, None, 1);
    let (_, _, sums) = snapshot.group("g").unwrap().segments().next().unwrap();
    assert_eq!(sums.lag_sum, Some(Messages(3 * 70)));
    assert_eq!(sums.lost_sum, Some(Messages(3 * 20)));
}

#[test]
fn a_log_start_that_is_newer_than_the_commit_proves_no_loss() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    let first = derive_after(&world, None, 1);
    let mut second = simple(60, 100, 0);
    second.commits = None;
    run(&mut world, &second, 2);
    let snapshot = derive_after(&world, Some(&first), 2);
    let (_, _, sums) = snapshot.group("g").unwrap().segments().next().unwrap();
    assert_eq!(sums.lost_sum, Some(Messages(0)), "the group may have read on; the last sum stands");
}

#[test]
fn a_commit_on_a_partition_that_does_not_exist_has_no_lag_and_is_not_unknown() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    for _ in 0..2 {
        world.apply_metadata(&metadata(1, &[false; PARTITIONS]), |_| true, Moment(2 * PASS));
    }
    world.apply_offsets(OffsetSpec::Earliest, &listed(&[Some(0); 3], &[false; 3]), |_| MAX_AGE, read(2, 2 * PASS));
    world.apply_commits(
        "g",
        &committed(&[Ok(Some(5)); 3]),
        Asked::Everything,
        |_| true,
        &|_| MAX_AGE,
        read(2, 2 * PASS),
    );
    world.apply_offsets(OffsetSpec::Latest, &listed(&[Some(9); 3], &[false; 3]), |_| MAX_AGE, read(2, 2 * PASS));
    let snapshot = derive_after(&world, None, 2);
    let group = snapshot.group("g").unwrap();
    assert_eq!([group.lag(0), group.lag(1), group.lag(2)], [Some(Messages(4)), None, None]);
    let (_, _, sums) = group.segments().next().unwrap();
    assert_eq!((sums.lag_sum, sums.unknown), (Some(Messages(4)), 0));

    for _ in 0..2 {
        world.apply_metadata(&ClusterMetadata::default(), |_| true, Moment(3 * PASS));
    }
    let snapshot = derive_after(&world, Some(&snapshot), 3);
    let group = snapshot.group("g").unwrap();
    let (_, _, sums) = group.segments().next().unwrap();
    assert_eq!((sums.lag_sum, sums.max_lag, sums.unknown), (None, None, 0), "a sum over nothing has no series");
}

#[test]
fn topic_sums_are_whole_or_absent() {
    let mut world = new_world();
    let mut pass = simple(1, 10, 5);
    pass.ends[1] = None;
    run(&mut world, &pass, 1);
    let snapshot = derive_after(&world, None, 1);
    let ix = world.names.get("t").unwrap();
    assert_eq!(snapshot.topic(ix), TopicMeaning { start_sum: Some(3), unknown: 1, ..TopicMeaning::default() });
    run(&mut world, &simple(1, 10, 5), 2);
    let snapshot = derive_after(&world, Some(&snapshot), 2);
    let whole = TopicMeaning { end_sum: Some(30), start_sum: Some(3), ..TopicMeaning::default() };
    assert_eq!(snapshot.topic(ix), whole);
}

#[test]
fn a_topic_that_grows_beyond_the_limit_is_sampled_at_once() {
    let mut world = new_world();
    world.sample_partitions = NonZeroUsize::new(PARTITIONS);
    run(&mut world, &simple(10, 100, 5), 1);
    let first = derive_after(&world, None, 1);
    let (_, _, sums) = first.group("g").unwrap().segments().next().unwrap();
    assert_eq!((sums.lag_sum, sums.lost_sum, sums.lag_sampled_sum), (Some(Messages(270)), Some(Messages(15)), None));
    world.sample_partitions = NonZeroUsize::new(PARTITIONS - 1);
    world.apply_metadata(&metadata(PARTITIONS, &[false; PARTITIONS]), |_| true, Moment(PASS + 5));
    let snapshot = derive_after(&world, Some(&first), 1);
    let ix = world.names.get("t").unwrap();
    let sampled = TopicMeaning { end_sampled_sum: Some(200), start_sampled_sum: Some(20), ..TopicMeaning::default() };
    assert_eq!(snapshot.topic(ix), sampled);
    assert_eq!(snapshot.freshness.end(world.topic(ix).unwrap(), PARTITIONS - 1), None);
    let (commits, _, sums) = snapshot.group("g").unwrap().segments().next().unwrap();
    assert_eq!(commits.partitions.len(), PARTITIONS - 1);
    assert_eq!((sums.lag_sum, sums.lost_sum, sums.lag_sampled_sum), (None, None, Some(Messages(180))));
    assert_eq!((sums.committed_sum, sums.committed_sampled_sum), (None, Some(10)));
}

#[test]
fn a_group_that_has_committed_outside_the_sample_only_has_no_sums_and_no_worst_lag() {
    let mut world = new_world();
    world.sample_partitions = NonZeroUsize::new(1);
    let mut pass = simple(0, 100, 5);
    pass.commits = Some([Ok(None), Ok(None), Ok(Some(5))]);
    run(&mut world, &pass, 1);
    let snapshot = derive_after(&world, None, 1);
    let group = snapshot.group("g").unwrap();
    let (_, _, sums) = group.segments().next().unwrap();
    assert_eq!((sums.committed_sampled_sum, sums.lag_sampled_sum, sums.unknown), (None, None, 0));
    assert_eq!((sums.committed_sum, sums.lag_sum, group.max_lag), (None, None, None));
}

#[test]
fn names_that_nothing_uses_give_their_place_back() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    for _ in 0..2 {
        world.apply_metadata(&ClusterMetadata::default(), |_| true, Moment(PASS));
    }
    world.sweep_names();
    assert!(world.names.get("t").is_some(), "a commit still names it");
    world.apply_commits(
        "g",
        &CommittedOffsets::default(),
        Asked::Everything,
        |_| true,
        &|_| MAX_AGE,
        read(2, 2 * PASS),
    );
    world.sweep_names();
    assert_eq!(world.names.get("t"), None);
    let shared: Arc<str> = "u".into();
    assert_eq!(Arc::make_mut(&mut world.names).intern(&shared).map(crate::state::TopicIx::index), Some(0));
}

#[test]
fn one_answer_of_a_broker_that_lags_behind_takes_nothing_away() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    let ix = world.names.get("t").unwrap();
    for behind in [ClusterMetadata::default(), metadata(1, &[false; PARTITIONS])] {
        world.apply_metadata(&behind, |_| true, Moment(PASS + 5));
        assert_eq!(derive_after(&world, None, 1).topic(ix).end_sum, Some(300));
        world.apply_metadata(&metadata(PARTITIONS, &[false; PARTITIONS]), |_| true, Moment(PASS + 6));
    }
}

#[test]
fn a_truncation_ends_what_was_paired_with_the_old_end() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    let first = derive_after(&world, None, 1);
    let mut truncated = simple(0, 60, 0);
    truncated.commits = None;
    run(&mut world, &truncated, 2);
    let snapshot = derive_after(&world, Some(&first), 2);
    assert_eq!(snapshot.group("g").unwrap().lag(0), None, "50 was the lag against an end that is gone");
    let ix = world.names.get("t").unwrap();
    assert_eq!(snapshot.topic(ix).end_sum, Some(180), "the ends themselves are known");
}

#[test]
fn a_snapshot_is_outdated_when_its_oldest_value_is() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    let snapshot = derive_after(&world, None, 1);
    let limit = Moment(PASS).plus(MAX_AGE.get());
    assert!(!snapshot.is_outdated(limit));
    assert!(snapshot.is_outdated(Moment(limit.0 + 1)));
    let mut silent = simple(0, 0, 0);
    (silent.starts, silent.ends, silent.commits) = ([None; PARTITIONS], [None; PARTITIONS], None);
    run(&mut world, &silent, 2);
    let now = Instants { moment: Moment(limit.0 + 3), wall: WallTime(0) };
    let snapshot = Snapshot::derive(&world, Some(&snapshot), now);
    assert_eq!(snapshot.group("g").unwrap().lag(0), None);
    assert!(!snapshot.is_outdated(now.moment), "what is not shown ages no further");
    assert!(snapshot.is_outdated(Moment(2 * PASS + 1).plus(MAX_AGE.get())), "the metadata is still shown");
}

#[test]
fn metadata_that_was_too_old_shows_its_topics_again_when_it_says_the_same() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    let shown = derive_after(&world, None, 1);
    let ix = world.names.get("t").unwrap();
    let old = derive_after(&world, Some(&shown), 10);
    assert_eq!(old.topic(ix).end_sum, None);
    assert_ne!(old.topic_stamp(ix), shown.topic_stamp(ix));
    world.apply_metadata(&metadata(PARTITIONS, &[false; PARTITIONS]), |_| true, Moment(10 * PASS));
    assert!(Arc::ptr_eq(world.topic(ix).unwrap(), old.world.topic(ix).unwrap()), "it says nothing new");
    let again = derive_after(&world, Some(&old), 10);
    assert!(again.freshness.is_placed(again.world.topic(ix).unwrap()));
    assert_ne!(again.topic_stamp(ix), old.topic_stamp(ix));
}

#[test]
fn what_has_not_changed_is_shared_until_it_is_too_old() {
    let mut world = new_world();
    run(&mut world, &simple(0, 100, 50), 1);
    let at = |moment: u64| Instants { moment: Moment(moment), wall: WallTime(0) };
    let first = Snapshot::derive(&world, None, at(PASS + 10));
    let second = Snapshot::derive(&world, Some(&first), at(PASS + 20));
    assert!(Arc::ptr_eq(first.group("g").unwrap(), second.group("g").unwrap()));
    let limit = Moment(PASS).plus(MAX_AGE.get());
    let third = Snapshot::derive(&world, Some(&second), at(limit.0 + 3));
    assert_eq!(third.group("g").unwrap().lag(0), None, "too old");
    world.apply_offsets(OffsetSpec::Latest, &listed(&[Some(200); 3], &[false; 3]), |_| MAX_AGE, read(2, PASS + 30));
    let moved = Snapshot::derive(&world, Some(&second), at(PASS + 40));
    assert!(!Arc::ptr_eq(second.group("g").unwrap(), moved.group("g").unwrap()), "an end of its topic was read");
    assert_eq!(moved.topic(world.names.get("t").unwrap()).end_sum, Some(600));
}
