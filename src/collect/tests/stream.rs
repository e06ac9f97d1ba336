//! Commits that are read from `__consumer_offsets`: what is not asked any more, and when it is asked all the same.

use std::sync::Mutex;

use super::*;
use crate::kafka::{CommitFeed, CommitKey, FeedHealth, OffsetsRecord, PartitionHealth};
use crate::model::{Offset, PartitionId, StreamState};

/// A stream that the test writes.
#[derive(Debug, Default)]
struct FakeFeed {
    health: Mutex<FeedHealth>,
    records: Mutex<Vec<OffsetsRecord>>,
}

impl CommitFeed for FakeFeed {
    fn health(&self) -> FeedHealth {
        self.health.lock().unwrap().clone()
    }

    fn take(&self) -> Vec<OffsetsRecord> {
        std::mem::take(&mut self.records.lock().unwrap())
    }
}

fn key(group: &str, topic: &str, partition: i32) -> CommitKey {
    CommitKey { group: group.into(), topic: topic.into(), partition: PartitionId(partition) }
}

impl FakeFeed {
    /// All partitions are so, complete up to so many milliseconds ago.
    fn set(&self, state: StreamState, complete_ms: u64) {
        let partition = PartitionHealth {
            state,
            position: None,
            high_watermark: None,
            complete_age: Some(Duration::from_millis(complete_ms)),
            stuck_for: None,
        };
        self.health.lock().unwrap().partitions = vec![partition; 3];
    }

    fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64, at: i64) {
        let (key, offset) = (key(group, topic, partition), Offset::new(offset).unwrap());
        self.records.lock().unwrap().push(OffsetsRecord::Commit { key, offset, at: WallTime(at) });
    }
}

/// A cluster of one broker with a topic of two partitions and one group, and its stream; two passes are over, so that the
/// stream answers.
async fn streaming(change: impl FnOnce(&mut PollSettings)) -> (Bench, Arc<FakeFeed>) {
    let feed = Arc::new(FakeFeed::default());
    feed.set(StreamState::Streaming, 100);
    let mut bench = Bench::with(1, |settings| {
        settings.commit_feed = Some(feed.clone());
        change(settings);
    });
    bench.kafka.world().topic("t", &[(0, 10), (0, 10)]);
    bench.kafka.world().group("g", 1, &[("t", 0, 4), ("t", 1, 4)]);
    bench.pass().await;
    assert_eq!(fetches(&bench), 1, "the base");
    bench.pass().await;
    assert_eq!(fetches(&bench), 0, "the stream knows it");
    (bench, feed)
}

/// How often a coordinator was asked for commits since the last time.
fn fetches(bench: &Bench) -> usize {
    bench.kafka.take_calls().iter().filter(|call| call.operation == Operation::OffsetFetch).count()
}

fn commits_total(bench: &Bench) -> Option<u64> {
    bench.poller.world().stream.as_ref().unwrap().groups.get("g").map(|group| group.commits)
}

