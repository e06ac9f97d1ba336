//! One run: the exporter's pipeline, polled and published as `serve` does, beside the weather and the scrapes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::behind::SeenBehind;
use super::check::{Check, Promised, Verdict};
use super::dice::Dice;
use super::fake::{BEGINNING, ChaosKafka, Load, TIMEOUT};
use super::history::Ms;
use super::remember::{Remembering, methods};
use super::shown::Shown;
use super::vanish::Seen;
use crate::collect::{Clock, PollSettings, Poller};
use crate::derive::Snapshot;
use crate::metrics::ClusterSource;
use crate::metrics::exposition::{ClusterView, Exposition, Format, View};
use crate::model::{Instants, Moment, NamePredicate, WallTime};
use crate::schedule::{BoundsRules, Budget, Rhythm, Rules, ScrapeClient, Scrapes};

const BROKERS: i32 = 5;
const MAX_IN_FLIGHT: usize = 6;
const LOAD: Load = Load { in_all: MAX_IN_FLIGHT as u64, per_broker: 2 };
/// The plain timer's interval.
const INTERVAL: Duration = Duration::from_secs(15);
/// A pass takes eight questions after one another, each of which may wait for a time-out, and up to two about append times.
const PASS: Ms = 10 * TIMEOUT;
/// The adaptive engine's longest interval.
const LONGEST: Ms = 60_000;
/// How often all faults end, and how long until everything must be right again and is looked at.
const STORMY: Ms = 46 * 60_000;
const CALM: Ms = 14 * 60_000;
/// The wall clock at the virtual clock's zero.
pub(super) const EPOCH_MS: i64 = 1_700_000_000_000;

/// How a seed's exporter polls, and who scrapes it.
#[derive(Debug, Clone, Copy)]
struct Setup {
    fixed: Option<Duration>,
    scrape_period: Ms,
    promised: Promised,
}

impl Setup {
    /// Every fourth seed polls by a plain timer.
    fn of(seed: u64) -> Self {
        let scrape_period = Dice::fork(seed, &[3]).pick(&[10_000, 15_000, 30_000]).unwrap();
        if seed.is_multiple_of(4) {
            let promised = Promised {
                max_age: 120_000,
                fresh_within: 3 * 15_000 + PASS,
                moving_within: None,
                answer: 2 * TIMEOUT,
            };
            return Self { fixed: Some(INTERVAL), scrape_period, promised };
        }
        let promised = Promised {
            max_age: 3 * LONGEST,
            fresh_within: 2 * LONGEST + PASS,
            moving_within: Some(2 * scrape_period + PASS),
            answer: 2 * TIMEOUT,
        };
        Self { fixed: None, scrape_period, promised }
    }

    fn rules(&self) -> Rules {
        Rules {
            fixed: self.fixed,
            bounds: BoundsRules::default(),
            budget: Budget { requests_per_second_per_broker: 50.0, cpu: 0.01 },
        }
    }
}

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
    seed: u64,
    setup: Setup,
    kafka: Arc<ChaosKafka>,
    clock: VirtualClock,
    source: Arc<ClusterSource>,
    scrapes: Mutex<Scrapes>,
    /// Since when somebody has scraped without a pause.
    scraped_since: Mutex<Option<Ms>>,
    /// The end of a pause.
    wake: Notify,
    /// What the last check has seen.
    seen: Mutex<Seen>,
    /// What it has seen of time lags.
    seen_behind: Mutex<SeenBehind>,
    /// When the memory was lost last.
    lost_at: Mutex<Ms>,
}

/// The polling side.
struct Polling {
    poller: Poller<ChaosKafka, VirtualClock>,
    memory: Remembering,
}

impl Polling {
    fn new(stage: &Stage, seed: u64) -> Self {
        let mut settings = PollSettings::of_everything(MAX_IN_FLIGHT, seed, stage.setup.rules());
        // No transaction is ever open, so their lags are those of all records; but there is one more question to fail.
        settings.groups.read_committed = NamePredicate::new(|group| group.len().is_multiple_of(2));
        let poller = Poller::new(stage.kafka.clone(), stage.clock.clone(), settings, None);
        Self { poller, memory: Remembering::new(seed, stage.kafka.now()) }
    }

    /// Waits until the next tick is due, works at it and publishes what it found: the loop of `serve`.
    async fn turn(&mut self, stage: &Stage) -> Verdict {
        loop {
            let next = self.poller.next_tick(&stage.rhythm());
            tokio::select! {
                biased;
                () = sleep(next.since(Moment(stage.kafka.now()))) => break,
                () = stage.wake.notified() => {}
            }
        }
        stage.kafka.pass.fetch_add(1, Ordering::Relaxed);
        if self.poller.tick().await.has_asked() {
            let previous = stage.source.snapshot.load_full();
            let mut snapshot = Snapshot::derive(self.poller.world(), previous.as_deref(), stage.clock.now());
            if self.memory.lose(stage.kafka.now(), stage.clock.now().wall)? {
                *stage.lost_at.lock().unwrap() = stage.kafka.now();
            }
            self.memory.follow(&mut self.poller, &mut snapshot)?;
            stage.source.snapshot.store(Some(Arc::new(snapshot)));
        }
        Ok(())
    }

    /// How much is remembered: the length of everything that the poller and the tracker hold, in words.
    fn size(&self) -> usize {
        format!("{:?}", self.poller).len() + self.memory.size()
    }
}

