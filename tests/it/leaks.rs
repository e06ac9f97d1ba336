//! Brokers that come and go by the hundred leave no socket and no thread behind.
//!
//! The pool runs in a process of its own, so that everything that is counted there is its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kafkascope::kafka::{ClientSettings, KafkaApi, KafkaPool};
use kafkascope::model::BrokerId;
use kafkascope::sim::{Api, Outage, Spec};
use tokio::time::sleep;

use crate::process::{mortal, spawn};
use crate::simulated::Simulated;
use crate::wait::eventually;

const BROKERS: i32 = 10;
const ROUNDS: usize = 100;
/// After so many rounds everything is open that ever is.
const WARM: usize = 10;
/// Connections to each broker.
const HANDLES: usize = 2;
/// Tells the asking process where the cluster is.
const BOOTSTRAP: &str = "KAFKASCOPE_TEST_LEAK_BOOTSTRAP";
/// What the asking process says begins so; the rest of its output is the test harness's.
const SAYS: &str = "asker: ";
/// For what takes some reconnects.
const SOON: Duration = Duration::from_secs(30);

/// Open sockets and threads of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    sockets: usize,
    threads: usize,
}

impl Count {
    fn of(process: u32) -> Self {
        let entries = |what: &str| std::fs::read_dir(format!("/proc/{process}/{what}")).expect("a live process");
        let is_socket = |entry: std::io::Result<std::fs::DirEntry>| {
            let target = entry.ok().and_then(|entry| std::fs::read_link(entry.path()).ok());
            target.is_some_and(|target| target.to_string_lossy().starts_with("socket:"))
        };
        Self {
            sockets: entries("fd").filter_map(|it| is_socket(it).then_some(())).count(),
            threads: entries("task").count(),
        }
    }

    fn is_within(self, bound: Self) -> bool {
        self.sockets <= bound.sockets && self.threads <= bound.threads
    }
}

/// The asking process.
struct Asker {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Asker {
    fn start(bootstrap: &str) -> Self {
        let mut command = mortal(std::env::current_exe().expect("this test"));
        command.args(["--exact", "leaks::asks_until_told_to_stop", "--ignored", "--nocapture"]);
        command.env(BOOTSTRAP, bootstrap).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(command).expect("a process");
        let orders = child.stdin.take().expect("a pipe");
        let says = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, orders, says }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the asking process listens");
    }

    fn expect(&mut self, what: &str) {
        let heard = (&mut self.says).lines().map_while(Result::ok);
        let mut said = heard.filter_map(|line| Some(line.split_once(SAYS)?.1.to_owned()));
        assert_eq!(said.next().as_deref(), Some(what), "what the asking process says");
    }

    fn count(&self) -> Count {
        Count::of(self.child.id())
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How many requests each broker has had.
fn requests(simulated: &Simulated) -> Vec<u64> {
    (1..=BROKERS).map(|broker| simulated.requests(broker, Api::ListGroups).expect("a broker")).collect()
}

/// Waits until every broker was asked a few times again: connections are back.
fn all_asked_again(simulated: &Simulated, before: &[u64]) {
    eventually("requests to every broker", SOON, || {
        let now = requests(simulated);
        let silent: Vec<usize> = (0..now.len()).filter(|place| now[*place] < before[*place] + 4).collect();
        if silent.is_empty() { Ok(()) } else { Err(format!("not asked: {silent:?}")) }
    });
}

#[test]
fn a_thousand_broker_restarts_leave_no_socket_and_no_thread_behind() {
    let simulated = Simulated::start(Spec::new(usize::try_from(BROKERS).expect("a few"), 1));
    let mut asker = Asker::start(&simulated.bootstrap());
    asker.expect("ready");
    let at_first = asker.count();
    asker.order("ask");
    all_asked_again(&simulated, &requests(&simulated));
    let (mut warm, mut most) = (at_first, at_first);
    for round in 0..ROUNDS {
        for broker in 1..=BROKERS {
            simulated.end(broker, Outage::UNNOTICED);
        }
        let before = requests(&simulated);
        for broker in 1..=BROKERS {
            simulated.back(broker);
        }
        all_asked_again(&simulated, &before);
        let now = asker.count();
        most = Count { sockets: most.sockets.max(now.sockets), threads: most.threads.max(now.threads) };
        if round < WARM {
            warm = most;
        }
    }
    // One handle more than the pool's size may be there for a moment, to be tried. Each has a connection and a thread for
    // every broker and, at first, for every bootstrap address, and a few threads more; some threads are the runtime's.
    let of_one = 2 * usize::try_from(BROKERS).expect("a few") + 6;
    let bound = Count {
        sockets: at_first.sockets + (HANDLES + 1) * of_one,
        threads: at_first.threads + (HANDLES + 1) * of_one + 16,
    };
    assert!(most.is_within(bound), "{most:?} is more than {bound:?}");
    assert!(
        warm.threads > at_first.threads + usize::try_from(BROKERS).expect("a few"),
        "{warm:?}: nothing was counted"
    );
    eventually("what was there after ten rounds is there after a hundred", SOON, || {
        let now = asker.count();
        if now.is_within(warm) { Ok(()) } else { Err(format!("{now:?}, and {warm:?} after {WARM} rounds")) }
    });
    asker.order("close");
    asker.expect("closed");
    eventually("after closing all is as it was at first", SOON, || {
        let now = asker.count();
        if now.is_within(at_first) { Ok(()) } else { Err(format!("{now:?}, and {at_first:?} at first")) }
    });
}

#[test]
#[ignore = "the test above runs this in a process of its own"]
#[expect(clippy::print_stdout, reason = "how it answers the test above")]
fn asks_until_told_to_stop() {
    let bootstrap = std::env::var(BOOTSTRAP).expect("run by the test above, which says where the cluster is");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut orders = std::io::stdin().lines().map_while(Result::ok);
    let say = |what: &str| println!("\n{SAYS}{what}");
    say("ready");
    assert_eq!(orders.next().as_deref(), Some("ask"));
    let pool = Arc::new(KafkaPool::connect(&settings(bootstrap), HANDLES).expect("a pool"));
    let tended = pool.clone();
    let tending = runtime.spawn(async move { tended.tend().await });
    let asking: Vec<_> = (1..=BROKERS).map(|broker| runtime.spawn(ask(pool.clone(), BrokerId(broker)))).collect();
    assert_eq!(orders.next().as_deref(), Some("close"));
    runtime.block_on(async {
        pool.close().await;
        for task in asking.into_iter().chain([tending]) {
            task.abort();
            let _aborted = task.await;
        }
    });
    drop(pool);
    say("closed");
    // Lives until the pipe closes, to be counted.
    orders.for_each(drop);
}

fn settings(bootstrap: String) -> ClientSettings {
    ClientSettings {
        cluster: "leaks".into(),
        properties: vec![
            ("bootstrap.servers".to_owned(), bootstrap),
            ("statistics.interval.ms".to_owned(), "500".to_owned()),
            // Otherwise most of the test is waiting: librdkafka resets its backoff only after a calm while.
            ("reconnect.backoff.ms".to_owned(), "20".to_owned()),
            ("reconnect.backoff.max.ms".to_owned(), "100".to_owned()),
        ],
        request_timeout: Duration::from_secs(2),
    }
}

async fn ask(pool: Arc<KafkaPool>, broker: BrokerId) {
    loop {
        if broker.0 == 1 {
            drop(pool.metadata().await);
        }
        let _answers = tokio::join!(pool.list_groups(broker), pool.list_groups(broker), pool.list_groups(broker));
        sleep(Duration::from_millis(20)).await;
    }
}
