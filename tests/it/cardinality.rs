//! How many series there are: granularity by name, partitions without lag, a limit, and what is said of it beforehand.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{Driver, at, shared};
use crate::tools::{free_ports, scratch};
use crate::wait::eventually;

/// For a reload, and what takes some passes.
const SOON: Duration = Duration::from_secs(60);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(60);
/// Partitions of the wide topic: so many series has each family of a group that has committed on all.
const WIDE: i32 = 40;

/// Families of groups by partition, the one that is withheld first before the others.
const BY_PARTITION: [&str; 4] = [
    "kafka_consumergroup_partition_status",
    "kafka_consumergroup_lag_seconds",
    "kafka_consumergroup_current_offset",
    "kafka_consumergroup_lag",
];

/// An exporter with a config file that changes.
struct Configured {
    exporter: Exporter,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

fn yaml(cluster: &str) -> String {
    format!(
        "polling: {{interval: 1s, request_timeout: 5s}}\nclusters:\n- bootstrap_servers: [{}]\n{cluster}",
        shared().bootstrap()
    )
}

impl Configured {
    fn start(cluster: &str) -> Self {
        let dir = scratch("cardinality");
        let file = dir.path().join("kafkascope.yml");
        std::fs::write(&file, yaml(cluster)).unwrap();
        let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).start();
        exporter.ready();
        Self { exporter, file, _dir: dir }
    }

    fn reload(&self, cluster: &str) {
        std::fs::write(&self.file, yaml(cluster)).unwrap();
        let reloads = || self.said().iter().filter(|line| line.starts_with("configuration reloaded: ")).count();
        let before = reloads();
        self.exporter.hangup();
        eventually(
            "the reload is over",
            SOON,
            || if reloads() > before { Ok(()) } else { Err(self.exporter.output()) },
        );
    }

    /// Every message of the log.
    fn said(&self) -> Vec<String> {
        let message = |line: &Value| line.get("message")?.as_str().map(str::to_owned);
        self.exporter.log().iter().filter_map(message).collect()
    }

    #[track_caller]
    fn until(&self, what: &str, probe: impl Fn(&Exposition) -> bool) -> Exposition {
        self.exporter.scrape_until(what, SOON, |scrape| {
            if probe(scrape) { Ok(scrape.clone()) } else { Err(format!("{:?}", of_kafka(scrape))) }
        })
    }
}

/// How many series each family has, of what Kafka told.
fn of_kafka(scrape: &Exposition) -> BTreeMap<&str, usize> {
    let mut families = BTreeMap::new();
    for sample in scrape.samples.iter().filter(|sample| sample.name.starts_with("kafka_")) {
        *families.entry(sample.name.as_str()).or_default() += 1;
    }
    families.remove("kafka_exporter_build_info");
    families
}

/// The partitions that a family has series of, for a group on a topic.
fn partitions(scrape: &Exposition, family: &str, labels: &[(&str, &str)]) -> Vec<i32> {
    let mut found: Vec<i32> =
        scrape.all(family, labels).iter().map(|sample| sample.label("partition").parse().unwrap()).collect();
    found.sort_unstable();
    found
}

/// A wide topic on which one group has read nothing and another all but two partitions, and a narrow one.
fn populate(driver: &Driver, prefix: &str) {
    let name = |suffix: &str| format!("{prefix}{suffix}");
    driver.create_topic(&name("wide"), WIDE.unsigned_abs()).unwrap();
    driver.create_topic(&name("audit"), 3).unwrap();
    driver.produce(&name("wide"), 1, 5).unwrap();
    driver.produce(&name("wide"), 2, 5).unwrap();
    let commits: Vec<_> =
        (0..WIDE).map(|partition| at(&name("wide"), partition, i64::from(partition == 1) * 3)).collect();
    driver.commit(&name("team"), &commits).unwrap();
    driver.commit(&name("batch"), &[at(&name("audit"), 0, 0)]).unwrap();
}

