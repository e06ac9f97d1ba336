//! Adaptive polling of real Kafkas: what is shown stays true whatever moves, stops or breaks; polling follows the scrapes;
//! what is quiet is served from memory; a small budget stretches all intervals and nothing is lost by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use crate::compare::agrees;
use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::http::Kept;
use crate::kafka::{Cluster, Driver, Protocol, Version, at, shared};
use crate::promises::Watcher;
use crate::wait::eventually;
use crate::witness::Witness;

/// For brokers to go and come, and for intervals to grow.
const SOON: Duration = Duration::from_secs(60);

/// A build without optimization, on a busy machine, must not stretch its intervals for that.
const ANY_CPU: [&str; 2] = ["--budget-cpu", "100%"];

/// Intervals stretch step by step, and the steps are as long as the intervals.
const STRETCHES: Duration = Duration::from_secs(180);

/// librdkafka counts requests itself and tells now and then: for tests, often.
const STATISTICS: [&str; 2] = ["--kafka", "statistics.interval.ms=200"];

/// Scrapes at a fixed period over one connection, as Prometheus does, on a thread of its own.
struct Scraper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scraper {
    fn start(exporter: &Exporter, period: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut connection = Kept::open(exporter.address()).unwrap();
        let thread = spawn(move || {
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                assert_eq!(connection.get("/metrics").unwrap().status, 200);
                next += period;
                sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the scraper failed");
    }
}

const STEADY: &str = "adapt-steady";
const STARTS: &str = "adapt-starts";
const STOPS: &str = "adapt-stops";
const CUT: &str = "adapt-cut";
const ANEW: &str = "adapt-anew";
const GROWS: &str = "adapt-grows";
const ALONE: &str = "adapt-alone";
const QUIET: [&str; 4] = ["adapt-quiet-0", "adapt-quiet-1", "adapt-quiet-2", "adapt-quiet-3"];

fn populate(driver: &Driver) {
    for (topic, partitions) in [(STEADY, 3), (STARTS, 2), (STOPS, 2), (CUT, 1), (ANEW, 2), (GROWS, 1)] {
        driver.create_topic_with(topic, partitions, 3, &[]).unwrap();
        driver.produce(topic, 0, 100).unwrap();
    }
    driver.create_topic_on(ALONE, &[&[3], &[1]]).unwrap();
    for partition in [0, 1] {
        driver.produce(ALONE, partition, 40).unwrap();
    }
    for topic in QUIET {
        driver.create_topic_with(topic, 2, 3, &[]).unwrap();
        driver.produce(topic, 1, 20).unwrap();
    }
    let parked = [CUT, ANEW, GROWS, QUIET[0]].map(|topic| at(topic, 0, 0));
    driver.commit("adapt-parked", &[&parked[..], &[at(ALONE, 0, 10), at(ALONE, 1, 10)]].concat()).unwrap();
    driver.commit("adapt-rewound", &[at(STEADY, 0, 60), at(STEADY, 1, 0), at(QUIET[1], 1, 15)]).unwrap();
    driver.commit("adapt-doomed", &[at(QUIET[1], 1, 5)]).unwrap();
    for (member, group, topic, protocol) in [
        ("adapt-reader-a", "adapt-reader", STEADY, Protocol::Classic),
        ("adapt-848-a", "adapt-848", STOPS, Protocol::Consumer),
        ("adapt-late-a", "adapt-late", QUIET[2], Protocol::Classic),
    ] {
        driver.start_consumer(member, group, &[topic], protocol).unwrap();
    }
    eventually("the consumers have read all", SOON, || {
        let truth = driver.truth("adapt-").map_err(|error| error.to_string())?;
        let read = [("adapt-reader", STEADY, 0), ("adapt-848", STOPS, 0), ("adapt-late", QUIET[2], 1)].map(
            |(group, topic, partition)| {
                let end = truth.partition(topic, partition).and_then(|row| row.latest);
                end.is_some() && truth.committed(group, topic, partition) == end
            },
        );
        if read == [true; 3] { Ok(()) } else { Err(format!("{read:?}")) }
    });
}

#[test]
fn every_value_stays_true_whatever_moves_and_breaks() {
    let cluster = Cluster::builder(Version::V4_3_1).brokers(3).heap_mb(384).start();
    let driver = cluster.driver();
    populate(driver);
    let bounds = ["--min-interval", "1s", "--max-interval", "5s", "--request-timeout", "2s"];
    let pool = ["--connections-per-broker", "3"];
    let exporter = Exporter::start(&cluster.bootstrap(), &[&bounds[..], &pool, &ANY_CPU].concat());
    exporter.ready();
    let scraper = Scraper::start(&exporter, Duration::from_secs(2));
    let (truth, _) = agrees(&exporter, driver, "adapt-");
    let mut witness = Witness::new(&exporter, driver, "adapt-", truth);
    driver.start_producer("adapt-steady", STEADY, 300).unwrap();
    driver.start_producer("adapt-stops", STOPS, 200).unwrap();
    witness.watch(Duration::from_secs(6));
    turn_things_over(driver);
    witness.watch(Duration::from_secs(18));
    it_was_adaptive(&exporter);
    // Past the old ends, and committed on again by those who had.
    driver.delete_topic(ANEW).unwrap();
    eventually("the topic can be made anew", SOON, || {
        driver.create_topic_with(ANEW, 2, 3, &[]).map_err(|error| error.to_string())
    });
    driver.produce(ANEW, 0, 130).unwrap();
    driver.commit("adapt-parked", &[at(ANEW, 0, 20)]).unwrap();
    witness.watch(Duration::from_secs(6));
    for producer in ["adapt-steady", "adapt-starts"] {
        driver.stop_producer(producer).unwrap();
    }
    agrees(&exporter, driver, "adapt-");
    a_broker_goes_and_comes(&cluster, &exporter);
    for member in ["adapt-848-a", "adapt-late-a", "adapt-late-b"] {
        driver.stop_consumer(member).unwrap();
    }
    drop(scraper);
    assert!(exporter.terminate().success());
}

/// What moved stops, what stood still moves, and administrators do what they can.
fn turn_things_over(driver: &Driver) {
    driver.start_producer("adapt-starts", STARTS, 200).unwrap();
    driver.stop_producer("adapt-stops").unwrap();
    // Its topic goes on.
    driver.stop_consumer("adapt-reader-a").unwrap();
    driver.start_consumer("adapt-late-b", "adapt-late", &[STARTS], Protocol::Classic).unwrap();
    // Backwards, on a topic that moves and on one that does not.
    driver.commit("adapt-rewound", &[at(STEADY, 0, 7), at(QUIET[1], 1, 3)]).unwrap();
    // On a topic that it had nothing on: no list of groups tells of that.
    driver.commit("adapt-parked", &[at(QUIET[3], 1, 12)]).unwrap();
    driver.delete_records(CUT, 0, 70).unwrap();
    driver.create_partitions(GROWS, 4).unwrap();
    driver.produce(GROWS, 3, 9).unwrap();
    driver.delete_group("adapt-doomed").unwrap();
}

/// Otherwise nothing is proven.
#[track_caller]
fn it_was_adaptive(exporter: &Exporter) {
    let scrape = exporter.scrape();
    // A busy machine does not scrape quite in step.
    let interval = scrape.value("kafkascope_interval_seconds", &[]);
    assert_eq!(scrape.get("kafkascope_scrape_period_seconds", &[]), Some(interval));
    assert!((1.6..2.4).contains(&interval), "{interval}");
    let topics = |pace| scrape.value("kafkascope_scheduled_items", &[("kind", "topic"), ("pace", pace)]);
    assert!(topics("moving") >= 2.0 && topics("quiet") >= 6.0, "{} and {}", topics("moving"), topics("quiet"));
}

/// The series that may not go while a broker is away: whoever does not know better shows what was known last.
fn lasting(scrape: &Exposition) -> [usize; 3] {
    ["kafka_topic_partition_current_offset", "kafka_consumergroup_current_offset", "kafka_consumergroup_lag"]
        .map(|name| scrape.all(name, &[]).iter().filter(|sample| sample.label("topic").starts_with("adapt-")).count())
}

fn breaker_is(scrape: &Exposition, state: &str) -> bool {
    scrape.get("kafkascope_broker_breaker_state", &[("broker", "3"), ("state", state)]) == Some(1.0)
}

fn end(scrape: &Exposition, topic: &str, partition: &str) -> Option<f64> {
    scrape.get("kafka_topic_partition_current_offset", &[("topic", topic), ("partition", partition)])
}

fn a_broker_goes_and_comes(cluster: &Cluster, exporter: &Exporter) {
    let driver = cluster.driver();
    let before = lasting(&exporter.scrape());
    let mut watcher = Watcher::start(exporter.address(), move |scrape| {
        let now = lasting(scrape);
        if now == before { Ok(()) } else { Err(format!("{before:?} ends, commits and lags have become {now:?}")) }
    });
    cluster.kill(3);
    exporter.scrape_until("broker 3 is missed and let alone", SOON, |scrape| {
        let trips = scrape.get("kafkascope_broker_breaker_trips_total", &[("broker", "3")]);
        let up = scrape.get("kafka_broker_up", &[("id", "3")]);
        let offline = scrape.get("kafka_topic_partition_offline", &[("topic", ALONE), ("partition", "0")]);
        let missed = up == Some(0.0) && offline == Some(1.0) && trips >= Some(1.0) && !breaker_is(scrape, "closed");
        missed.then_some(()).ok_or_else(|| format!("up {up:?}, offline {offline:?}, trips {trips:?}"))
    });
    watcher.content();
    for partition in 0..3_i32 {
        let last = driver.produce(STEADY, partition, 5).unwrap();
        let (place, wanted) = (partition.to_string(), (last + 1).to_string());
        exporter.scrape_until("what was produced shows", SOON, |scrape| {
            let shown = end(scrape, STEADY, &place).map(|end| end.to_string());
            if shown.as_ref() == Some(&wanted) { Ok(()) } else { Err(format!("{shown:?}, not {wanted}")) }
        });
    }
    assert_eq!(end(&exporter.scrape(), ALONE, "0"), Some(40.0), "a log without a leader stands still");
    cluster.restart(3);
    driver.produce(ALONE, 0, 6).unwrap();
    exporter.scrape_until("broker 3 is asked again", SOON, |scrape| {
        let back = breaker_is(scrape, "closed") && end(scrape, ALONE, "0") == Some(46.0);
        back.then_some(()).ok_or_else(|| format!("{:?}", end(scrape, ALONE, "0")))
    });
    agrees(exporter, driver, "adapt-");
    watcher.content();
    watcher.finish(20);
}

/// The period of the scrapes in the next test.
const PERIOD: Duration = Duration::from_secs(3);

/// One who scrapes in step over one connection.
struct InStep {
    connection: Kept,
    next: Instant,
}

impl InStep {
    fn start(exporter: &Exporter) -> Self {
        Self { connection: Kept::open(exporter.address()).unwrap(), next: Instant::now() }
    }

    fn scrape(&mut self) -> Exposition {
        sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = Instant::now() + PERIOD;
        Exposition::parse(&self.connection.get("/metrics").unwrap().text()).unwrap()
    }

    /// Scrapes in step until `probe` is content, so many times at most.
    #[track_caller]
    fn until<T>(&mut self, what: &str, most: usize, probe: impl Fn(&Exposition) -> Result<T, String>) -> T {
        let mut last = String::new();
        for _ in 0..most {
            match probe(&self.scrape()) {
                Ok(value) => return value,
                Err(complaint) => last = complaint,
            }
        }
        panic!("{what}: not within {most} scrapes, at the end: {last}");
    }
}

fn sum(scrape: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    scrape.all(name, labels).iter().map(|sample| sample.value).sum()
}

#[test]
fn polling_follows_the_scrapes_and_serves_what_is_quiet_from_memory() {
    let driver = shared().driver();
    driver.create_topic("rhythm-moving", 1).unwrap();
    for number in 0..4 {
        driver.commit(&format!("rhythm-stopped-{number}"), &[at("rhythm-moving", 0, 0)]).unwrap();
    }
    for number in 0..8 {
        let topic = format!("rhythm-quiet-{number}");
        driver.create_topic(&topic, 3).unwrap();
        driver.produce(&topic, 0, 10).unwrap();
        driver.commit("rhythm-parked", &[at(&topic, 0, 4)]).unwrap();
    }
    driver.start_producer("rhythm-producer", "rhythm-moving", 200).unwrap();
    let bounds = ["--min-interval", "1s", "--max-interval", "9s"];
    let only = ["--topic-include", "^rhythm-", "--group-include", "^rhythm-"];
    let exporter = Exporter::start(&shared().bootstrap(), &[&bounds[..], &ANY_CPU, &only, &STATISTICS].concat());
    exporter.ready();
    let mut client = InStep::start(&exporter);
    is_in_step(&mut client);
    quiet_values_are_hits(&mut client, driver);
    let often = values_are_young(&mut client, driver);
    nobody_scrapes_for_a_while(&mut client, often);
    driver.stop_producer("rhythm-producer").unwrap();
    agrees(&exporter, driver, "rhythm-");
}

#[track_caller]
fn is_in_step(client: &mut InStep) {
    client.until("the period is learned and polling has it", 12, |scrape| {
        let learned = scrape.get("kafkascope_scrape_period_seconds", &[]);
        let interval = scrape.get("kafkascope_interval_seconds", &[]);
        let right = learned == interval && learned.is_some_and(|learned| (2.7..3.3).contains(&learned));
        right.then_some(()).ok_or_else(|| format!("{learned:?} s, {interval:?} s"))
    });
}

/// How many questions of those were asked that grow with what moves.
fn asked(scrape: &Exposition) -> f64 {
    let of = |api| sum(scrape, "kafkascope_broker_requests_total", &[("api", api)]);
    of("Metadata") + of("OffsetFetch")
}

/// A pass ends a second or so before each scrape: most of what a producer wrote in the last period is shown. Returns how
/// many questions a second that takes.
#[track_caller]
fn values_are_young(client: &mut InStep, driver: &Driver) -> f64 {
    let mut ages = Vec::new();
    let mut before: Option<(Instant, f64)> = None;
    let (since, first) = (Instant::now(), client.scrape());
    let mut often = 0.0;
    for _ in 0..5 {
        let scrape = client.scrape();
        often = (asked(&scrape) - asked(&first)) / since.elapsed().as_secs_f64();
        let (now, written) = (Instant::now(), driver.truth("rhythm-moving").unwrap());
        let written = written.partition("rhythm-moving", 0).unwrap().latest.unwrap();
        let written: f64 = written.to_string().parse().unwrap();
        let shown = scrape.value("kafka_topic_partition_current_offset", &[("topic", "rhythm-moving")]);
        assert!(shown <= written, "{shown} of {written}");
        if let Some((then, was)) = before {
            ages.push((written - shown) / ((written - was) / (now - then).as_secs_f64()));
        }
        before = Some((now, written));
    }
    ages.sort_by(f64::total_cmp);
    assert!(ages[ages.len() / 2] < 2.4, "ages at the scrapes: {ages:?} s");
    often
}

fn cached(scrape: &Exposition, what: &str) -> f64 {
    let name = format!("kafkascope_cache_{what}_total");
    ["end_offsets", "start_offsets", "commits", "memberships"]
        .map(|cache| scrape.value(&name, &[("cache", cache)]))
        .iter()
        .sum()
}

#[track_caller]
fn quiet_values_are_hits(client: &mut InStep, driver: &Driver) {
    let before = client.scrape();
    let after = client.until("more than 80 % are hits", 8, |scrape| {
        let since = ["hits", "misses"].map(|what| cached(scrape, what) - cached(&before, what));
        let enough = since[1] > 0.0 && since[0] / (since[0] + since[1]) > 0.8;
        if enough { Ok(scrape.clone()) } else { Err(format!("{since:?} hits and misses")) }
    });
    // Of four groups on the topic that moves, and of one on eight others.
    let scheduled = [("kind", "group_topic"), ("pace", "moving")];
    assert_eq!(after.get("kafkascope_scheduled_items", &scheduled), Some(4.0));
    assert_eq!(sum(&after, "kafkascope_scheduled_items", &scheduled[..1]), 12.0);
    let ends = [("cache", "end_offsets")];
    let invalidated = |scrape: &Exposition| sum(scrape, "kafkascope_cache_invalidations_total", &ends);
    assert!(!after.all("kafkascope_cache_miss_seconds", &ends).is_empty());
    driver.produce("rhythm-quiet-5", 1, 3).unwrap();
    client.until("what was quiet is seen to move", 8, |scrape| {
        let labels = [("topic", "rhythm-quiet-5"), ("partition", "1")];
        let shown = scrape.get("kafka_topic_partition_current_offset", &labels);
        let seen = shown == Some(3.0) && invalidated(scrape) > invalidated(&after);
        seen.then_some(()).ok_or_else(|| format!("{shown:?}, {} invalidations", invalidated(scrape)))
    });
}

/// Kafka is asked less, and as before when somebody is back.
#[track_caller]
fn nobody_scrapes_for_a_while(client: &mut InStep, often: f64) {
    let (since, last) = (Instant::now(), client.scrape());
    sleep(PERIOD * 8);
    let back = client.scrape();
    let seldom = (asked(&back) - asked(&last)) / since.elapsed().as_secs_f64();
    assert!(seldom > 0.0 && seldom < often * 0.8, "{often} questions a second, {seldom} while nobody scraped");
    assert_eq!(back.get("kafkascope_scrape_period_seconds", &[]), None);
    assert_eq!(back.value("kafkascope_interval_seconds", &[]), 9.0);
    is_in_step(client);
}

#[test]
fn a_small_budget_stretches_all_intervals_and_loses_nothing() {
    const GROUPS: i64 = 30;
    const BUDGET: f64 = 4.0;
    let driver = shared().driver();
    for topic in ["budget-moving", "budget-quiet"] {
        driver.create_topic(topic, 2).unwrap();
        driver.produce(topic, 0, 50).unwrap();
    }
    for number in 0..GROUPS {
        let commits = [at("budget-moving", 0, number), at("budget-quiet", 0, number)];
        driver.commit(&format!("budget-group-{number}"), &commits).unwrap();
    }
    driver.start_producer("budget-producer", "budget-moving", 50).unwrap();
    let bounds = ["--min-interval", "1s", "--max-interval", "2s"];
    let budget = ["--budget-requests-per-second-per-broker", &BUDGET.to_string()];
    let only = ["--topic-include", "^budget-", "--group-include", "^budget-"];
    let exporter =
        Exporter::start(&shared().bootstrap(), &[&bounds[..], &ANY_CPU, &budget, &only, &STATISTICS].concat());
    exporter.ready();
    exporter.scrape_until("all intervals stretch", SOON, |scrape| {
        let stretch = scrape.value("kafkascope_interval_stretch_ratio", &[]);
        let interval = scrape.value("kafkascope_interval_seconds", &[]);
        let half = [("kind", "group_topic"), ("percentile", "50")];
        let effective = scrape.get("kafkascope_effective_interval_seconds", &half);
        let stretched = stretch > 1.5 && interval > 3.0 && effective > Some(3.0);
        stretched.then_some(()).ok_or_else(|| format!("by {stretch} to {interval} s, {effective:?} s for half of them"))
    });
    let requests = |scrape: &Exposition| sum(scrape, "kafkascope_broker_requests_total", &[("broker", "1")]);
    let (mut since, mut counted) = (Instant::now(), requests(&exporter.scrape()));
    exporter.scrape_until("the load is within the budget", STRETCHES, |scrape| {
        if since.elapsed() < Duration::from_secs(10) {
            return Err("too short a time".to_owned());
        }
        let load = (requests(scrape) - counted) / since.elapsed().as_secs_f64();
        (since, counted) = (Instant::now(), requests(scrape));
        if load <= BUDGET * 1.2 { Ok(()) } else { Err(format!("{load} requests a second")) }
    });
    driver.stop_producer("budget-producer").unwrap();
    driver.commit("budget-group-7", &[at("budget-quiet", 0, 44)]).unwrap();
    let (truth, _) = agrees(&exporter, driver, "budget-");
    assert_eq!(truth.groups.len(), 30);
}
