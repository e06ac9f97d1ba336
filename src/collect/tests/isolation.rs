//! Groups that read committed records only: which last stable offsets are asked for, and what failing to learn one costs.

use super::adaptive::Adaptive;
use super::*;
use crate::model::OffsetSpec;

fn reads_committed(settings: &mut PollSettings) {
    settings.groups.read_committed = NamePredicate::new(|group| group == "committed");
}

/// How many partitions' last stable offsets were asked for since this was last asked.
fn asked(kafka: &FakeKafka) -> usize {
    let calls = kafka.take_calls();
    calls.iter().filter(|call| call.spec == Some(OffsetSpec::LastStable)).map(|call| call.named).sum()
}

#[tokio::test(start_paused = true)]
async fn lag_ends_where_the_open_transaction_begins_and_only_what_is_not_finished_is_asked_for() {
    let mut bench = Bench::with(2, reads_committed);
    {
        let mut world = bench.kafka.world();
        let topic = world.topic("t", &[(0, 10), (0, 20), (0, 30), (0, 40)]);
        topic.partitions[1].open_transaction = Some(15);
        topic.partitions[3].open_transaction = Some(35);
        world.group("committed", 1, &[("t", 0, 10), ("t", 1, 5), ("t", 2, 25)]);
        world.group("all", 2, &[("t", 1, 5), ("t", 3, 5)]);
    }
    bench.pass().await;
    assert_eq!(bench.lags("committed"), [Some(0), Some(10), Some(5)]);
    assert_eq!(bench.lags("all"), [Some(15), Some(35)]);
    assert_eq!(asked(&bench.kafka), 2, "one has been read to its end, of one the group has no commit");
    let topic = bench.poller.world().topic(bench.poller.world().names.get("t").unwrap()).unwrap();
    assert_eq!(topic.ends[1].known().map(|offset| offset.get()), Some(20), "the end is the high watermark");

    bench.kafka.world().group("committed", 1, &[("t", 0, 10), ("t", 1, 20), ("t", 2, 30)]);
    bench.pass().await;
    assert_eq!(bench.lags("committed"), [Some(0); 3]);
    assert_eq!(asked(&bench.kafka), 0, "it has read all");
}

#[tokio::test(start_paused = true)]
async fn without_such_groups_no_column_is_kept_and_nothing_is_asked() {
    let mut bench = Bench::new(1);
    bench.kafka.world().topic("t", &[(0, 10)]);
    bench.kafka.world().group("committed", 1, &[("t", 0, 5)]);
    bench.pass().await;
    assert_eq!(asked(&bench.kafka), 0);
    let world = bench.poller.world();
    assert!(world.topic(world.names.get("t").unwrap()).unwrap().stable_ends.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_last_stable_offset_that_is_not_told_is_asked_for_again_soon_and_the_lag_is_unknown_till_then() {
    let mut engine = Adaptive::new(reads_committed);
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.bench.kafka.world().group("committed", 1, &[("t", 0, 4)]);
    engine.bench.kafka.world().no_stable = Some(KafkaCode::NOT_LEADER_OR_FOLLOWER);
    let (report, _) = engine.tick().await;
    assert!(report.outcome(CollectorName::Offsets).is_some_and(|(success, _)| !success));
    assert_eq!(engine.bench.lags("committed"), [None], "never the lag up to the high watermark");
    engine.bench.kafka.world().no_stable = None;
    let until = engine.second() + 60;
    while engine.bench.lags("committed") == [None] {
        assert!(engine.second() < until, "it was not asked for again");
        engine.tick().await;
    }
    assert_eq!(engine.bench.lags("committed"), [Some(6)]);
}
