//! The pool with real handles against the simulated cluster.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::time::Instant;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::sim::{Cluster, Spec};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(20);

fn pool(cluster: &Cluster, size: usize, patience: impl FnOnce(&mut Patience)) -> (Arc<KafkaPool>, JoinHandle<()>) {
    let request_timeout = Duration::from_secs(10);
    let properties =
        [("bootstrap.servers", cluster.bootstrap_servers().join(",")), ("statistics.interval.ms", "200".to_owned())];
    let settings = ClientSettings {
        cluster: "pool".into(),
        properties: properties.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        request_timeout,
    };
    let mut of_pool = Patience::new(request_timeout);
    patience(&mut of_pool);
    let pool = Arc::new(KafkaPool::with_patience(&settings, size, of_pool).unwrap());
    let tended = pool.clone();
    let task = tokio::spawn(async move { tended.tend().await });
    (pool, task)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "not in time: {what}");
        sleep(PAUSE).await;
    }
}

/// The most requests that one broker worked on at the same time, with many calls in flight.
async fn most_at_once(size: usize) -> u64 {
    let cluster = Cluster::start(Spec::new(1, 1)).await.unwrap();
    let (pool, task) = pool(&cluster, size, |_| ());
    pool.metadata().await.unwrap();
    cluster.set_work(1, Duration::from_millis(5)).unwrap();
    let begun = Instant::now();
    let most = || cluster.most_at_work(1).unwrap();
    while begun.elapsed() < SOON && (pool.handles() < size || most() < size as u64) {
        let calls = (0..8).map(|_| pool.list_groups(BrokerId(1)));
        assert!(join_all(calls).await.into_iter().all(|answer| answer.is_ok()));
    }
    // A while longer, for what must not happen.
    for _ in 0..5 {
        join_all((0..8).map(|_| pool.list_groups(BrokerId(1)))).await;
    }
    pool.close().await;
    task.abort();
    let most = most();
    cluster.stop().await;
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broker_works_on_as_many_requests_at_once_as_there_are_handles() {
    assert_eq!(most_at_once(1).await, 1);
    assert_eq!(most_at_once(3).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_handle_that_is_idle_ends() {
    let cluster = Cluster::start(Spec::new(1, 1)).await.unwrap();
    let (pool, task) = pool(&cluster, 2, |patience| patience.idle = Duration::from_secs(1));
    pool.metadata().await.unwrap();
    let begun = Instant::now();
    while pool.state().members.len() < 2 {
        join_all((0..4).map(|_| pool.list_groups(BrokerId(1)))).await;
        assert!(begun.elapsed() < SOON);
    }
    let idle = Arc::downgrade(&pool.state().members[1]);
    // Not before librdkafka has ended its threads.
    until("the end of the idle handle", || pool.handles() == 1 && idle.strong_count() == 0).await;
    pool.list_groups(BrokerId(1)).await.unwrap();
    pool.close().await;
    task.abort();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_handle_whose_poll_thread_is_stuck_is_replaced_and_its_counters_go_on() {
    let cluster = Cluster::start(Spec::new(2, 1)).await.unwrap();
    let (pool, task) = pool(&cluster, 1, |patience| {
        patience.stuck = Duration::from_secs(2);
        patience.last_calls = Duration::from_secs(1);
    });
    let broker = BrokerId(1);
    pool.metadata().await.unwrap();
    pool.list_groups(broker).await.unwrap();
    let listed = |stats: &ConnectionStats| {
        let requests = stats.brokers.iter().find(|known| known.broker == broker).map(|known| known.requests.clone());
        requests.into_iter().flatten().find(|(api, _)| &**api == "ListGroups").map_or(0, |(_, count)| count)
    };
    until("statistics", || listed(&pool.broker_stats()) == 1).await;
    let old = pool.state().members[0].clone();
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    old.client.block_poll_thread(stuck);
    until("the new handle", || pool.replacements() == 1).await;
    timeout(SOON, pool.list_groups(broker)).await.unwrap().unwrap();
    until("its statistics", || listed(&pool.broker_stats()) == 2).await;
    assert!(pool.poll_age() < Duration::from_secs(2));
    drop((release, old));
    until("the end of the old handle", || pool.handles() == 1).await;
    assert_eq!(listed(&pool.broker_stats()), 2);
    assert!(pool.broker_stats().brokers.iter().any(|known| known.broker == broker && known.is_up));
    pool.close().await;
    task.abort();
    cluster.stop().await;
}
