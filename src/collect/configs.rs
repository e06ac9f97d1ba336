//! The configs collector: what topics are set to, as far as their numbers are judged by it.
//!
//! Settings change seldom: they are asked for when a topic or another life of it is new, and about once an hour. A login
//! needs DescribeConfigs for them; where it lacks that it is told so once an hour, and only what hangs on settings is
//! missing.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::ask::Asker;
use super::interest::Interest;
use super::report::PassReport;
use crate::kafka::{Cause, KafkaApi, KafkaError, Operation, Target};
use crate::model::heap;
use crate::model::{DescribedSettings, KafkaCode, Moment, NoSettings, TopicSettings};
use crate::state::{CollectorName, HistoryId, TopicIx, World};

/// Topics a DescribeConfigs call.
const TOPICS_PER_CALL: usize = 100;
/// DescribeConfigs calls in flight.
const CALLS_IN_FLIGHT: usize = 2;
/// DescribeConfigs calls a pass: what a large cluster needs at the start is spread over several passes.
const CALLS_PER_PASS: usize = 20;
/// How old settings get until they are asked for again.
const INTERVAL: Duration = Duration::from_secs(3600);
/// By how much less it is for some topics, so that they are not all asked for at once for ever.
const SPREAD: Duration = Duration::from_secs(900);
/// Among how many groups of topics that is spread.
const SPREAD_STEPS: u32 = 64;
/// What was not told is asked for again after this time, then after twice the time, up to a limit.
const FIRST_RETRY: Duration = Duration::from_secs(20);
/// That limit: a silence may hold up a pass, so it is not tried often.
const LONGEST_RETRY: Duration = Duration::from_secs(600);
/// Settings that could not be read again for so long are not known any more.
const MAX_AGE: Duration = Duration::from_secs(3 * 3600);

/// What is known of one topic's settings.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// The life of the topic that this is about.
    life: HistoryId,
    /// When they are to be asked for again.
    next: Moment,
    /// How often in a row they were not told.
    failures: u8,
    /// When they were last told.
    told_at: Option<Moment>,
}

/// What the collector remembers between passes.
#[derive(Debug, Default)]
pub(super) struct Configs {
    /// By topic place; `None`: not asked for yet.
    items: Vec<Option<Item>>,
    /// How often in a row nobody answered.
    silences: u8,
    /// Until when nobody is asked, after a silence.
    silent_until: Option<Moment>,
    /// The settings that were told last: most topics have the same, and share them.
    last: Option<Arc<TopicSettings>>,
}

/// The rows that were not told, by reason: how many, and one of the topics.
#[derive(Debug, Default)]
struct Failures {
    by_code: BTreeMap<i32, (usize, Arc<str>)>,
    nonsense: Option<(usize, Arc<str>, NoSettings)>,
}

