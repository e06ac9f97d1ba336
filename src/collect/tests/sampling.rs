//! Sampled topics: what is asked of them, and what is shown.

use std::num::NonZeroUsize;

use super::*;
use crate::kafka::fake::Call;
use crate::model::PartitionId;

/// A cluster of one broker whose topics are sampled beyond so many partitions.
fn sampled(limit: usize, change: impl FnOnce(&mut PollSettings)) -> Bench {
    Bench::with(1, |settings| {
        settings.topics.sample_partitions = NonZeroUsize::new(limit);
        change(settings);
    })
}

fn named(calls: &[Call], operation: Operation) -> usize {
    calls.iter().filter(|call| call.operation == operation).map(|call| call.named).sum()
}

/// Of a group's commits on a topic: the partitions, then the sums of the topic and those of its sample.
fn shown(bench: &Bench, group: &str, topic: &str) -> (Vec<i32>, [Option<u64>; 4], [Option<u64>; 2]) {
    let ix = bench.poller.world().names.get(topic).unwrap();
    let group = bench.snapshot().group(group).unwrap();
    let (commits, segment, sums) = group.segments().find(|(_, segment, _)| segment.topic == ix).unwrap();
    let number = |messages: Option<Messages>| messages.map(|messages| messages.0);
    let partitions = commits.partitions[segment.rows.clone()].iter().map(|partition| partition.0).collect();
    let of_topic = [sums.committed_sum, number(sums.lag_sum), number(sums.max_lag), number(sums.lost_sum)];
    (partitions, of_topic, [sums.committed_sampled_sum, number(sums.lag_sampled_sum)])
}

#[tokio::test(start_paused = true)]
async fn only_the_sample_is_asked_for_counted_and_shown() {
    let mut bench = sampled(2, |_| ());
    bench.kafka.world().topic("wide", &[(0, 10), (5, 20), (0, 1000), (0, 1000), (0, 1000)]);
    bench.kafka.world().topic("narrow", &[(0, 10), (0, 10)]);
    bench.kafka.world().group("g", 1, &[("wide", 0, 4), ("wide", 1, 2), ("wide", 4, 7), ("narrow", 1, 1)]);
    bench.kafka.world().group("outside", 1, &[("wide", 3, 7), ("narrow", 0, 1)]);
    bench.kafka.world().group("narrow-only", 1, &[("narrow", 0, 1)]);
    // Nothing is known of the rows at the first pass.
    bench.pass().await;
    bench.kafka.take_calls();
    let report = bench.pass().await;
    assert_eq!(named(&bench.kafka.take_calls(), Operation::ListOffsets), 2 * (2 + 2), "starts and ends");
    assert_eq!([report.starts, report.ends].map(|used| (used.hits, used.misses)), [(0, 4); 2]);
    assert_eq!((report.commits.hits, report.commits.misses), (0, 5));
    assert_eq!(report.errors, []);

    assert_eq!(shown(&bench, "g", "wide"), (vec![0, 1], [None; 4], [Some(6), Some(6 + 15)]));
    assert_eq!(shown(&bench, "g", "narrow"), (vec![1], [Some(1), Some(9), Some(9), Some(0)], [None; 2]));
    assert_eq!(shown(&bench, "outside", "wide"), (vec![], [None; 4], [None; 2]));
    let max_lag = |group| bench.snapshot().group(group).unwrap().max_lag;
    assert_eq!(["g", "outside", "narrow-only"].map(max_lag), [None, None, Some(Messages(9))]);
    let ix = bench.poller.world().names.get("wide").unwrap();
    let topic = bench.snapshot().topic(ix);
    assert_eq!((topic.end_sum, topic.start_sum, topic.unknown), (None, None, 0));
    assert_eq!((topic.end_sampled_sum, topic.start_sampled_sum), (Some(30), Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_grows_is_sampled_from_then_on() {
    let mut bench = sampled(2, |_| ());
    bench.kafka.world().topic("t", &[(0, 10), (0, 20)]);
    bench.kafka.world().group("g", 1, &[("t", 0, 4), ("t", 1, 2)]);
    bench.pass().await;
    assert_eq!(shown(&bench, "g", "t"), (vec![0, 1], [Some(6), Some(24), Some(18), Some(0)], [None; 2]));
    bench.kafka.world().topic("t", &[(0, 10), (0, 20), (0, 30)]).id = 1;
    // Even when nothing else is told than that there is one more.
    bench.fail(Operation::OffsetFetch, None, Cause::NoAnswer);
    bench.pass().await;
    assert_eq!(shown(&bench, "g", "t"), (vec![0, 1], [None; 4], [Some(6), Some(24)]));
}

#[tokio::test(start_paused = true)]
async fn of_what_is_due_only_the_sample_is_named() {
    let mut bench = sampled(2, |settings| {
        settings.rules.fixed = None;
        settings.rules.bounds.max_age = None;
    });
    bench.kafka.world().topic("busy", &[(0, 10); 7]);
    bench.kafka.world().topic("quiet", &[(0, 10); 7]);
    let commits = [("busy", 0, 4), ("busy", 6, 4), ("quiet", 0, 10), ("quiet", 6, 4)];
    bench.kafka.world().group("g", 1, &commits).description.members = 1;
    let rhythm = crate::schedule::Rhythm { period: None, reference: None, last: None };
    let (mut names, mut end) = (Vec::new(), 10);
    while bench.clock.now().moment < Moment(600_000) {
        end += 1;
        {
            let mut world = bench.kafka.world();
            let busy = &mut world.topics.get_mut("busy").unwrap().partitions;
            busy.iter_mut().for_each(|partition| partition.offsets = Ok((0, end)));
            let commits = &mut world.groups.get_mut("g").unwrap().commits;
            commits.insert(("busy".into(), PartitionId(0)), Ok(end - 6));
        }
        let next = bench.poller.next_tick(&rhythm);
        let now = bench.clock.now().moment;
        bench.clock.0.store(next.0.max(now.0), Ordering::Relaxed);
        bench.poller.tick().await;
        let calls = bench.kafka.take_calls();
        names.extend(calls.iter().filter(|call| call.operation == Operation::OffsetFetch).map(|call| call.named));
        let asked = named(&calls, Operation::ListOffsets);
        assert!(asked <= 2 * (2 + 2), "{asked} partitions");
        bench.last = Some(Snapshot::derive(bench.poller.world(), bench.last.as_ref(), bench.clock.now()));
    }
    assert!(names.contains(&2), "the busy topic alone is named: {names:?}");
    assert!(names.iter().all(|named| [0, 2, 4].contains(named)), "{names:?}");
    let lag = u64::try_from(end - (end - 6)).unwrap();
    assert_eq!(shown(&bench, "g", "busy").0, [0]);
    assert!(bench.lags("g").contains(&Some(lag)));
}