#[tokio::test(start_paused = true)]
async fn commits_come_from_the_stream_with_their_times_and_nobody_is_asked() {
    let (mut bench, feed) = streaming(|_| ()).await;
    assert_eq!(commits_total(&bench), Some(0));
    feed.commit("g", "t", 0, 5, 30_500);
    feed.commit("g", "t", 0, 7, 31_250);
    feed.commit("unknown", "t", 0, 1, 31_300);
    bench.pass().await;
    assert_eq!(fetches(&bench), 0);
    assert_eq!(bench.lags("g"), [Some(3), Some(6)]);
    let commits = bench.poller.world().groups.get("g").unwrap().commits.clone().unwrap();
    assert_eq!(commits.segments[0].moved_at, Some(WallTime(31_250)));
    assert_eq!(commits_total(&bench), Some(2));
    let events = bench.poller.take_commit_events();
    let offsets: Vec<_> = events.iter().map(|event| (&*event.group, event.offset.get(), event.at.0)).collect();
    assert_eq!(offsets, [("g", 5, 30_500), ("g", 7, 31_250)]);
    assert!(bench.poller.take_commit_events().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_commit_on_a_new_topic_appears_and_a_deleted_one_goes() {
    let (mut bench, feed) = streaming(|_| ()).await;
    bench.kafka.world().topic("new", &[(0, 3)]);
    feed.commit("g", "new", 0, 1, 30_500);
    let gone = OffsetsRecord::Tombstone { key: key("g", "t", 1) };
    feed.records.lock().unwrap().push(gone);
    bench.pass().await;
    assert_eq!(fetches(&bench), 0);
    assert_eq!(bench.lags("g"), [Some(6), Some(2)], "t-0 and new-0");
}

#[tokio::test(start_paused = true)]
async fn what_the_stream_does_not_know_is_polled() {
    let (mut bench, feed) = streaming(|_| ()).await;
    for state in [StreamState::Pinned, StreamState::CatchingUp, StreamState::Failed] {
        feed.set(state, 60_000);
        bench.pass().await;
        assert_eq!(fetches(&bench), 1, "{state:?}");
    }
    bench.kafka.world().groups.get_mut("g").unwrap().commits.insert(("t".into(), PartitionId(0)), Ok(9));
    bench.pass().await;
    assert_eq!(bench.lags("g"), [Some(1), Some(6)]);
    assert_eq!(bench.poller.world().stream.as_ref().unwrap().partitions, [0, 0, 0, 3]);
    assert_eq!(commits_total(&bench), None, "nobody counts");
    fetches(&bench);
    feed.set(StreamState::Streaming, 100);
    feed.commit("g", "t", 0, 9, 80_000);
    bench.pass().await;
    assert_eq!((fetches(&bench), bench.lags("g")), (0, vec![Some(1), Some(6)]), "it goes on");
    assert_eq!(commits_total(&bench), Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_coordinators_answer_is_not_shown() {
    let (mut bench, feed) = streaming(|_| ()).await;
    feed.health.lock().unwrap().life = 7;
    bench.kafka.world().groups.get_mut("g").unwrap().commits.insert(("t".into(), PartitionId(0)), Ok(8));
    bench.pass().await;
    assert_eq!((fetches(&bench), bench.lags("g")), (1, vec![Some(2), Some(6)]), "commits may have been missed");
    // Reading has not come to the time of that answer yet.
    feed.set(StreamState::Streaming, 20_000);
    feed.commit("g", "t", 0, 6, 46_000);
    bench.pass().await;
    assert_eq!((fetches(&bench), bench.lags("g")), (1, vec![Some(2), Some(6)]));
    feed.set(StreamState::Streaming, 100);
    feed.commit("g", "t", 0, 8, 47_000);
    bench.pass().await;
    assert_eq!((fetches(&bench), bench.lags("g")), (0, vec![Some(2), Some(6)]));
}

#[tokio::test(start_paused = true)]
async fn before_reading_has_begun_an_answer_is_no_base() {
    let feed = Arc::new(FakeFeed::default());
    let mut bench = Bench::with(1, |settings| settings.commit_feed = Some(feed.clone()));
    bench.kafka.world().topic("t", &[(0, 10)]);
    bench.kafka.world().group("g", 1, &[("t", 0, 4)]);
    for _ in 0..2 {
        bench.pass().await;
        assert_eq!(fetches(&bench), 1);
        assert_eq!(bench.poller.world().stream.as_ref().unwrap().partitions, [0; 4]);
    }
    feed.set(StreamState::Streaming, 100);
    bench.pass().await;
    assert_eq!(fetches(&bench), 1, "the base");
    bench.pass().await;
    assert_eq!(fetches(&bench), 0);
}

#[tokio::test(start_paused = true)]
async fn once_in_a_while_everything_is_asked_for_all_the_same() {
    let (mut bench, _feed) = streaming(|_| ()).await;
    let mut asked = Vec::new();
    for pass in 2..100 {
        bench.pass().await;
        if fetches(&bench) > 0 {
            asked.push(pass);
        }
    }
    assert_eq!(asked, [40, 80], "every 40 passes of 15 s");
    assert_eq!(bench.lags("g"), [Some(6), Some(6)]);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_exported_counts_and_a_group_that_goes_takes_its_count_along() {
    let (mut bench, feed) = streaming(|settings| settings.topics.names = NamePredicate::new(|name| name == "t")).await;
    feed.commit("g", "other", 0, 1, 30_000);
    feed.commit("g", "t", 0, 5, 30_000);
    bench.pass().await;
    assert_eq!(commits_total(&bench), Some(1));
    assert_eq!(bench.poller.take_commit_events().len(), 1);
    bench.kafka.world().groups.remove("g");
    for _ in 0..3 {
        bench.pass().await;
    }
    assert_eq!(commits_total(&bench), None);
}

#[tokio::test(start_paused = true)]
async fn adaptive_polling_hears_of_a_commit_on_a_quiet_topic_at_once() {
    let (mut bench, feed) = streaming(|settings| settings.rules.fixed = None).await;
    let read_at = |bench: &Bench| {
        let commits = bench.poller.world().groups.get("g").unwrap().commits.clone().unwrap();
        commits.segments[0].at
    };
    for _ in 0..30 {
        bench.pass().await;
    }
    let mut before = read_at(&bench);
    bench.pass().await;
    while read_at(&bench) == before {
        before = read_at(&bench);
        bench.pass().await;
    }
    // It is quiet, and was read just now: not before a while will it be due again.
    fetches(&bench);
    feed.commit("g", "t", 1, 9, 480_000);
    bench.pass().await;
    assert_eq!((fetches(&bench), bench.lags("g")), (0, vec![Some(6), Some(1)]));
}

/// What the group has committed, as its coordinator tells it from now on.
fn committed(bench: &Bench, topic: &str, partition: i32, offset: i64) {
    let mut world = bench.kafka.world();
    world.groups.get_mut("g").unwrap().commits.insert((topic.into(), PartitionId(partition)), Ok(offset));
}

#[tokio::test(start_paused = true)]
async fn asking_as_often_as_reading_gets_on_ends() {
    let (mut bench, feed) = streaming(|settings| settings.rules.fixed = Some(Duration::from_secs(1))).await;
    // A new life, and reading that is always further back than the last pass.
    feed.health.lock().unwrap().life = 7;
    feed.set(StreamState::Streaming, 1500);
    committed(&bench, "t", 0, 8);
    bench.pass_after(1000).await;
    assert_eq!((fetches(&bench), bench.lags("g")), (1, vec![Some(2), Some(6)]), "the base");
    feed.commit("g", "t", 0, 6, 30_000);
    bench.pass_after(1000).await;
    assert_eq!((fetches(&bench), bench.lags("g")), (0, vec![Some(2), Some(6)]), "the base stands");
    feed.commit("g", "t", 0, 8, 30_500);
    feed.commit("g", "t", 1, 5, 32_500);
    bench.pass_after(1000).await;
    assert_eq!((fetches(&bench), bench.lags("g")), (0, vec![Some(2), Some(5)]), "reading has passed it");
    for pass in 0..598 {
        bench.pass_after(1000).await;
        assert_eq!(fetches(&bench), usize::from(pass == 597), "pass {pass}");
    }
    bench.pass_after(1000).await;
    assert_eq!(fetches(&bench), 0, "one asks for the guard against drift");
}

#[tokio::test(start_paused = true)]
async fn what_the_coordinator_told_stands_no_longer_than_what_is_read() {
    let (mut bench, feed) = streaming(|settings| settings.rules.fixed = Some(Duration::from_secs(1))).await;
    feed.health.lock().unwrap().life = 7;
    feed.set(StreamState::Streaming, 20_000);
    let mut asked = Vec::new();
    for pass in 0..13 {
        bench.pass_after(1000).await;
        if fetches(&bench) > 0 {
            asked.push(pass);
        }
    }
    assert_eq!(asked, [0, 6, 12]);
}

#[tokio::test(start_paused = true)]
async fn a_base_that_was_refused_is_asked_for_again_before_long() {
    let (mut bench, feed) = streaming(|settings| {
        settings.rules.fixed = None;
        settings.rules.bounds.max = Some(Duration::from_secs(600));
        settings.rules.bounds.max_age = None;
    })
    .await;
    // Until all of it is quiet.
    for _ in 0..100 {
        bench.pass().await;
    }
    fetches(&bench);
    feed.health.lock().unwrap().life = 7;
    let refused = Cause::Code { code: KafkaCode::GROUP_AUTHORIZATION_FAILED, text: String::new() };
    bench.fail(Operation::OffsetFetch, None, refused);
    bench.pass().await;
    assert_eq!(fetches(&bench), 1);
    bench.kafka.world().failures.clear();
    committed(&bench, "t", 0, 9);
    let mut passes = 0;
    while bench.lags("g")[0] != Some(1) {
        bench.pass().await;
        passes += 1;
        assert!(passes <= 4, "a minute");
    }
    for _ in 0..4 {
        fetches(&bench);
        feed.commit("g", "t", 0, 10, 30_000);
        bench.pass().await;
        assert_eq!((fetches(&bench), bench.lags("g")[0]), (0, Some(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_an_answer_about_its_topic_is_not_shown() {
    let (mut bench, feed) = streaming(|settings| settings.rules.fixed = None).await;
    bench.kafka.world().topic("quiet", &[(0, 10)]);
    feed.commit("g", "quiet", 0, 1, 30_000);
    committed(&bench, "quiet", 0, 1);
    for _ in 0..20 {
        bench.pass().await;
    }
    assert_eq!(bench.lags("g"), [Some(6), Some(6), Some(9)]);
    feed.set(StreamState::CatchingUp, 60_000);
    let mut offset = 5;
    loop {
        bench.kafka.take_calls();
        bench.kafka.world().topics.get_mut("t").unwrap().partitions[0].offsets = Ok((0, offset + 6));
        committed(&bench, "t", 0, offset);
        bench.pass().await;
        assert_eq!(bench.lags("g")[0], Some(6));
        let calls = bench.kafka.take_calls();
        let is_fetch = |call: &&crate::kafka::fake::Call| call.operation == Operation::OffsetFetch;
        let named: Vec<_> = calls.iter().filter(is_fetch).map(|call| call.named).collect();
        if offset > 5 && named == [2] {
            break;
        }
        offset += 1;
        assert!(offset < 15, "the topic is never asked for alone");
    }
    // Reading goes on; it has not come to the time of that answer when the next pass is made.
    feed.set(StreamState::Streaming, 1500);
    for (read, lag) in [(offset - 1, 6), (offset, 6), (offset + 1, 5)] {
        feed.commit("g", "t", 0, read, 300_000);
        bench.pass_after(1000).await;
        assert_eq!(bench.lags("g")[0], Some(lag), "{read}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_gone_for_a_moment_is_asked_for_again() {
    let (mut bench, _feed) = streaming(|_| ()).await;
    let state = |bench: &Bench, state| {
        bench.kafka.world().groups.get_mut("g").unwrap().description.state = state;
    };
    state(&bench, GroupState::Dead);
    bench.pass().await;
    assert!(bench.poller.world().groups.is_empty());
    state(&bench, GroupState::Stable);
    fetches(&bench);
    bench.pass().await;
    assert_eq!((fetches(&bench), bench.lags("g")), (1, vec![Some(6), Some(6)]));
    bench.pass().await;
    assert_eq!(fetches(&bench), 0);
}
