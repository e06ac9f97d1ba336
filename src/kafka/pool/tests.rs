//! The pool on a virtual clock, with handles that fail as a test wants.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::kafka::fake::FakeKafka;
use crate::model::BrokerConnection;

const SECOND: Duration = Duration::from_secs(1);
const SICK: BrokerId = BrokerId(2);
const WELL: BrokerId = BrokerId(1);

/// How one handle behaves.
#[derive(Default)]
struct Switches {
    /// Calls to these brokers meet silence.
    silent: Mutex<BTreeSet<BrokerId>>,
    /// How long every call takes.
    takes: Mutex<Duration>,
    poll_age: Mutex<Duration>,
    stats: ArcSwap<ConnectionStats>,
    is_closed: AtomicBool,
    asked: AtomicUsize,
    metadata: AtomicUsize,
}

impl Switches {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn set_takes(&self, takes: Duration) {
        *self.takes.lock().unwrap() = takes;
    }

    fn silence(&self, broker: BrokerId) {
        self.silent.lock().unwrap().insert(broker);
    }
}

/// A cluster with all handles that were opened to it.
struct Site {
    kafka: FakeKafka,
    handles: Mutex<Vec<Arc<Switches>>>,
    live: AtomicUsize,
    most: AtomicUsize,
    /// What new handles are like.
    takes: Mutex<Duration>,
    silent: Mutex<BTreeSet<BrokerId>>,
}

impl Site {
    fn new() -> Arc<Self> {
        let site = Self {
            kafka: FakeKafka::new(2),
            handles: Mutex::default(),
            live: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            takes: Mutex::new(Duration::from_millis(10)),
            silent: Mutex::default(),
        };
        site.kafka.world().group("g", 1, &[]);
        Arc::new(site)
    }

    fn open(self: &Arc<Self>) -> TestClient {
        let me = Arc::new(Switches::default());
        me.set_takes(*self.takes.lock().unwrap());
        me.silent.lock().unwrap().clone_from(&self.silent.lock().unwrap());
        self.handles.lock().unwrap().push(me.clone());
        let live = self.live.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(live, Ordering::Relaxed);
        TestClient { site: self.clone(), me }
    }

    fn handle(&self, place: usize) -> Arc<Switches> {
        self.handles.lock().unwrap()[place].clone()
    }

    fn opened(&self) -> usize {
        self.handles.lock().unwrap().len()
    }
}

struct TestClient {
    site: Arc<Site>,
    me: Arc<Switches>,
}

