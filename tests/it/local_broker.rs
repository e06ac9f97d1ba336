//! One exporter beside each of three real brokers: together they show what one exporter of the cluster shows, each series
//! once, whatever moves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::exporter::Exporter;
use crate::exposition::{Exposition, Sample};
use crate::kafka::{self, Cluster, Driver, Protocol, Version, at};
use crate::tools::scratch;
use crate::wait::eventually;

/// For leaders to be elected, brokers to come back and all exporters to follow.
const SOON: Duration = Duration::from_secs(90);
/// Topics of which the first replicas, which lead, are 1, 2, 3, and 2, 3.
const SPREAD: &str = "beside-spread";
const TURNED: &str = "beside-turned";
/// The topic whose partitions have one replica each, at broker 1, 2 and 3.
const ALONE: &str = "beside-alone";
/// Groups that only commit; together they have a coordinator at each broker.
const GROUPS: [&str; 8] =
    ["beside-a", "beside-b", "beside-c", "beside-d", "beside-e", "beside-f", "beside-g", "beside-h"];
const MEMBER: &str = "beside-member";
const OFFSETS_TOPIC: &str = "__consumer_offsets";
const OFFSETS_PARTITIONS: [i32; 6] = [0, 1, 2, 3, 4, 5];
const ARGUMENTS: [&str; 6] = ["--interval", "1s", "--request-timeout", "2s", "--max-age", "10s"];

/// What each exporter shows of itself under Kafka's name.
const OWN: [&str; 2] = ["kafka_up", "kafka_exporter_build_info"];
/// What tells when this exporter saw something, or where it is going: another one has seen other things.
const OBSERVED: [&str; 7] = [
    "kafka_consumergroup_last_commit_timestamp_seconds",
    "kafka_consumergroup_catch_up_seconds",
    "kafka_consumergroup_retention_headroom_seconds",
    "kafka_consumergroup_lag_velocity",
    "kafka_consumergroup_consume_rate",
    "kafka_consumergroup_oldest_unread_timestamp_seconds",
    "kafka_topic_produce_rate",
];

type Identity = (String, BTreeMap<String, String>);

fn identity(sample: &Sample) -> Identity {
    (sample.name.clone(), sample.labels.clone())
}

/// The series that are shared between exporters, with their values.
fn shared(scrape: &Exposition) -> BTreeMap<Identity, f64> {
    let is_shared = |sample: &&Sample| {
        sample.name.starts_with("kafka_") && ![&OWN[..], &OBSERVED[..]].concat().contains(&sample.name.as_str())
    };
    scrape.samples.iter().filter(is_shared).map(|sample| (identity(sample), sample.value)).collect()
}

/// Whether a value is the same wherever it is read while nothing moves.
fn is_still(name: &str) -> bool {
    !name.contains("lag_seconds") && !name.contains("status")
}

/// The exporters: one of the cluster, and one beside each broker.
struct Fleet {
    whole: Exporter,
    beside: BTreeMap<i32, Exporter>,
}

/// Which series the sidecars show, beside which brokers, with the values.
type Shown = BTreeMap<Identity, Vec<(i32, f64)>>;

impl Fleet {
    fn start(cluster: &Cluster) -> Self {
        let whole = Exporter::start(&cluster.bootstrap(), &ARGUMENTS);
        let local = |bootstrap: &str, more: &[&str]| {
            Exporter::start(bootstrap, &[&ARGUMENTS[..], &["--scope", "local_broker"], more].concat())
        };
        let beside = BTreeMap::from([
            // All of them are on this machine: the bootstrap server tells which.
            (1, local(&cluster.address(1), &[])),
            (2, local(&cluster.address(2), &["--local-broker", "auto"])),
            (3, local(&cluster.bootstrap(), &["--local-broker", "3"])),
        ]);
        beside.values().chain([&whole]).for_each(Exporter::ready);
        Self { whole, beside }
    }

    fn shown(&self) -> Shown {
        let mut shown = Shown::new();
        for (broker, exporter) in &self.beside {
            for (series, value) in shared(&exporter.scrape()) {
                shown.entry(series).or_default().push((*broker, value));
            }
        }
        shown
    }

