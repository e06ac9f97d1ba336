//! Clusters from a seed, of every model: what the exporter shows of them is what the model says; and `kafkascope simulate`,
//! which runs them for people.

use std::collections::BTreeMap;
use std::time::Duration;

use kafkascope::sim::scale::{BEHIND_RECORDS, Behind, Scale};
use kafkascope::sim::{Spec, World};
use rustix::process::Signal;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::process::{Process, mortal};
use crate::simulated::Simulated;
use crate::tools::scratch;
use crate::wait::eventually;

/// For what takes a few passes.
const SOON: Duration = Duration::from_secs(45);
/// For what must end at once.
const AT_ONCE: Duration = Duration::from_secs(10);
const SCALE: Scale = Scale {
    brokers: 4,
    topics: 40,
    partitions: 203,
    groups: 30,
    group_partitions: 2_000,
    members: 3,
    moving_per_mille: 250,
    behind_per_mille: 0,
    behind: Behind::Topics,
};

/// Values by the labels that tell them apart.
type Values = BTreeMap<String, f64>;

#[expect(clippy::cast_precision_loss, reason = "offsets in tests are small")]
fn number(offset: Option<i64>) -> f64 {
    offset.map_or(f64::NAN, |offset| offset as f64)
}

fn shown(scrape: &Exposition, name: &str, labels: &[&str]) -> Values {
    let key = |sample: &crate::exposition::Sample| {
        labels.iter().map(|label| sample.label(label)).collect::<Vec<_>>().join(" ")
    };
    scrape.all(name, &[]).into_iter().map(|sample| (key(sample), sample.value)).collect()
}

/// What the model says of each family that is compared.
fn truth(world: &World) -> [(&'static str, Vec<&'static str>, Values); 4] {
    let each_commit = |value: fn(&World, &str, &str, usize) -> Option<i64>| {
        let rows = world.groups().flat_map(|(name, group)| {
            let row = move |(topic, partition, _)| {
                (format!("{name} {topic} {partition}"), number(value(world, name, topic, partition)))
            };
            group.commits().map(row)
        });
        rows.collect::<Values>()
    };
    let ends = world.topics().flat_map(|(name, topic)| {
        (0..topic.partitions()).map(move |p| (format!("{name} {p}"), number(world.end_offset(name, p))))
    });
    let members = world.groups().map(|(name, group)| (name.to_owned(), number(i64::try_from(group.members()).ok())));
    let row = vec!["consumergroup", "topic", "partition"];
    [
        ("kafka_consumergroup_current_offset", row.clone(), each_commit(World::committed)),
        ("kafka_consumergroup_lag", row, each_commit(World::lag)),
        ("kafka_topic_partition_current_offset", vec!["topic", "partition"], ends.collect()),
        ("kafka_consumergroup_members", vec!["consumergroup"], members.collect()),
    ]
}

/// Everything that is shown is what the model says, and nothing is missing.
fn same(world: &World, scrape: &Exposition) -> Result<(), String> {
    for (name, labels, truth) in truth(world) {
        let shown = shown(scrape, name, &labels);
        let off: Vec<_> = truth.iter().filter(|(key, value)| shown.get(*key) != Some(value)).collect();
        if !off.is_empty() || shown.len() != truth.len() {
            let (shown, truth, off) = (shown.len(), truth.len(), &off[..off.len().min(5)]);
            return Err(format!("{name}: {shown} series, {truth} in truth; not shown so: {off:?}"));
        }
    }
    Ok(())
}

fn every_number_is_the_models(scale: Scale) -> Simulated {
    let simulated = Simulated::start(Spec::scaled(7, scale));
    let exporter = Exporter::start(&simulated.bootstrap_servers()[..2].join(","), &["--interval", "1s"]);
    exporter.scrape_until("the model at its start", SOON, |scrape| same(&simulated.world(), scrape));
    simulated.advance(Duration::from_secs(100));
    exporter.scrape_until("the model 100 s later", SOON, |scrape| same(&simulated.world(), scrape));
    simulated
}