impl TestClient {
    fn end(&self) {
        if !self.me.is_closed.swap(true, Ordering::Relaxed) {
            self.site.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn gate(&self, operation: Operation, broker: Option<BrokerId>) -> Result<(), KafkaError> {
        self.me.asked.fetch_add(1, Ordering::Relaxed);
        let takes = *self.me.takes.lock().unwrap();
        sleep(takes).await;
        let fail = |cause| Err(KafkaError { operation, target: broker.map_or(Target::Cluster, Target::Broker), cause });
        if self.me.is_closed.load(Ordering::Relaxed) {
            return fail(Cause::Closed);
        }
        if broker.is_some_and(|broker| self.me.silent.lock().unwrap().contains(&broker)) {
            return fail(Cause::NoAnswer);
        }
        Ok(())
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        self.end();
    }
}

impl PooledClient for TestClient {
    fn broker_stats(&self) -> Arc<ConnectionStats> {
        self.me.stats.load_full()
    }

    fn poll_age(&self) -> Duration {
        *self.me.poll_age.lock().unwrap()
    }

    fn poll_panics(&self) -> u64 {
        1
    }

    async fn ping(&self, broker: Option<BrokerId>, limit: Duration) -> Option<Duration> {
        let begun = tokio::time::Instant::now();
        let answer = tokio::time::timeout(limit, self.gate(Operation::DescribeCluster, broker)).await;
        answer.is_ok_and(|answer| answer.is_ok()).then(|| begun.elapsed())
    }

    async fn close(&self) {
        self.end();
    }

    fn is_gone(&self) -> bool {
        self.me.is_closed.load(Ordering::Relaxed)
    }
}

impl KafkaApi for TestClient {
    async fn metadata(&self) -> Result<ClusterMetadata, KafkaError> {
        self.me.metadata.fetch_add(1, Ordering::Relaxed);
        self.gate(Operation::Metadata, None).await?;
        self.site.kafka.metadata().await
    }

    async fn describe_cluster(&self) -> Result<ClusterDescription, KafkaError> {
        self.gate(Operation::DescribeCluster, None).await?;
        self.site.kafka.describe_cluster().await
    }

    async fn describe_topics(&self, topics: &[Arc<str>]) -> Result<Vec<TopicDescription>, KafkaError> {
        self.gate(Operation::DescribeTopics, None).await?;
        self.site.kafka.describe_topics(topics).await
    }

    async fn list_groups(&self, broker: BrokerId) -> Result<Vec<GroupListing>, KafkaError> {
        self.gate(Operation::ListGroups, Some(broker)).await?;
        self.site.kafka.list_groups(broker).await
    }

    async fn describe_groups(&self, broker: BrokerId, groups: &[Arc<str>]) -> Result<Vec<GroupReply>, KafkaError> {
        self.gate(Operation::DescribeGroups, Some(broker)).await?;
        self.site.kafka.describe_groups(broker, groups).await
    }

    async fn committed_offsets(
        &self,
        broker: BrokerId,
        group: &Arc<str>,
        partitions: Option<&[TopicPartitions]>,
    ) -> Result<CommittedOffsets, KafkaError> {
        self.gate(Operation::OffsetFetch, Some(broker)).await?;
        self.site.kafka.committed_offsets(broker, group, partitions).await
    }

    async fn list_offsets(
        &self,
        leader: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicRows<ListedPartition>>, KafkaError> {
        self.gate(Operation::ListOffsets, Some(leader)).await?;
        self.site.kafka.list_offsets(leader, spec, partitions).await
    }

    async fn offsets_at(
        &self,
        leader: BrokerId,
        times: &[TopicTimes],
    ) -> Result<Vec<TopicRows<TimedPartition>>, KafkaError> {
        self.gate(Operation::ListOffsets, Some(leader)).await?;
        self.site.kafka.offsets_at(leader, times).await
    }
}

type TestPool = Arc<KafkaPool<TestClient>>;

/// A pool that is tended.
fn pool(site: &Arc<Site>, size: usize) -> TestPool {
    let opener = site.clone();
    let open: Open<TestClient> = Arc::new(move || Ok(opener.open()));
    let pool = Arc::new(KafkaPool::new("test".into(), open, size, Patience::new(10 * SECOND)).unwrap());
    let weak = Arc::downgrade(&pool);
    tokio::spawn(tend(weak));
    pool
}

async fn tend(pool: Weak<KafkaPool<TestClient>>) {
    if let Some(pool) = pool.upgrade() {
        pool.tend().await;
    }
}

/// So many calls to a broker at the same time.
fn calls(pool: &TestPool, broker: BrokerId, count: usize) -> Vec<JoinHandle<bool>> {
    let call = |_| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.list_groups(broker).await.is_ok() })
    };
    (0..count).map(call).collect()
}

async fn all_answered(calls: Vec<JoinHandle<bool>>) -> bool {
    join_all(calls).await.into_iter().all(|answer| answer.unwrap())
}

