//! One run: the exporter's pipeline, polled and published as `serve` does, beside the weather and the scrapes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use super::check::{Check, Promised, Verdict};
use super::dice::Dice;
use super::fake::{ChaosKafka, Load, TIMEOUT};
use super::history::Ms;
use super::shown::Shown;
use crate::collect::{Clock, GroupScope, NamePredicate, PollSettings, Poller, TopicScope};
use crate::derive::Snapshot;
use crate::metrics::ClusterSource;
use crate::metrics::exposition::{ClusterView, Exposition, Format, View};
use crate::model::{Instants, Moment, WallTime};
use crate::schedule::FixedInterval;
use crate::state::CollectorName;

const BROKERS: i32 = 5;
const MAX_IN_FLIGHT: usize = 6;
const INTERVAL: Duration = Duration::from_secs(15);
const MAX_AGE: Duration = Duration::from_secs(120);
/// A pass takes six questions after one another, each of which may wait for a time-out.
const PROMISED: Promised = Promised { max_age: 120_000, fresh_within: 3 * 15_000 + 6 * TIMEOUT, answer: 2 * TIMEOUT };
const LOAD: Load = Load { in_all: MAX_IN_FLIGHT as u64, per_broker: 2 };
/// How often all faults end, and how long until everything must be right again and is looked at.
const STORMY: Ms = 50 * 60_000;
const CALM: Ms = 5 * 60_000;
/// The wall clock at the virtual clock's zero.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// The virtual clock.
#[derive(Debug, Clone)]
struct VirtualClock(Arc<ChaosKafka>);

impl Clock for VirtualClock {
    fn now(&self) -> Instants {
        let now = self.0.now();
        Instants { moment: Moment(now), wall: WallTime(EPOCH_MS + now.cast_signed()) }
    }
}

/// What the web side has, and what it is held against.
struct Stage {
    kafka: Arc<ChaosKafka>,
    clock: VirtualClock,
    source: Arc<ClusterSource>,
}

/// The polling side.
struct Polling {
    poller: Poller<ChaosKafka, VirtualClock>,
    timer: FixedInterval,
}

impl Polling {
    fn new(stage: &Stage) -> Self {
        let settings = PollSettings {
            topics: TopicScope { names: NamePredicate::everything() },
            groups: GroupScope { names: NamePredicate::everything(), states: Vec::new() },
            collectors: CollectorName::ALL.to_vec(),
            max_in_flight: MAX_IN_FLIGHT,
            interval: INTERVAL,
        };
        let poller = Poller::new(stage.kafka.clone(), stage.clock.clone(), settings, None);
        Self { poller, timer: FixedInterval::new(Moment(stage.kafka.now()), INTERVAL) }
    }

    /// Waits until the next pass is due, runs it and publishes what it found: the loop of `serve`.
    async fn turn(&mut self, stage: &Stage) {
        let now = Moment(stage.kafka.now());
        sleep(self.timer.next_after(now).since(now)).await;
        stage.kafka.pass.fetch_add(1, Ordering::Relaxed);
        self.poller.pass().await;
        let previous = stage.source.snapshot.load_full();
        let snapshot = Snapshot::derive(self.poller.world(), previous.as_deref(), MAX_AGE, stage.clock.now());
        stage.source.snapshot.store(Some(Arc::new(snapshot)));
    }

    /// How much is remembered: the length of everything that the poller holds, in words.
    fn size(&self) -> usize {
        format!("{:?}", self.poller).len()
    }
}

impl Stage {
    /// Lets go what is too old, as `serve` does once a second.
    fn expire(&self) {
        let now = self.clock.now();
        if let Some(last) = self.source.snapshot.load_full().filter(|last| last.is_outdated(now.moment)) {
            let snapshot = Snapshot::derive(&last.world, Some(&last), MAX_AGE, now);
            self.source.snapshot.store(Some(Arc::new(snapshot)));
        }
    }