/// How many group-partitions are behind by at least so much.
fn behind(simulated: &Simulated, by: i64) -> (usize, usize) {
    let world = simulated.world();
    let lags: Vec<i64> = world
        .groups()
        .flat_map(|(name, group)| group.commits().map(|(topic, partition, _)| (name.to_owned(), topic, partition)))
        .filter_map(|(group, topic, partition)| world.lag(&group, topic, partition))
        .collect();
    (lags.iter().filter(|lag| **lag >= by).count(), lags.len())
}

#[test]
fn scale_a_part_moves() {
    drop(every_number_is_the_models(SCALE));
}

#[test]
fn scale_nothing_moves_and_all_are_caught_up() {
    let simulated = every_number_is_the_models(Scale { moving_per_mille: 0, members: 0, ..SCALE });
    assert_eq!(behind(&simulated, 1).0, 0);
}

#[test]
fn scale_a_part_is_behind() {
    for behind_as in [Behind::Topics, Behind::Groups] {
        let scale = Scale { moving_per_mille: 0, behind_per_mille: 200, behind: behind_as, ..SCALE };
        let simulated = every_number_is_the_models(scale);
        let (found, rows) = behind(&simulated, i64::from(BEHIND_RECORDS));
        assert!(found.abs_diff(rows / 5) <= rows / 50, "{behind_as:?}: {found} of {rows}");
    }
}

#[test]
fn scale_simulate_serves_until_it_is_told_to_end() {
    let dir = scratch("simulate");
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = mortal(env!("CARGO_BIN_EXE_kafkascope"));
        command.args(["simulate", "--brokers=5", "--topics=20", "--partitions=100", "--groups=10"]);
        command.args(["--group-partitions=500", "--moving=0%", "--behind=10%", "--latency=3ms", "--seed=4"]);
        let log = dir.path().join(format!("{signal:?}.log"));
        let process = Process::start("simulate", command, &log);
        let address = eventually("an address", SOON, || {
            let output = process.output();
            output.strip_suffix('\n').map(str::to_owned).ok_or_else(|| process.tail())
        });
        let exporter = Exporter::start(&address, &["--interval", "1s"]);
        exporter.scrape_until("all of it", SOON, |scrape| {
            let rows = shown(scrape, "kafkascope_snapshot_rows", &["kind"]);
            let all = [("topics", 20.0), ("topic_partitions", 100.0), ("groups", 10.0), ("group_partitions", 500.0)];
            let all = all.map(|(kind, count)| (kind.to_owned(), count)).into();
            if rows == all && scrape.all("kafka_broker_info", &[]).len() == 5 {
                Ok(())
            } else {
                Err(format!("{rows:?}"))
            }
        });
        drop(exporter);
        process.signal(signal);
        let ended = process.wait(AT_ONCE).unwrap();
        assert_eq!((ended.code(), process.output().lines().count()), (Some(0), 1), "{}", process.tail());
    }
}

#[test]
fn scale_simulate_refuses_what_contradicts_itself() {
    let cases: [(&[&str], &str); 5] = [
        (&["--topics=10", "--partitions=9"], "9 partitions are too few for 10 topics"),
        (&["--groups=1", "--partitions=100", "--group-partitions=101"], "cannot have 101 committed offsets"),
        (&["--moving=101%"], "write a percentage from 0% to 100%"),
        (&["--brokers=0"], "--brokers"),
        (&["--latency=5"], "--latency"),
    ];
    for (arguments, message) in cases {
        let outcome = Exporter::builder().args(["simulate"]).args(arguments).run(AT_ONCE);
        assert_eq!(outcome.status.code(), Some(2), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(message) && outcome.stdout.is_empty(), "{arguments:?}: {outcome:?}");
    }
}