#[test]
fn granularity_is_by_name_and_partitions_without_lag_may_be_left_out() {
    populate(shared().driver(), "fine-");
    let filters =
        "  topics: {include: [^fine-], granularity: partition, overrides: [{topics: audit, granularity: topic}]}\n";
    let groups =
        "  groups: {include: [^fine-], granularity: topic, overrides: [{groups: team, granularity: partition}]";
    let configured = Configured::start(&format!("{filters}{groups}}}\n"));
    let team = [("consumergroup", "fine-team"), ("topic", "fine-wide")];
    let batch = [("consumergroup", "fine-batch"), ("topic", "fine-audit")];
    let is_known = |scrape: &Exposition| {
        scrape.get("kafka_consumergroup_lag_sum", &team) == Some(7.0)
            && scrape.get("kafka_consumergroup_lag_sum", &batch) == Some(0.0)
            && partitions(scrape, BY_PARTITION[1], &team).len() == 40
    };
    let scrape = configured.until("the lags are known", is_known);
    let all: Vec<i32> = (0..WIDE).collect();
    for family in BY_PARTITION {
        assert_eq!(partitions(&scrape, family, &team), all, "{family}");
        assert_eq!(partitions(&scrape, family, &batch), [] as [i32; 0], "{family}");
    }
    let offset = "kafka_topic_partition_current_offset";
    assert_eq!(partitions(&scrape, offset, &[("topic", "fine-wide")]), all);
    assert_eq!(partitions(&scrape, offset, &[("topic", "fine-audit")]), [] as [i32; 0]);
    assert_eq!(scrape.value("kafka_topic_current_offset_sum", &[("topic", "fine-audit")]), 0.0);

    // The other way round, and only what is behind.
    let filters =
        "  topics: {include: [^fine-], granularity: topic, overrides: [{topics: audit, granularity: partition}]}\n";
    configured.reload(&format!("{filters}{groups}, drop_zero_lag_partitions: true}}\n"));
    let scrape = configured.until("the new configuration is in force", |scrape| {
        partitions(scrape, offset, &[("topic", "fine-audit")]) == [0, 1, 2] && is_behind(scrape, &team)
    });
    for family in BY_PARTITION {
        assert_eq!(partitions(&scrape, family, &team), [1, 2], "{family}");
    }
    assert_eq!(partitions(&scrape, offset, &[("topic", "fine-wide")]), [] as [i32; 0]);
    assert_eq!(scrape.value("kafka_consumergroup_lag_sum", &team), 7.0);
    assert_eq!(scrape.value("kafka_consumergroup_topic_max_lag", &team), 5.0);
    assert_eq!(scrape.value("kafka_consumergroup_unknown_partitions", &team), 0.0);
    assert_eq!(scrape.value("kafka_consumergroup_lag_sum", &batch), 0.0);
}

/// Whether the time lag of what is behind is known.
fn is_behind(scrape: &Exposition, team: &[(&str, &str)]) -> bool {
    partitions(scrape, BY_PARTITION[1], team) == [1, 2]
}