impl Stage {
    fn rhythm(&self) -> Rhythm {
        self.scrapes.lock().unwrap().rhythm(self.clock.now().moment)
    }

    /// Scrapes at a steady period, as Prometheus does, but for a pause now and then.
    async fn prometheus(&self, seed: u64) -> String {
        let mut dice = Dice::fork(seed, &[4]);
        let client = ScrapeClient { connection: 1, address: [127, 0, 0, 1].into(), user_agent_hash: 1 };
        let mut due = self.kafka.now();
        loop {
            if dice.chance(3) {
                due += dice.range(60_000, 2_400_000);
                *self.scraped_since.lock().unwrap() = None;
            }
            due += self.setup.scrape_period;
            let at = due + dice.range(0, 200);
            sleep(Duration::from_millis(at - self.kafka.now())).await;
            let moment = Moment(self.kafka.now());
            let mut scrapes = self.scrapes.lock().unwrap();
            let ends_pause = scrapes.rhythm(moment).is_paused(moment);
            scrapes.record(client, moment);
            drop(scrapes);
            self.scraped_since.lock().unwrap().get_or_insert(moment.0);
            if ends_pause {
                self.wake.notify_one();
            }
            if let Err(fault) = self.check(|_| Ok(())) {
                return fault;
            }
        }
    }

    /// Lets go what is too old, as `serve` does once a second.
    fn expire(&self) {
        let now = self.clock.now();
        self.source.tick(now.wall);
        if let Some(last) = self.source.snapshot.load_full().filter(|last| last.is_outdated(now.moment)) {
            let snapshot = Snapshot::derive(&last.world, Some(&last), now);
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
        let at = |fault| format!("after {} s: {fault}", (now - BEGINNING) / 1000);
        if let Some(overload) = &scene.overload {
            return Err(at(overload.clone()));
        }
        let shown = Shown::read(&body).map_err(at)?;
        let (cluster, received) = (&scene.cluster, &scene.received);
        let scraped_since = *self.scraped_since.lock().unwrap();
        let pass = self.kafka.pass.load(Ordering::Relaxed);
        let check = Check {
            cluster,
            received,
            shown: &shown,
            promised: self.setup.promised,
            scraped_since,
            pass,
            now,
            seed: self.seed,
            lost_at: *self.lost_at.lock().unwrap(),
            oldest_offsets: RefCell::default(),
        };
        check.all().and_then(|()| check.nothing_vanished(&mut self.seen.lock().unwrap())).map_err(at)?;
        let snapshot = self.source.snapshot.load_full();
        let methods = snapshot.map(|snapshot| methods(&snapshot, self.clock.now().wall)).unwrap_or_default();
        check.time_lags_are_true(&methods, &mut self.seen_behind.lock().unwrap()).map_err(at)?;
        more(&check).map_err(at)
    }

    /// Of names only those are held that exist, or on which a group has committed.
    fn nothing_is_kept(&self, polling: &Polling) -> Verdict {
        let scene = self.kafka.scene();
        let mut named: BTreeSet<Arc<str>> = scene.cluster.living_topics().into_iter().collect();
        for group in scene.cluster.living_groups().iter().filter_map(|name| scene.cluster.group(name)) {
            let commits = group.commits.iter().filter(|(_, commit)| commit.now().is_some());
            named.extend(commits.map(|((topic, _), _)| topic.clone()));
        }
        let names = &polling.poller.world().names;
        let held = (0..names.places()).filter(|place| names.is_taken(*place)).count();
        if held > named.len() { Err(format!("{held} names are held, of {} in use", named.len())) } else { Ok(()) }
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

    /// Looks at random instants, unnoticed, until something is wrong.
    async fn looks(&self, seed: u64) -> String {
        let mut dice = Dice::fork(seed, &[2]);
        loop {
            sleep(Duration::from_millis(dice.range(500, 40_000))).await;
            if let Err(fault) = self.check(|_| Ok(())) {
                return fault;
            }
        }
    }

    /// Polls until the end, or until something is wrong.
    async fn polls(&self, seed: u64, hours: u64) -> Verdict {
        let mut polling = Polling::new(self, seed);
        let begun = self.kafka.now();
        let mut calm_seen = 0;
        let mut sizes = Vec::new();
        while self.kafka.now() < begun + hours * 3_600_000 {
            polling.turn(self).await?;
            self.check(|_| Ok(()))?;
            let elapsed = self.kafka.now() - begun;
            let (cycle, phase) = (elapsed / (STORMY + CALM), elapsed % (STORMY + CALM));
            if phase >= STORMY + CALM - 60_000 && cycle >= calm_seen {
                calm_seen = cycle + 1;
                self.check(|check| check.all_is_right().and_then(|()| check.all_behind_is_dated()))?;
                polling.memory.holds_nothing(self.kafka.now())?;
                self.nothing_is_kept(&polling)?;
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
        let lost_at = Mutex::new(kafka.now());
        let stage = Stage {
            seed,
            setup: Setup::of(seed),
            kafka,
            clock,
            source,
            scrapes: Mutex::default(),
            scraped_since: Mutex::default(),
            wake: Notify::new(),
            seen: Mutex::default(),
            seen_behind: Mutex::default(),
            lost_at,
        };
        tokio::select! {
            biased;
            fault = stage.looks(seed) => Err(fault),
            () = stage.weather() => Ok(()),
            fault = stage.prometheus(seed) => Err(fault),
            verdict = stage.polls(seed, hours) => verdict,
        }
    })
}