impl Configs {
    /// What it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        heap::vec(&self.items)
    }

    /// Whether something that was asked for was not told.
    pub(super) fn is_failing(&self) -> bool {
        self.silent_until.is_some() || self.items.iter().flatten().any(|item| item.failures > 0)
    }

    /// Asks for the settings that are due, and lets go those that are too old.
    pub(super) async fn ask_due<K: KafkaApi>(
        &mut self,
        asker: &Asker<K>,
        world: &mut World,
        interest: &Interest,
        now: Moment,
        report: &mut PassReport,
    ) {
        let started = Instant::now();
        self.follow(world, interest, now);
        let due = self.due(world, interest, now);
        let wanted = world.topic_order.iter().filter(|ix| interest.has_topic(**ix)).count();
        let unasked = wanted.saturating_sub(due.len());
        report.topic_settings.hits += u64::try_from(unasked).unwrap_or(u64::MAX);
        report.topic_settings.misses += u64::try_from(due.len()).unwrap_or(u64::MAX);
        if due.is_empty() {
            return;
        }
        let mut failures = Failures::default();
        {
            let calls: Vec<Vec<Arc<str>>> = due.chunks(TOPICS_PER_CALL).map(<[_]>::to_vec).collect();
            let mut answers = pin!(
                stream::iter(calls)
                    .map(|names| async move {
                        let answer = asker.cluster(asker.api.describe_configs(&names)).await;
                        (names, answer)
                    })
                    .buffer_unordered(CALLS_IN_FLIGHT)
            );
            while let Some((names, answer)) = answers.next().await {
                let is_silence = answer.as_ref().is_err_and(KafkaError::is_silence);
                self.take_in(world, &names, answer, now, &mut failures, report);
                if is_silence {
                    break;
                }
            }
        }
        failures.errors().for_each(|error| report.fail(CollectorName::Configs, error));
        report.topic_settings.took += started.elapsed();
    }

    /// Forgets topics that are gone or not wanted and lives that are over, and lets go settings that are too old.
    fn follow(&mut self, world: &mut World, interest: &Interest, now: Moment) {
        self.items.resize(world.topics.len(), None);
        for (place, item) in self.items.iter_mut().enumerate() {
            let life = world.topics[place].as_ref().map(|table| table.history);
            *item = item.filter(|item| Some(item.life) == life);
        }
        let is_old = |item: &Item| item.told_at.is_some_and(|at| now.since(at) > MAX_AGE);
        let order = world.topic_order.clone();
        for ix in order.iter() {
            let item = &mut self.items[ix.index()];
            if item.as_ref().is_some_and(is_old) {
                world.set_topic_settings(*ix, None);
            }
            if !interest.has_topic(*ix) {
                *item = None;
                world.set_topic_settings(*ix, None);
            }
        }
    }

    /// The topics that are to be asked for in this pass: new ones first.
    fn due(&mut self, world: &World, interest: &Interest, now: Moment) -> Vec<Arc<str>> {
        if self.silent_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for (ix, table) in world.topics_by_name().filter(|(ix, _)| interest.has_topic(*ix)) {
            match &self.items[ix.index()] {
                None => new.push(table.name.clone()),
                Some(item) if item.next <= now => known.push(table.name.clone()),
                Some(_) => {}
            }
        }
        new.append(&mut known);
        new.truncate(CALLS_PER_PASS * TOPICS_PER_CALL);
        new
    }

    /// Takes in the answer to one call.
    fn take_in(
        &mut self,
        world: &mut World,
        names: &[Arc<str>],
        answer: Result<Vec<DescribedSettings>, KafkaError>,
        now: Moment,
        failures: &mut Failures,
        report: &mut PassReport,
    ) {
        match answer {
            Ok(rows) => {
                (self.silences, self.silent_until) = (0, None);
                let mut told: HashMap<Arc<str>, Result<TopicSettings, NoSettings>> =
                    rows.into_iter().map(|row| (row.topic, row.settings)).collect();
                for name in names {
                    let missing = || Err(NoSettings::Code(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION));
                    let settings = told.remove(name).unwrap_or_else(missing);
                    self.note(world, name, settings.map_err(|reason| failures.add(name, reason)), now);
                }
            }
            Err(error) => {
                if error.is_silence() {
                    self.silences = self.silences.saturating_add(1);
                    self.silent_until = Some(now.plus(retry_after(self.silences)));
                } else {
                    let is_refused = !error.is_retriable();
                    names.iter().for_each(|name| self.note(world, name, Err(Refused(is_refused)), now));
                }
                report.fail(CollectorName::Configs, error);
            }
        }
    }

    /// Takes in what was told of one topic, or that it was not.
    fn note(&mut self, world: &mut World, name: &str, settings: Result<TopicSettings, Refused>, now: Moment) {
        let Some((ix, life)) = world.names.get(name).and_then(|ix| Some((ix, world.topic(ix)?.history))) else {
            return;
        };
        let known = self.items.get(ix.index()).copied().flatten();
        // What was told before polling began anew counts from now.
        let has_settings = world.topic(ix).is_some_and(|table| table.settings.is_some());
        let told_before = known.map_or(has_settings.then_some(now), |item| item.told_at);
        let (failures, told_at, wait) = match settings {
            Ok(settings) => {
                let shared = self.share(settings);
                world.set_topic_settings(ix, Some(shared));
                (0, Some(now), INTERVAL.saturating_sub(share_of(ix)))
            }
            Err(Refused(true)) => {
                world.set_topic_settings(ix, None);
                (1, None, INTERVAL)
            }
            Err(Refused(false)) => {
                let failures = known.map_or(0, |item| item.failures).saturating_add(1);
                (failures, told_before, retry_after(failures))
            }
        };
        if let Some(item) = self.items.get_mut(ix.index()) {
            *item = Some(Item { life, next: now.plus(wait), failures, told_at });
        }
    }

    fn share(&mut self, settings: TopicSettings) -> Arc<TopicSettings> {
        match &self.last {
            Some(last) if **last == settings => last.clone(),
            _ => self.last.insert(Arc::new(settings)).clone(),
        }
    }
}

/// That settings were not told, and whether asking again soon would change nothing.
#[derive(Debug, Clone, Copy)]
struct Refused(bool);

impl Failures {
    fn add(&mut self, topic: &Arc<str>, reason: NoSettings) -> Refused {
        match reason {
            NoSettings::Code(code) => {
                self.by_code.entry(code.0).or_insert_with(|| (0, topic.clone())).0 += 1;
                Refused(!code.is_retriable())
            }
            NoSettings::Nonsense(_) => {
                self.nonsense.get_or_insert_with(|| (0, topic.clone(), reason)).0 += 1;
                Refused(true)
            }
        }
    }

    /// One error for each reason.
    fn errors(self) -> impl Iterator<Item = KafkaError> {
        let coded = self.by_code.into_iter().map(|(code, (count, topic))| {
            let code = KafkaCode(code);
            let advice = if code == KafkaCode::TOPIC_AUTHORIZATION_FAILED {
                ": this login may not see them, so that retention and min.insync.replicas are not known there; \
                 allow it DescribeConfigs on topics, or set collectors.configs to false"
            } else {
                ""
            };
            (code, format!("no settings of {}{advice}", some(count, &topic)))
        });
        let nonsense = self.nonsense.into_iter().map(|(count, topic, reason)| {
            (KafkaCode::LOCAL_BAD_MSG, format!("no settings that make sense of {}: {reason}", some(count, &topic)))
        });
        coded.chain(nonsense).map(|(code, text)| KafkaError {
            operation: Operation::DescribeConfigs,
            target: Target::Cluster,
            cause: Cause::Code { code, text },
        })
    }
}

/// So many topics, by the name of one.
fn some(count: usize, topic: &str) -> String {
    if count == 1 { format!("topic {topic:?}") } else { format!("{count} topics, {topic:?} among them") }
}

/// How long to wait after so many failures in a row.
fn retry_after(failures: u8) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_RETRY)
}

/// By how much a topic's interval is shorter than the others'.
fn share_of(topic: TopicIx) -> Duration {
    let step = u32::try_from(topic.index() % SPREAD_STEPS as usize).unwrap_or(0);
    SPREAD * step / SPREAD_STEPS
}