    /// The exporters together show each series of the one that shows all, once, and no other; `is_compared` says whose
    /// values are compared. Series of topics in `apart` may be missing.
    fn agrees(&self, apart: &[&str], is_compared: fn(&str) -> bool) -> Result<Shown, String> {
        let (shown, whole) = (self.shown(), shared(&self.whole.scrape()));
        once(&shown)?;
        let is_apart = |series: &Identity| series.1.get("topic").is_some_and(|topic| apart.contains(&topic.as_str()));
        let is_apart = |series: &Identity| is_apart(series) || (!apart.is_empty() && series.0.ends_with("_max_lag"));
        let missing = whole.keys().filter(|series| !shown.contains_key(*series) && !is_apart(series));
        first(missing.map(|series| format!("{series:?} is missing")))?;
        let extra = shown.iter().filter(|(series, _)| !whole.contains_key(*series) && !is_apart(series));
        first(extra.map(|series| format!("{series:?} is too much")))?;
        let differ = shown.iter().filter(|(series, _)| is_compared(&series.0) && !is_apart(series));
        let differ = differ.filter(|(series, values)| Some(&values[0].1) != whole.get(*series));
        first(differ.map(|(series, values)| format!("{series:?} is {values:?}, not {:?}", whole.get(series))))?;
        if whole.len() < 200 { Err(format!("only {} series", whole.len())) } else { Ok(shown) }
    }

    #[track_caller]
    fn agree(&self, when: &str, apart: &[&str], is_compared: fn(&str) -> bool) -> Shown {
        eventually(&format!("all together show it all, {when}"), SOON, || self.agrees(apart, is_compared))
    }
}

fn once(shown: &Shown) -> Result<(), String> {
    first(shown.iter().filter(|(_, values)| values.len() > 1).map(|twice| format!("{twice:?} is there twice")))
}

fn first(mut complaints: impl Iterator<Item = String>) -> Result<(), String> {
    match complaints.next() {
        None => Ok(()),
        Some(one) => Err(format!("{one}, and {} more like this", complaints.count())),
    }
}

/// The broker beside which a series is shown.
#[track_caller]
fn owner(shown: &Shown, name: &str, labels: &[(&str, &str)]) -> i32 {
    let has = |own: &BTreeMap<String, String>| labels.iter().all(|(k, v)| own.get(*k).is_some_and(|own| own == v));
    let owners: BTreeSet<i32> = shown
        .iter()
        .filter(|((of, own), _)| of == name && has(own))
        .flat_map(|(_, values)| values.iter().map(|(broker, _)| *broker))
        .collect();
    let [one] = owners.iter().copied().collect::<Vec<_>>()[..] else { panic!("{name}{labels:?}: {owners:?}") };
    one
}

fn start_cluster() -> Cluster {
    let cluster = Cluster::builder(Version::V4_3_1).brokers(3).heap_mb(384).start();
    let driver = cluster.driver();
    driver.create_topic_on(SPREAD, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]).unwrap();
    driver.create_topic_on(TURNED, &[&[2, 3, 1], &[3, 1, 2]]).unwrap();
    driver.create_topic_on(ALONE, &[&[1], &[2], &[3]]).unwrap();
    for partition in 0..3 {
        driver.produce(SPREAD, partition, 100).unwrap();
        driver.produce(ALONE, partition, 50).unwrap();
    }
    driver.produce(TURNED, 1, 20).unwrap();
    for (place, group) in GROUPS.iter().enumerate() {
        let offset = i64::try_from(place).unwrap();
        let spread = (0..3).map(|partition| at(SPREAD, partition, 10 + offset));
        let rest = [at(ALONE, 0, 20 + offset), at(TURNED, 1, offset)];
        driver.commit(group, &spread.chain(rest).collect::<Vec<_>>()).unwrap();
    }
    let coordinators: BTreeSet<_> =
        driver.truth("beside").unwrap().groups.values().map(|group| group.coordinator).collect();
    assert_eq!(coordinators.len(), 3, "every broker should coordinate a group: {coordinators:?}");
    cluster
}

