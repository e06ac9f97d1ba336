//! Coherence under every interleaving: topics of a group are read at different times, in part or in full, and ends are
//! read more often than commits; a lag that is shown is always one that a single round read, the newest one.

use super::*;
use crate::state::TopicIx;

const TOPICS: [&str; 2] = ["a", "b"];
/// Shorter than the longest histories take, so that values expire on the way.
const SHORT: MaxAge = MaxAge::from_secs(30);

/// What a round asks for, in its order.
#[derive(Debug, Clone)]
struct Interleaved {
    starts: [bool; 2],
    /// `None`: nothing; `Some(None)`: everything; else these topics.
    commits: Option<Option<[bool; 2]>>,
    ends: [bool; 2],
    /// Time from its beginning to the next round's.
    after: u64,
    /// Whether a snapshot is derived when it is over.
    derived: bool,
    /// What the cluster does meanwhile: the end of each topic rises, the group commits up to it.
    risen: [i64; 2],
    committed: [Option<i64>; 2],
}

fn rounds() -> impl Strategy<Value = Vec<Interleaved>> {
    let commits = prop_oneof![
        2 => Just(None),
        2 => Just(Some(None)),
        3 => prop::array::uniform2(prop::bool::ANY).prop_map(|topics| Some(Some(topics))),
    ];
    let round = (
        prop::array::uniform2(prop::bool::weighted(0.4)),
        commits,
        prop::array::uniform2(prop::bool::weighted(0.6)),
        prop_oneof![1_000_u64..6_000, 10_000_u64..25_000],
        prop::bool::weighted(0.8),
        prop::array::uniform2(0_i64..20),
        prop::array::uniform2(prop::option::of(0_i64..12)),
    );
    let round = round.prop_map(|(starts, commits, ends, after, derived, risen, committed)| Interleaved {
        starts,
        commits,
        ends,
        after,
        derived,
        risen,
        committed,
    });
    prop::collection::vec(round, 1..25)
}

/// The cluster, and what was read of one topic.
#[derive(Debug, Clone, Copy, Default)]
struct Truth {
    end: i64,
    commit: Option<i64>,
    has_start: bool,
    /// The commit of this round, and when it was read.
    read: Option<(i64, u64)>,
    /// The newest pair of one round, and until when it may be shown.
    pair: Option<(i64, u64)>,
    /// The newest pair that a snapshot has seen: one that came and went between two snapshots is lost.
    seen: Option<(i64, u64)>,
    /// Whether the newest reading of the commit is still without an end of its round.
    is_open: bool,
    has_row: bool,
}

fn one_partition() -> ClusterMetadata {
    let partition =
        PartitionMetadata { id: PartitionId(0), leader: Some(BrokerId(1)), replicas: vec![BrokerId(1)], in_sync: 1 };
    let topic = |name: &&str| TopicMetadata {
        name: Arc::from(*name),
        error: KafkaCode::NONE,
        partitions: vec![partition.clone()],
    };
    ClusterMetadata { brokers: Vec::new(), topics: TOPICS.iter().map(topic).collect() }
}

fn row(topic: usize, offset: i64) -> Vec<TopicRows<ListedPartition>> {
    let row = ListedPartition { partition: PartitionId(0), offset: Ok(Offset::new(offset).unwrap()) };
    vec![TopicRows { topic: Arc::from(TOPICS[topic]), rows: vec![row] }]
}

fn commits_of(truth: &[Truth; 2], topics: [bool; 2]) -> CommittedOffsets {
    let rows = (0..2).filter(|topic| topics[*topic]).map(|topic| TopicRows {
        topic: Arc::from(TOPICS[topic]),
        rows: vec![CommittedPartition {
            partition: PartitionId(0),
            offset: Ok(truth[topic].commit.and_then(Offset::new)),
        }],
    });
    CommittedOffsets { topics: rows.collect() }
}