#[test]
fn a_limit_takes_whole_families_and_an_estimate_says_so_beforehand() {
    populate(shared().driver(), "much-");
    let filters = "  topics: {include: [^much-]}\n  groups: {include: [^much-]}\n";
    let configured = Configured::start(filters);
    let rows = usize::try_from(WIDE).unwrap() + 1;
    let is_whole = |scrape: &Exposition| {
        BY_PARTITION.iter().all(|family| of_kafka(scrape).get(family) == Some(&rows))
            && scrape.get("kafka_topic_produce_rate", &[("topic", "much-wide")]).is_some()
    };
    let all = configured.until("everything is there", is_whole);
    assert!(all.all("kafkascope_withheld_series", &[]).is_empty());
    let series: usize = of_kafka(&all).values().sum();

    // Status and time lag have to go, and half of a family would not be enough.
    let limited = format!("{filters}  max_series: {}\n", series - rows - rows / 2);
    let estimate = estimated(&configured, &limited);
    assert_eq!(estimate["withheld"], serde_json::json!(BY_PARTITION[..2]), "{estimate}");
    configured.reload(&limited);
    let scrape =
        configured.until("something is withheld", |scrape| scrape.all("kafkascope_withheld_series", &[]).len() == 2);
    let mut expected = of_kafka(&all);
    for family in &BY_PARTITION[..2] {
        assert_eq!(expected.remove(family), Some(rows));
        let withheld = scrape.value("kafkascope_withheld_series", &[("family", family)]);
        assert_eq!(withheld, f64::from(WIDE + 1), "{family}");
    }
    let (found, is_of_rates) = (of_kafka(&scrape), |family: &&&str| family.ends_with("_rate"));
    expected.retain(|family, _| !is_of_rates(&family));
    assert_eq!(found.into_iter().filter(|(family, _)| !is_of_rates(&family)).collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(scrape.value("kafka_consumergroup_lag_sum", &[("consumergroup", "much-team")]), 7.0);
    assert!(configured.exporter.get("/").text().contains("Withheld for max_series"));
    let warned = |line: &&String| line.starts_with("the cluster has more series than max_series: ");
    eventually("the log says so, once", SOON, || match configured.said().iter().filter(warned).count() {
        1 => Ok(()),
        times => Err(format!("{times} times")),
    });

    // With a limit that no sum fits into, only what has a partition goes.
    configured.reload(&format!("{filters}  max_series: 1\n"));
    let scrape = configured.until("all of it is withheld", |scrape| {
        scrape.all("kafkascope_withheld_series", &[]).len() > 10
            && scrape.get("kafka_consumergroup_lag_sum", &[("consumergroup", "much-team")]).is_some()
    });
    assert!(scrape.samples.iter().all(|sample| sample.label("partition").is_empty()));
    assert_eq!(scrape.value("kafka_topic_partitions", &[("topic", "much-wide")]), f64::from(WIDE));
    configured.reload(filters);
    configured.until("everything is there again", is_whole);
}

/// What `metrics --estimate` says of a cluster: its series by family agree with those that are exported.
fn estimated(configured: &Configured, cluster: &str) -> Value {
    let dir = scratch("estimate");
    let file = dir.path().join("kafkascope.yml");
    std::fs::write(&file, yaml(cluster)).unwrap();
    let arguments = ["metrics", "--estimate", "--config", file.to_str().unwrap()];
    let table = Exporter::builder().args(arguments).run(COMMAND);
    assert_eq!((table.status.code(), table.stderr.as_str()), (Some(0), ""), "{table:?}");
    for part in ["kafka_ series; a scrape is", "SERIES  FAMILY", "(withheld)", "would spare"] {
        assert!(table.stdout.contains(part), "{part} is not in\n{}", table.stdout);
    }
    let json = Exporter::builder().args([&arguments[..], &["--output", "json"]].concat()).run(COMMAND);
    assert_eq!((json.status.code(), json.stderr.as_str()), (Some(0), ""), "{json:?}");
    let parsed: Value = serde_json::from_str(&json.stdout).unwrap();
    let found = &parsed[0];
    assert_eq!((found["up"].as_bool(), found["errors"].as_array().map(Vec::len)), (Some(true), Some(0)), "{found}");
    let families = found["families"].as_array().unwrap();
    let scrape = configured.exporter.scrape();
    let exported = of_kafka(&scrape);
    let mut later = 0;
    for family in families {
        let (name, series) = (family["name"].as_str().unwrap(), family["series"].as_u64().unwrap());
        let exported = u64::try_from(exported.get(name).copied().unwrap_or(0)).unwrap();
        let takes_time =
            ["_rate", "_velocity", "_timestamp_seconds", "lag_seconds", "catch_up_seconds", "headroom_seconds"];
        if takes_time.iter().any(|suffix| name.ends_with(suffix)) {
            later += exported.saturating_sub(series);
        } else {
            assert_eq!(series, exported, "{name}");
        }
    }
    assert!(later <= found["series_later_at_most"].as_u64().unwrap(), "{later} and {found}");
    let (bytes, gzip) = (found["scrape_bytes"].as_u64().unwrap(), found["scrape_gzip_bytes"].as_u64().unwrap());
    assert!(gzip > 100 && gzip < bytes / 2, "{bytes} {gzip}");
    let spared = &found["would_spare"];
    assert!(spared["groups_drop_zero_lag_partitions"].as_u64().unwrap() >= 2 * u64::from(WIDE.unsigned_abs()));
    assert_eq!(spared["topics_granularity_topic"].as_u64(), Some(by_partition(&scrape, "kafka_topic_")));
    let withheld = families.iter().filter(|family| family["withheld"] == true).map(|family| &family["name"]);
    let mut withheld: Vec<&str> = withheld.map(|name| name.as_str().unwrap()).collect();
    withheld.sort_by_key(|name| BY_PARTITION.iter().position(|family| family == name));
    serde_json::json!({ "withheld": withheld })
}

/// How many series by partition begin like this.
fn by_partition(scrape: &Exposition, prefix: &str) -> u64 {
    let is_one =
        |sample: &&crate::exposition::Sample| sample.name.starts_with(prefix) && !sample.label("partition").is_empty();
    scrape.samples.iter().filter(is_one).count().try_into().unwrap()
}

#[test]
fn an_estimate_of_what_is_not_there_fails() {
    let nobody = format!("127.0.0.1:{}", free_ports(1)[0]);
    let arguments = ["metrics", "--estimate", "--request-timeout", "1s", "--bootstrap-servers", &nobody];
    let outcome = Exporter::builder().args(arguments).run(COMMAND);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("not reached, so nothing was counted"), "{outcome:?}");
    let outcome = Exporter::builder().args(["metrics", "--bootstrap-servers", &nobody]).run(COMMAND);
    assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("--bootstrap-servers means something only with --estimate"), "{outcome:?}");
}