#[tokio::test(start_paused = true)]
async fn calls_to_one_broker_are_spread_over_handles_that_are_opened_when_needed_and_closed_when_idle() {
    let site = Site::new();
    let pool = pool(&site, 3);
    pool.metadata().await.unwrap();
    pool.list_groups(WELL).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(pool.handles(), 1, "one at a time needs one handle");
    for _ in 0..3 {
        assert!(all_answered(calls(&pool, WELL, 9)).await);
        sleep(SECOND).await;
    }
    assert_eq!(pool.handles(), 3);
    let before: Vec<_> = (0..3).map(|place| site.handle(place).asked()).collect();
    assert!(all_answered(calls(&pool, WELL, 9)).await);
    let spread: Vec<_> = (0..3).map(|place| site.handle(place).asked() - before[place]).collect();
    assert_eq!(spread, [3, 3, 3]);
    // The first one alone is used from here on.
    for _ in 0..200 {
        pool.list_groups(WELL).await.unwrap();
        sleep(SECOND).await;
    }
    assert_eq!((pool.handles(), site.live.load(Ordering::Relaxed)), (1, 1), "idle handles were closed");
    assert_eq!((site.opened(), pool.replacements()), (3, 0));
    assert!(all_answered(calls(&pool, WELL, 9)).await);
    sleep(SECOND).await;
    assert_eq!(pool.handles(), 2, "and open again when needed");
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_one_opens_no_other() {
    let site = Site::new();
    let pool = pool(&site, 1);
    for _ in 0..5 {
        assert!(all_answered(calls(&pool, WELL, 20)).await);
        sleep(SECOND).await;
    }
    assert_eq!(site.opened(), 1);
    assert_eq!(site.handle(0).metadata.load(Ordering::Relaxed), 0, "nothing is asked that nobody asked for");
}

#[tokio::test(start_paused = true)]
async fn a_handle_learns_of_leaders_that_another_heard_of() {
    let site = Site::new();
    site.kafka.world().topic("t", &[(0, 1), (0, 1)]);
    let pool = pool(&site, 2);
    pool.metadata().await.unwrap();
    assert!(all_answered(calls(&pool, WELL, 4)).await);
    sleep(SECOND).await;
    assert_eq!(site.handle(1).metadata.load(Ordering::Relaxed), 1, "when it was opened");
    pool.metadata().await.unwrap();
    sleep(SECOND).await;
    assert_eq!(site.handle(1).metadata.load(Ordering::Relaxed), 1, "all is as it was");
    site.kafka.world().topics.get_mut("t").unwrap().partitions[0].leader = Some(SICK);
    pool.metadata().await.unwrap();
    let asked = || site.handle(1).asked() - site.handle(1).metadata.load(Ordering::Relaxed);
    let before = asked();
    let in_parallel = calls(&pool, WELL, 2);
    sleep(Duration::from_millis(5)).await;
    assert_eq!(asked(), before, "one that is behind is not asked while another is not");
    assert!(all_answered(in_parallel).await);
    sleep(SECOND).await;
    assert_eq!(site.handle(1).metadata.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sick_handle_is_replaced_while_its_calls_in_flight_end_as_they_would_have() {
    let site = Site::new();
    let pool = pool(&site, 1);
    pool.metadata().await.unwrap();
    let old = site.handle(0);
    old.silence(SICK);
    for _ in 0..2 {
        assert!(!all_answered(calls(&pool, SICK, 1)).await);
    }
    old.set_takes(4 * SECOND);
    let slow = calls(&pool, WELL, 1);
    let mut well = 0;
    for _ in 0..30 {
        // A call to the sick broker goes well as soon as there is the new handle; to the other, always.
        well += usize::from(all_answered(calls(&pool, SICK, 1)).await);
        assert!(all_answered(calls(&pool, WELL, 1)).await);
        assert!(pool.handles() <= 2);
        if site.opened() > 1 {
            // Before its first statistics the old one is still shown.
            site.handle(1).stats.store(stats(1, SECOND));
        }
        sleep(SECOND).await;
    }
    assert!(all_answered(slow).await, "begun on the old handle");
    assert_eq!((pool.replacements(), site.opened(), pool.handles()), (1, 2, 1));
    assert!(well >= 20, "{well} of 30");
    assert!(old.is_closed.load(Ordering::Relaxed));
    assert_eq!(site.most.load(Ordering::Relaxed), 2);
    assert_eq!(pool.poll_panics(), 2, "those of the old one count still");
}

#[tokio::test(start_paused = true)]
async fn when_kafka_is_down_new_handles_do_no_better_and_are_tried_ever_more_rarely() {
    let site = Site::new();
    site.silent.lock().unwrap().insert(SICK);
    let pool = pool(&site, 2);
    pool.metadata().await.unwrap();
    let end = tokio::time::Instant::now() + Duration::from_secs(3_600);
    while tokio::time::Instant::now() < end {
        assert!(!all_answered(calls(&pool, SICK, 1)).await);
        assert!(all_answered(calls(&pool, WELL, 1)).await);
        assert!(pool.handles() <= 3 && site.most.load(Ordering::Relaxed) <= 3);
        sleep(5 * SECOND).await;
    }
    assert_eq!(pool.replacements(), 0);
    // 5, 10, 20, … 300, 300 s: six that double, and one every five minutes.
    assert!((12..=22).contains(&site.opened()), "{}", site.opened());
    site.silent.lock().unwrap().clear();
    site.handle(0).silent.lock().unwrap().clear();
    assert!(all_answered(calls(&pool, SICK, 1)).await);
    let opened = site.opened();
    sleep(Duration::from_secs(700)).await;
    assert_eq!((site.opened(), pool.handles(), pool.replacements()), (opened, 1, 0), "nothing is suspected any more");
}

#[tokio::test(start_paused = true)]
async fn a_poll_thread_that_is_stuck_is_left_behind() {
    let site = Site::new();
    let pool = pool(&site, 1);
    *site.handle(0).poll_age.lock().unwrap() = 29 * SECOND;
    sleep(5 * SECOND).await;
    assert_eq!((pool.replacements(), pool.poll_age()), (0, 29 * SECOND));
    *site.handle(0).poll_age.lock().unwrap() = 30 * SECOND;
    sleep(5 * SECOND).await;
    assert_eq!((pool.replacements(), pool.poll_age()), (1, Duration::ZERO));
}

fn stats(connects: u64, round_trip: Duration) -> Arc<ConnectionStats> {
    let connection = BrokerConnection {
        broker: WELL,
        is_up: true,
        connects,
        disconnects: 0,
        timeouts: 0,
        in_flight: 0,
        round_trip: Some(round_trip),
        requests: Vec::new(),
    };
    Arc::new(ConnectionStats { brokers: vec![connection], replacements: 0 })
}

#[tokio::test(start_paused = true)]
async fn slowness_that_a_new_handle_does_not_share_is_cured_and_counters_go_on() {
    let site = Site::new();
    let pool = pool(&site, 1);
    let old = site.handle(0);
    for connects in [100, 101] {
        old.stats.store(stats(connects, Duration::from_millis(10)));
        sleep(2 * SECOND).await;
    }
    old.set_takes(2 * SECOND);
    old.stats.store(stats(101, 2 * SECOND));
    let mut last = 0;
    for second in 0..60_u64 {
        let shown = pool.broker_stats();
        assert!(shown.brokers.len() == 1 && shown.brokers[0].connects >= last, "{shown:?}");
        last = shown.brokers[0].connects;
        if second == 30 {
            site.handle(1).stats.store(stats(3, Duration::from_millis(10)));
        }
        sleep(SECOND).await;
    }
    assert_eq!((pool.replacements(), pool.broker_stats().replacements), (1, 1));
    assert_eq!((last, pool.handles()), (104, 1));
    // Its successor becomes slow, and so is every new one: that is Kafka.
    *site.takes.lock().unwrap() = 2 * SECOND;
    site.handle(1).set_takes(2 * SECOND);
    for _ in 0..10 {
        site.handle(1).stats.store(stats(3, 2 * SECOND));
        sleep(10 * SECOND).await;
    }
    assert_eq!(pool.replacements(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_everything_also_what_is_being_tried() {
    let site = Site::new();
    let pool = pool(&site, 4);
    pool.metadata().await.unwrap();
    site.handle(0).set_takes(30 * SECOND);
    *site.takes.lock().unwrap() = 30 * SECOND;
    let in_flight = calls(&pool, WELL, 5);
    sleep(3 * SECOND).await;
    assert_eq!(pool.handles(), 2, "one waits for its first answer");
    pool.close().await;
    assert_eq!(site.live.load(Ordering::Relaxed), 0);
    assert_eq!(pool.list_groups(WELL).await.unwrap_err().cause, Cause::Closed);
    assert!(!all_answered(in_flight).await);
    sleep(Duration::from_secs(300)).await;
    assert_eq!((site.live.load(Ordering::Relaxed), site.opened()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn whatever_befalls_the_handles_there_are_never_more_than_one_too_many() {
    for seed in 0..40_u64 {
        let site = Site::new();
        let size = usize::try_from(seed % 4 + 1).unwrap();
        let pool = pool(&site, size);
        let mut random = seed;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for _ in 0..300 {
            let handle = site.handle(usize::try_from(next(site.opened() as u64)).unwrap());
            match next(8) {
                0 => handle.silence(if next(2) == 0 { WELL } else { SICK }),
                1 => handle.silent.lock().unwrap().clear(),
                2 => handle.set_takes(Duration::from_millis(next(8_000))),
                3 => *handle.poll_age.lock().unwrap() = next(40) as u32 * SECOND,
                4 => *site.takes.lock().unwrap() = Duration::from_millis(next(3_000)),
                _ => {}
            }
            let count = usize::try_from(next(6)).unwrap();
            drop(calls(&pool, if next(2) == 0 { WELL } else { SICK }, count));
            drop(tokio::time::timeout(SECOND, pool.metadata()).await);
            sleep(Duration::from_millis(next(9_000))).await;
            assert!(site.live.load(Ordering::Relaxed) <= size + 1, "seed {seed}");
            assert!(pool.handles() <= size + 1, "seed {seed}");
        }
        pool.close().await;
        assert_eq!(site.live.load(Ordering::Relaxed), 0, "seed {seed}");
        assert!(site.most.load(Ordering::Relaxed) <= size + 1, "seed {seed}");
    }
}