/// Each group is shown beside its coordinator, and each partition beside its leader.
fn placed(shown: &Shown, driver: &Driver) {
    let truth = driver.truth("beside").unwrap();
    for (group, facts) in &truth.groups {
        let labels = [("consumergroup", group.as_str())];
        assert_eq!(Some(owner(shown, "kafka_consumergroup_info", &labels)), facts.coordinator, "{group}");
        assert_eq!(Some(owner(shown, "kafka_consumergroup_max_lag", &labels)), facts.coordinator, "{group}");
    }
    for (topic, facts) in &truth.topics {
        for row in facts.partitions.iter().filter(|row| row.leader.is_some()) {
            let label = row.partition.to_string();
            let labels = [("topic", topic.as_str()), ("partition", label.as_str())];
            assert_eq!(Some(owner(shown, "kafka_topic_partition_current_offset", &labels)), row.leader, "{labels:?}");
        }
        let home = facts.partitions.iter().find_map(|row| row.leader);
        assert_eq!(Some(owner(shown, "kafka_topic_current_offset_sum", &[("topic", topic)])), home, "{topic}");
    }
}

/// The requests that an exporter has sent, by broker.
fn requests(exporter: &Exporter, api: &str) -> BTreeMap<String, f64> {
    let scrape = exporter.scrape();
    let sent = scrape.all("kafkascope_broker_requests_total", &[("api", api)]);
    let sent = sent.iter().filter(|sample| sample.value > 0.0);
    sent.map(|sample| (sample.label("broker").to_owned(), sample.value)).collect()
}

/// Who is asked for what: commits only where the groups are coordinated, lists of groups by the lowest alone of all.
fn asks_its_own(fleet: &Fleet) {
    // Kafka chooses who coordinates: a broker may have no group. Requests are told some seconds after they were sent.
    for api in ["OffsetFetch", "DescribeGroups"] {
        eventually(api, SOON, || {
            let mut all = 0.0;
            for (broker, exporter) in &fleet.beside {
                let mut asked = requests(exporter, api);
                all += asked.remove(&broker.to_string()).unwrap_or_default();
                assert_eq!(asked, BTreeMap::new(), "{api} of the exporter beside broker {broker}");
            }
            if all > 0.0 { Ok(()) } else { Err(format!("nobody was asked for {api}")) }
        });
    }
    for (broker, exporter) in &fleet.beside {
        let own = broker.to_string();
        let expected: &[&str] = if *broker == 1 { &["1", "2", "3"] } else { &[&own] };
        eventually("ListGroups", SOON, || {
            let listed: Vec<String> = requests(exporter, "ListGroups").into_keys().collect();
            if listed == expected { Ok(()) } else { Err(format!("beside broker {broker}: {listed:?}")) }
        });
    }
}

fn json(exporter: &Exporter, path: &str) -> serde_json::Value {
    serde_json::from_str(&exporter.get(path).text()).expect("JSON")
}

/// The page, the JSON and Burrow's API show the same part.
fn elsewhere(fleet: &Fleet) {
    let words = ["broker 1 of 3, the lowest", "broker 2 of 3", "broker 3 of 3"];
    let (mut groups, mut topics) = (Vec::new(), Vec::new());
    for (exporter, words) in fleet.beside.values().zip(words) {
        let page = exporter.get("/").text();
        assert!(page.contains(&format!("scope: {words}")), "{page}");
        let list = json(exporter, "/api/v1/groups");
        assert!(list["clusters"][0]["scope"].as_str().unwrap().starts_with(words), "{list}");
        let names = list["clusters"][0]["groups"].as_array().unwrap().iter();
        groups.extend(names.map(|group| group["group"].as_str().unwrap().to_owned()));
        let burrow = json(exporter, "/v3/kafka/default/topic");
        topics.extend(burrow["topics"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()));
    }
    groups.sort_unstable();
    topics.sort_unstable();
    assert_eq!(groups, GROUPS.iter().chain(&[MEMBER]).copied().collect::<Vec<_>>());
    assert_eq!(topics, [OFFSETS_TOPIC, ALONE, SPREAD, TURNED]);
}

