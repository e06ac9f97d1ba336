//! What is wrong with real groups, by their status: those that die, hold on, go back or assign for themselves; and that
//! they are well again when they go on.

use std::time::Duration;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{Commits, Driver, Protocol, at, shared};
use crate::tools::scratch;
use crate::truth::QUICK;

/// A session's end and a few passes, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Burrow's codes.
const OK: f64 = 1.0;
const WARN: f64 = 2.0;
const ERR: f64 = 3.0;
const STOP: f64 = 4.0;
const STALL: f64 = 5.0;
const REWIND: f64 = 6.0;

/// An exporter that looks at what is called so, and makes up its mind in seconds.
fn exporter(name: &str) -> Exporter {
    let dir = scratch("status");
    let file = dir.path().join("config.yml");
    let yaml = format!(
        "status: {{intervals: 3, min_distance: 1s}}\nclusters:\n- bootstrap_servers: ['{}']\n  \
         topics: {{include: ['^{name}$']}}\n  groups: {{include: ['^{name}$']}}\n",
        shared().bootstrap()
    );
    std::fs::write(&file, yaml).unwrap();
    let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).args(QUICK).start();
    exporter.ready();
    exporter
}

/// A group and its topic of one partition, both called so.
struct Case {
    name: &'static str,
    exporter: Exporter,
}

impl Case {
    /// `written` records, and an offset that the group has committed.
    fn start(name: &'static str, written: u32, committed: i64) -> Self {
        let driver = shared().driver();
        driver.create_topic(name, 1).unwrap();
        driver.produce(name, 0, written).unwrap();
        driver.commit(name, &[at(name, 0, committed)]).unwrap();
        Self { name, exporter: exporter(name) }
    }

    fn driver() -> &'static Driver {
        shared().driver()
    }

    fn shown(&self, scrape: &Exposition) -> (Option<f64>, Option<f64>, Option<f64>) {
        let of = |name| scrape.get(name, &[("consumergroup", self.name)]);
        let status = of("kafka_consumergroup_status");
        (status, of("kafka_consumergroup_partition_status"), of("kafka_consumergroup_lag"))
    }

    /// Waits until the group has this status, its partition one of these, and its lag satisfies.
    #[track_caller]
    fn until(&self, what: &str, group: f64, partition: &[f64], lag: impl Fn(f64) -> bool) {
        self.exporter.scrape_until(what, SOON, |scrape| {
            let (shown, of_partition, behind) = self.shown(scrape);
            let right = shown == Some(group)
                && of_partition.is_some_and(|status| partition.contains(&status))
                && behind.is_some_and(&lag);
            right.then_some(()).ok_or_else(|| format!("group {shown:?}, partition {of_partition:?}, lag {behind:?}"))
        });
    }

    /// A member reads all that is there and commits it: everything is well again. Returns when that shows.
    #[track_caller]
    fn recovers(&self) {
        let member = format!("{}-healthy", self.name);
        Self::driver().start_consumer(&member, self.name, &[self.name], Protocol::Classic).unwrap();
        self.until("it has recovered", OK, &[OK], |lag| lag == 0.0);
        Self::driver().stop_consumer(&member).unwrap();
    }

    /// Lets so many passes go by.
    #[track_caller]
    fn passes(&self, count: f64) {
        let passes = |scrape: &Exposition| scrape.value("kafkascope_pass_duration_seconds_count", &[]);
        let before = passes(&self.exporter.scrape());
        self.exporter.scrape_until("some passes", SOON, |scrape| {
            let now = passes(scrape);
            if now >= before + count { Ok(()) } else { Err(format!("{before}, {now}")) }
        });
    }
}

#[test]
fn status_of_a_group_whose_consumer_dies_is_stop() {
    let name = "status-dies";
    let case = Case::start(name, 10, 5);
    let apart = Driver::open_apart(&shared().bootstrap(), &[]);
    apart.start_consumer("status-dies-member", name, &[name], Protocol::Classic).unwrap();
    case.until("its consumer has read all", OK, &[OK], |lag| lag == 0.0);
    apart.kill();
    Case::driver().produce(name, 0, 20).unwrap();
    case.exporter.scrape_until("the group is empty", SOON, |scrape| {
        let state = scrape.get("kafka_consumergroup_state", &[("consumergroup", name), ("state", "Empty")]);
        (state == Some(1.0)).then_some(()).ok_or_else(|| format!("{state:?}"))
    });
    case.until("nobody reads any more", ERR, &[STOP], |lag| lag == 20.0);
    case.recovers();
}

#[test]
fn status_of_a_group_whose_member_holds_on_is_stall() {
    let name = "status-holds";
    let case = Case::start(name, 30, 3);
    let driver = Case::driver();
    let properties = [("max.poll.records", "1")];
    driver
        .start_consumer_that("status-holds-a", name, &[name], Protocol::Classic, 0, Commits::Nothing, &properties)
        .unwrap();
    case.until("its member does not get on", ERR, &[STALL], |lag| lag == 27.0);
    driver.produce(name, 0, 4).unwrap();
    case.until("nor when more comes", ERR, &[STALL], |lag| lag == 31.0);
    driver.stop_consumer("status-holds-a").unwrap();
    case.until("when it leaves, nobody reads", ERR, &[STOP], |lag| lag == 31.0);
    case.recovers();
}

#[test]
fn status_of_a_group_that_is_set_back_is_rewind() {
    let name = "status-goes-back";
    let case = Case::start(name, 100, 100);
    case.until("it has read all", OK, &[OK], |lag| lag == 0.0);
    case.passes(3.0);
    Case::driver().commit(name, &[at(name, 0, 10)]).unwrap();
    case.until("its commit went back", ERR, &[REWIND], |lag| lag == 90.0);
    case.recovers();
}

#[test]
fn status_of_a_group_that_assigns_for_itself_goes_by_its_commits() {
    let name = "status-simple";
    let case = Case::start(name, 100, 1);
    let driver = Case::driver();
    case.passes(1.0);
    // It is slow, and nothing worse: it has never had members, and gets on.
    for turn in 1..=8 {
        driver.produce(name, 0, 10).unwrap();
        driver.commit(name, &[at(name, 0, 10 * turn)]).unwrap();
        case.passes(2.0);
        let (shown, of_partition, lag) = case.shown(&case.exporter.scrape());
        let slow = [(Some(OK), Some(OK)), (Some(WARN), Some(WARN))];
        assert!(slow.contains(&(shown, of_partition)), "turn {turn}: {shown:?}, {of_partition:?}, lag {lag:?}");
    }
    case.until("it commits no more", ERR, &[STOP, STALL], |lag| lag == 100.0);
    let truth = driver.truth(name).unwrap();
    assert!(truth.groups[name].simple && truth.groups[name].members.is_empty(), "{:?}", truth.groups[name]);
    driver.commit(name, &[at(name, 0, 180)]).unwrap();
    case.until("it has caught up", OK, &[OK], |lag| lag == 0.0);
}