    fn scrape(&self) -> String {
        self.expire();
        let view = View { clusters: vec![ClusterView::of(&self.source)], ..View::default() };
        String::from_utf8(Exposition::new(view, Format::Text).into_bytes()).unwrap()
    }

    /// Scrapes, and holds what is shown against the truth.
    fn check(&self, more: impl FnOnce(&Check<'_>) -> Verdict) -> Verdict {
        let body = self.scrape();
        let now = self.kafka.now();
        let scene = self.kafka.scene();
        let at = |fault| format!("after {} s: {fault}", (now - super::fake::BEGINNING) / 1000);
        if let Some(overload) = &scene.overload {
            return Err(at(overload.clone()));
        }
        let shown = Shown::read(&body).map_err(at)?;
        let (cluster, received) = (&scene.cluster, &scene.received);
        let check = Check { cluster, received, shown: &shown, promised: PROMISED, now };
        check.all().and_then(|()| more(&check)).map_err(at)
    }

    /// Plays the weather for ever; it is calm at the end of every hour.
    async fn weather(&self) {
        let begun = self.kafka.now();
        loop {
            let pause = self.kafka.scene().weather.pause();
            sleep(Duration::from_millis(pause)).await;
            let now = self.kafka.now();
            let mut scene = self.kafka.scene();
            let scene = &mut *scene;
            let calm = (now - begun) % (STORMY + CALM) >= STORMY;
            if calm && !scene.weather.is_calm {
                scene.weather.calm_down(&mut scene.cluster, now);
            }
            scene.weather.is_calm = calm;
            scene.weather.step(&mut scene.cluster, now);
        }
    }

    /// Scrapes at random instants until something is wrong.
    async fn scrapes(&self, seed: u64) -> String {
        let mut dice = Dice::fork(seed, &[2]);
        loop {
            sleep(Duration::from_millis(dice.range(500, 40_000))).await;
            if let Err(fault) = self.check(|_| Ok(())) {
                return fault;
            }
        }
    }

    /// Polls until the end, or until something is wrong.
    async fn polls(&self, hours: u64) -> Verdict {
        let mut polling = Polling::new(self);
        let begun = self.kafka.now();
        let mut calm_seen = 0;
        let mut sizes = Vec::new();
        while self.kafka.now() < begun + hours * 3_600_000 {
            polling.turn(self).await;
            self.check(|_| Ok(()))?;
            let elapsed = self.kafka.now() - begun;
            let (cycle, phase) = (elapsed / (STORMY + CALM), elapsed % (STORMY + CALM));
            if phase >= STORMY + CALM - 60_000 && cycle >= calm_seen {
                calm_seen = cycle + 1;
                self.check(|check| check.all_is_right())?;
                sizes.push(polling.size());
            }
        }
        if calm_seen == 0 {
            return Err("the run was too short for a calm".to_owned());
        }
        let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
        // Topics and groups come and go: what is remembered follows them, not the time.
        if last > 3 * first.max(10_000) {
            return Err(format!("the poller remembers more and more: {sizes:?}"));
        }
        let told = self.kafka.scene().received.count;
        eprintln!(
            "told {told} passes {} sizes {sizes:?} shown {:?}",
            self.kafka.pass.load(Ordering::Relaxed),
            self.scrape().lines().count()
        );
        if told < 1000 * hours { Err(format!("only {told} values were told: the run says nothing")) } else { Ok(()) }
    }
}

/// Plays a seed for some virtual hours; what was wrong first, if anything.
pub(super) fn run(seed: u64, hours: u64) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let kafka = Arc::new(ChaosKafka::new(seed, BROKERS, LOAD));
        let clock = VirtualClock(kafka.clone());
        let source = Arc::new(ClusterSource::new(None, vec!["chaos:9092".to_owned()]));
        let stage = Stage { kafka, clock, source };
        tokio::select! {
            biased;
            fault = stage.scrapes(seed) => Err(fault),
            () = stage.weather() => Ok(()),
            verdict = stage.polls(hours) => verdict,
        }
    })
}