/// One round through the real pipeline and through the oracle.
fn play(world: &mut World, truth: &mut [Truth; 2], round: &Interleaved, number: u32, at: u64) {
    for topic in (0..2).filter(|topic| round.starts[*topic]) {
        world.apply_offsets(OffsetSpec::Earliest, &row(topic, 0), |_| MaxAge::from_secs(3600), read(number, at));
        // A start that is newer than the commit does not go with it: what a snapshot saw of the pair stands.
        (truth[topic].has_start, truth[topic].pair) = (true, None);
    }
    truth.iter_mut().for_each(|topic| topic.read = None);
    if let Some(asked) = round.commits {
        let topics = asked.unwrap_or([true; 2]);
        let answer = commits_of(truth, topics);
        let places: Vec<TopicIx> = TOPICS.iter().map(|name| world.names.get(name).unwrap()).collect();
        let named: Vec<(TopicIx, Vec<PartitionId>)> =
            (0..2).filter(|topic| topics[*topic]).map(|topic| (places[topic], vec![PartitionId(0)])).collect();
        let asked = if asked.is_some() { Asked::Named(&named) } else { Asked::Everything };
        world.apply_commits("g", &answer, asked, |_| true, &|_| SHORT, read(number, at + 1));
        for topic in (0..2).filter(|topic| topics[*topic]) {
            let known = &mut truth[topic];
            known.has_row = known.commit.is_some();
            known.read = known.commit.map(|commit| (commit, at + 1));
            known.is_open = true;
            if !known.has_row {
                (known.pair, known.seen) = (None, None);
            }
        }
    }
    // Between commits and ends the cluster goes on.
    for (topic, known) in truth.iter_mut().enumerate() {
        known.end += round.risen[topic];
        if let Some(behind) = round.committed[topic] {
            known.commit = Some((known.end - behind).max(known.commit.unwrap_or(0)));
        }
    }
    for topic in (0..2).filter(|topic| round.ends[*topic]) {
        world.apply_offsets(OffsetSpec::Latest, &row(topic, truth[topic].end), |_| SHORT, read(number, at + 2));
        let known = &mut truth[topic];
        match known.read.filter(|_| known.has_start) {
            Some((commit, read_at)) => {
                let until = read_at + u64::try_from(SHORT.get().as_millis()).unwrap();
                (known.pair, known.is_open) = (Some(((known.end - commit).max(0), until)), false);
            }
            // The end that belonged to the pair is gone: what a snapshot saw of it stands.
            None => known.pair = None,
        }
    }
    for topic in truth.iter_mut().filter(|topic| topic.is_open) {
        topic.pair = None;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_lag_is_always_of_one_round_and_the_newest(history in rounds()) {
        let mut world = new_world();
        world.metadata_max_age = MaxAge::from_secs(3600);
        world.apply_metadata(&one_partition(), |_| true, Moment(0));
        let mut truth = [Truth::default(); 2];
        let mut snapshot: Option<Snapshot> = None;
        let mut at = 1_000;
        for (number, round) in (1_u32..).zip(&history) {
            play(&mut world, &mut truth, round, number, at);
            if round.derived {
                let now = at + 3;
                let instants = Instants { moment: Moment(now), wall: WallTime(0) };
                let derived = Snapshot::derive(&world, snapshot.as_ref(), instants);
                for (topic, known) in truth.iter_mut().enumerate() {
                    known.seen = known.pair.or(known.seen).filter(|(_, until)| now <= *until);
                    let expected = known.seen.filter(|_| known.has_row).map(|(lag, _)| u64::try_from(lag).unwrap());
                    prop_assert_eq!(shown(&derived, topic), expected, "{} in round {}", TOPICS[topic], number);
                }
                snapshot = Some(derived);
            }
            at += round.after;
        }
    }
}

/// The lag that a snapshot shows for a topic.
fn shown(snapshot: &Snapshot, topic: usize) -> Option<u64> {
    let group = snapshot.group("g")?;
    let commits = group.table.commits.as_ref()?;
    let segment = commits.segment(snapshot.world.names.get(TOPICS[topic])?)?;
    group.lag(segment.rows.start).map(|lag| lag.0)
}