/// While records flow and a consumer commits nothing is shown twice, at any time.
fn moving(fleet: &Fleet, driver: &Driver) {
    driver.start_producer("beside-producer", SPREAD, 200).unwrap();
    driver.start_consumer("beside-consumer", MEMBER, &[SPREAD], Protocol::Classic).unwrap();
    fleet.agree("while records flow", &[], |_| false);
    for _ in 0..20 {
        once(&fleet.shown()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    driver.stop_producer("beside-producer").unwrap();
    eventually("the consumer has read all", SOON, || {
        let truth = driver.truth("beside").map_err(|error| error.to_string())?;
        let is_read = |row: i32| {
            let end = truth.partition(SPREAD, row).and_then(|partition| partition.latest);
            end.is_some() && truth.committed(MEMBER, SPREAD, row) == end
        };
        if (0..3).all(is_read) { Ok(()) } else { Err(format!("{:?}", truth.groups[MEMBER])) }
    });
}

/// Makes the preferred replicas lead, of the offsets topic too: so leaders and coordinators move.
#[track_caller]
fn elect(driver: &Driver) {
    eventually("the preferred replicas lead and all are in sync", SOON, || {
        for (topic, partitions) in [(SPREAD, &[0, 1, 2][..]), (TURNED, &[0, 1]), (OFFSETS_TOPIC, &OFFSETS_PARTITIONS)] {
            driver.elect_leaders(topic, partitions, false).map_err(|error| error.to_string())?;
        }
        let truth = driver.truth("").map_err(|error| error.to_string())?;
        let rows = truth.topics.values().flat_map(|topic| &topic.partitions);
        let lagging: Vec<_> = rows
            .filter(|row| row.leader != row.replicas.first().copied() || row.isr.len() != row.replicas.len())
            .collect();
        if lagging.is_empty() { Ok(()) } else { Err(format!("{lagging:?}")) }
    });
}

/// Gives every partition of some topics the leader that comes next in its list.
fn rotate(driver: &Driver, topics: &[&str]) {
    let truth = driver.truth("").unwrap();
    for topic in topics {
        for row in &truth.topics[*topic].partitions {
            let mut replicas = row.replicas.clone();
            replicas.rotate_left(1);
            driver.reassign(topic, row.partition, &replicas).unwrap();
        }
    }
    elect(driver);
}

#[test]
fn local_broker_beside_three_brokers_everything_is_shown_once() {
    let cluster = start_cluster();
    let driver = cluster.driver();
    let fleet = Fleet::start(&cluster);
    let shown = fleet.agree("at the start", &[], is_still);
    placed(&shown, driver);
    assert_eq!(owner(&shown, "kafka_brokers", &[]), 1);

    moving(&fleet, driver);
    let shown = fleet.agree("when all is read", &[], is_still);
    placed(&shown, driver);
    elsewhere(&fleet);
    asks_its_own(&fleet);

    rotate(driver, &[SPREAD, TURNED, OFFSETS_TOPIC]);
    let shown = fleet.agree("after leaders and coordinators have moved", &[], is_still);
    placed(&shown, driver);

    cluster.kill(1);
    eventually("broker 1 leads nothing", SOON, || {
        let truth = driver.truth("").map_err(|error| error.to_string())?;
        let is_left = truth.topics.values().flat_map(|topic| &topic.partitions).any(|row| row.leader == Some(1));
        if is_left || truth.brokers.len() != 2 { Err(format!("{truth:?}")) } else { Ok(()) }
    });
    // Of what is offline only those know the last offsets who have asked for them before.
    let shown = fleet.agree("without broker 1", &[ALONE], |_| false);
    assert_eq!(owner(&shown, "kafka_brokers", &[]), 2, "the next one");
    assert_eq!(owner(&shown, "kafka_broker_up", &[("id", "1")]), 2);
    assert_eq!(owner(&shown, "kafka_topic_partition_offline", &[("topic", ALONE), ("partition", "0")]), 2);
    assert_eq!(shared(&fleet.beside[&1].scrape()), BTreeMap::new(), "its broker is not there");
    assert_eq!(fleet.beside[&1].scrape().value("kafka_up", &[]), 1.0, "the others it does reach");

    cluster.restart(1);
    elect(driver);
    let shown = fleet.agree("when broker 1 is back", &[], is_still);
    placed(&shown, driver);
    assert_eq!(owner(&shown, "kafka_brokers", &[]), 1);
    driver.stop_consumer("beside-consumer").unwrap();
    fleet.beside.values().for_each(|exporter| assert!(exporter.terminate().success()));
    not_to_be_told(&cluster);
}

/// Three brokers on one machine and a bootstrap server that is none of their names: nothing is exported, and it is said why.
fn not_to_be_told(cluster: &Cluster) {
    let bootstrap = cluster.address(2).replace("127.0.0.1", "localhost");
    let arguments = [&ARGUMENTS[..], &["--scope", "local_broker"]].concat();
    let exporter = Exporter::start(&bootstrap, &arguments);
    eventually("it says what to set", SOON, || {
        let output = exporter.output();
        let is_said = output.contains("several brokers may be the one") && output.contains("set local_broker to");
        is_said.then_some(()).ok_or(output)
    });
    let scrape = exporter.scrape();
    assert_eq!(shared(&scrape), BTreeMap::new());
    assert_eq!(scrape.value("kafkascope_collector_success", &[("collector", "brokers")]), 0.0);
    assert!(exporter.get("/").text().contains("set local_broker to"));
    assert!(exporter.terminate().success());

    let checked = |more: &[&str]| {
        let text = format!(
            "clusters: [{{bootstrap_servers: ['{bootstrap}'], scope: local_broker{}}}]",
            more.iter().map(|key| format!(", {key}")).collect::<String>()
        );
        let dir = scratch("beside");
        let file = dir.path().join("k.yml");
        std::fs::write(&file, text).expect("a file");
        Exporter::builder().args(["check", &file.to_string_lossy(), "--connect"]).run(SOON)
    };
    let unsure = checked(&[]);
    assert_eq!(unsure.status.code(), Some(1), "{unsure:?}");
    assert!(format!("{unsure:?}").contains("! several brokers may be the one"), "{unsure:?}");
    let sure = checked(&["local_broker: 2"]);
    assert!(sure.status.success() && sure.stdout.contains("scope: broker 2 of 3"), "{sure:?}");

    let base = ["snapshot", "--bootstrap-servers", &bootstrap, "--scope", "local_broker"];
    let told = Exporter::builder().args(base).args(["--local-broker", "2", "--output", "json"]).run(SOON);
    assert!(told.stdout.contains("\"scope\": \"broker 2 of 3\""), "{told:?}");
    assert!(!told.stdout.contains("kafka_brokers") && told.status.success(), "{told:?}");
}

#[test]
fn local_broker_is_found_by_its_address() {
    let cluster = kafka::shared();
    // Not the text that is advertised: only where it leads to says that this is the broker's machine.
    let bootstrap = cluster.address(1).replace("127.0.0.1", "localhost");
    let exporter = Exporter::start(&bootstrap, &[&ARGUMENTS[..], &["--scope", "local_broker"]].concat());
    exporter.scrape_until("it is found", SOON, |scrape| {
        scrape.get("kafka_brokers", &[]).filter(|brokers| *brokers == 1.0).map(drop).ok_or_else(|| exporter.output())
    });
    let text = exporter.get("/").text();
    assert!(text.contains("scope: broker 1 of 1, the lowest"), "{text}");
    let found = Exporter::builder()
        .args(["snapshot", "--bootstrap-servers", &bootstrap, "--scope", "local_broker", "--output", "prometheus"])
        .run(SOON);
    assert!(found.status.success() && found.stdout.contains("\nkafka_brokers 1\n"), "{found:?}");
    assert!(exporter.terminate().success());
}
