//! When records were appended, as far as brokers tell: works on the searches that are wanted, some rounds a pass.
//!
//! A round asks one question a partition, all partitions of a leader in few calls. What is told helps every search in the
//! partition. What is not over when a pass ends goes on in the next one where it was.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::ask::Asker;
use super::clock::Clock;
use super::offsets;
use super::pass::Poller;
use super::report::PassReport;
use crate::kafka::{KafkaApi, KafkaError, Operation, Target};
use crate::model::{BrokerId, KafkaCode, Moment, Offset, PartitionId, TimedPartition, TopicRows, TopicTimes, WallTime};
use crate::schedule::Answer;
use crate::state::{CollectorName, HistoryId, TopicIx, World};
use crate::track::{MAX_TIME_QUESTIONS, Search, Step, TimeAnswer, TimeQuestion};

/// Rounds of questions in one pass: a search in a steady flow takes four, behind a producer that has stopped eight.
const MAX_ROUNDS: usize = 8;
/// No round begins when so much time has passed: what else the pass has learned is to be shown.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Partitions a call: more would cost librdkafka and the broker more than further calls.
const PARTITIONS_PER_CALL: usize = 200;
/// How long a partition is left alone after its first failure; twice as long after each further one.
const FIRST_REST: Duration = Duration::from_secs(10);
/// The longest rest, and that of a partition that may not be seen.
const MAX_REST: Duration = Duration::from_secs(600);
/// Rests that are remembered. Beyond it all are forgotten, and some are asked for too early.
const MAX_RESTS: usize = 2 * MAX_TIME_QUESTIONS;

type Place = (TopicIx, PartitionId);
type Call = Vec<TopicTimes>;

/// The searches of one cluster.
#[derive(Debug, Default)]
pub(super) struct Times {
    logs: BTreeMap<Place, LogSearches>,
    /// Partitions, or (`Some`) single records of them, that are left alone for a while.
    rests: HashMap<(Place, Option<Offset>), Rest>,
    answers: Vec<TimeAnswer>,
}

/// The searches in one partition's log.
#[derive(Debug)]
struct LogSearches {
    /// The life of the topic that they are about.
    history: HistoryId,
    searches: Vec<Search>,
    /// Whose turn it is to ask.
    turn: usize,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    failures: u32,
    until: Moment,
}

impl Times {
    /// Replaces what is wanted; searches for records that are still wanted go on.
    fn want(&mut self, world: &World, questions: &[TimeQuestion]) {
        let mut known = std::mem::take(&mut self.logs);
        known.retain(|(topic, _), log| is_same_life(world, *topic, log));
        for question in questions.iter().take(MAX_TIME_QUESTIONS) {
            let place = (question.topic, question.partition);
            let Some(table) = world.topic(question.topic) else { continue };
            let Some(end) = table.place(question.partition).and_then(|place| table.ends.get(place)) else { continue };
            let begun = known.get(&place).map_or(&[][..], |log| &log.searches);
            let log = self.logs.entry(place).or_insert_with(|| LogSearches {
                history: table.history,
                searches: Vec::new(),
                turn: known.get(&place).map_or(0, |log| log.turn),
            });
            if log.searches.iter().any(|search| search.offset() == question.offset) {
                continue;
            }
            let search = begun.iter().find(|search| search.offset() == question.offset).cloned();
            log.searches.push(search.unwrap_or_else(|| {
                let TimeQuestion { offset, not_before, not_after, .. } = *question;
                let mut search = Search::new(offset, not_before, not_after, end.known());
                begun.iter().for_each(|other| search.inherit(other));
                search
            }));
        }
    }

    /// Takes out the searches that are over, and those in logs that are not what they were.
    fn settle(&mut self, world: &World, wall: WallTime, now: Moment) {
        self.logs.retain(|(topic, _), log| is_same_life(world, *topic, log));
        let (rests, answers) = (&mut self.rests, &mut self.answers);
        for (place, log) in &mut self.logs {
            log.searches.retain(|search| match search.next(wall) {
                Step::Ask(_) => true,
                Step::Known(appended_at) => {
                    if answers.len() < MAX_TIME_QUESTIONS {
                        let (topic, partition) = *place;
                        answers.push(TimeAnswer { topic, partition, offset: search.offset(), appended_at });
                    }
                    rests.remove(&(*place, None));
                    false
                }
                Step::Unknown => {
                    rest(rests, (*place, Some(search.offset())), Answer::Failed, now);
                    false
                }
            });
        }
        self.logs.retain(|_, log| !log.searches.is_empty());
    }

    /// The next question of every partition that has a leader and is not left alone, by leader, in bounded lists.
    fn plan(&mut self, world: &World, wall: WallTime, now: Moment) -> BTreeMap<BrokerId, Vec<Call>> {
        let mut plan: BTreeMap<BrokerId, Vec<Call>> = BTreeMap::new();
        let rests = &self.rests;
        let is_resting = |key: &(Place, Option<Offset>)| rests.get(key).is_some_and(|rest| rest.until > now);
        for (place, log) in &mut self.logs {
            let Some(table) = world.topic(place.0).filter(|_| !is_resting(&(*place, None))) else { continue };
            let Some(leader) = table.place(place.1).and_then(|at| table.placements[at].leader) else { continue };
            let count = log.searches.len();
            let turns = (0..count).map(|next| (log.turn + next) % count);
            let mut due = turns.filter(|turn| !is_resting(&(*place, Some(log.searches[*turn].offset()))));
            let Some(turn) = due.next() else { continue };
            log.turn = turn + 1;
            if let Step::Ask(time) = log.searches[turn].next(wall) {
                let calls = plan.entry(leader).or_default();
                add(calls, &table.name, place.1, time);
            }
        }
        plan
    }

    /// Takes in what was told for the partitions of a call; those of which nothing was told have failed.
    fn learn(&mut self, world: &World, asked: &Call, rows: &[TopicRows<TimedPartition>], wall: WallTime, now: Moment) {
        let mut open: HashMap<Place, WallTime> = places(world, asked).collect();
        for (topic, row) in rows.iter().flat_map(|topic| topic.rows.iter().map(move |row| (&topic.topic, row))) {
            let Some(place) = world.names.get(topic).map(|topic| (topic, row.partition)) else { continue };
            let Some(time) = open.remove(&place) else { continue };
            match (row.found, self.logs.get_mut(&place)) {
                (Ok(found), Some(log)) => log.searches.iter_mut().for_each(|search| search.learn(time, found, wall)),
                (Ok(_), None) => {}
                (Err(code), _) => rest(&mut self.rests, (place, None), code_answer(code), now),
            }
        }
        open.into_keys().for_each(|place| rest(&mut self.rests, (place, None), Answer::Failed, now));
    }
}

fn is_same_life(world: &World, topic: TopicIx, log: &LogSearches) -> bool {
    world.topic(topic).is_some_and(|table| table.history == log.history)
}

/// Adds a partition to the calls to a leader.
fn add(calls: &mut Vec<Call>, topic: &Arc<str>, partition: PartitionId, time: WallTime) {
    let is_full = |call: &Call| call.iter().map(|topic| topic.partitions.len()).sum::<usize>() >= PARTITIONS_PER_CALL;
    if calls.last().is_none_or(is_full) {
        calls.push(Vec::new());
    }
    let Some(call) = calls.last_mut() else { return };
    match call.last_mut() {
        Some(last) if last.topic == *topic => last.partitions.push((partition, time)),
        _ => call.push(TopicTimes { topic: topic.clone(), partitions: vec![(partition, time)] }),
    }
}

/// What a call asks for, partition by partition.
fn places<'a>(world: &'a World, asked: &'a Call) -> impl Iterator<Item = (Place, WallTime)> + 'a {
    let known = asked.iter().filter_map(|topic| Some((world.names.get(&topic.topic)?, topic)));
    known.flat_map(|(ix, topic)| topic.partitions.iter().map(move |(partition, time)| ((ix, *partition), *time)))
}

fn code_answer(code: KafkaCode) -> Answer {
    if code.is_retriable() { Answer::Failed } else { Answer::Refused }
}

/// Leaves something alone for a while.
fn rest(
    rests: &mut HashMap<(Place, Option<Offset>), Rest>,
    whom: (Place, Option<Offset>),
    answer: Answer,
    now: Moment,
) {
    if rests.len() >= MAX_RESTS {
        rests.clear();
    }
    let rest = rests.entry(whom).or_insert(Rest { failures: 0, until: now });
    let doubled = FIRST_REST.saturating_mul(2_u32.saturating_pow(rest.failures)).min(MAX_REST);
    rest.until = now.plus(if answer == Answer::Refused { MAX_REST } else { doubled });
    // What was not asked has not failed once more: its broker is left alone by itself.
    rest.failures = rest.failures.saturating_add(u32::from(answer != Answer::NotAsked));
}

/// Takes note of what failed. What may not be seen is no failure of the collector: whether it is asked for depends on
/// lags and on rests, and the ends of the same topic tell of it all the time.
fn report_rows(leader: BrokerId, rows: &[TopicRows<TimedPartition>], report: &mut PassReport) -> Option<KafkaError> {
    let error = offsets::failure(leader, rows, |row| (row.partition, row.found.err()))?;
    if error.is_retriable() {
        report.fail(CollectorName::Offsets, error.clone());
    } else {
        report.note(error.clone());
    }
    Some(error)
}

impl<K: KafkaApi, C: Clock + Clone> Poller<K, C> {
    /// Says which records' append times are wanted from here on, [`MAX_TIME_QUESTIONS`] at most. Searches for records that
    /// are not wanted any more are let go, those for others go on. Kafka is asked at the next ticks.
    pub fn set_time_questions(&mut self, questions: &[TimeQuestion]) {
        self.times.want(&self.world, questions);
    }

    /// The append times that were found since this was last called. A question that is answered is not asked again,
    /// unless it is set anew; one that timestamps do not answer rests, however often it is set.
    pub fn take_time_answers(&mut self) -> Vec<TimeAnswer> {
        std::mem::take(&mut self.times.answers)
    }

    /// Works on the searches apart from any tick.
    pub async fn search(&mut self) -> PassReport {
        let mut report = PassReport::default();
        self.search_times(&mut report).await;
        report
    }

    /// Works on the searches; whether there was anything to ask.
    pub(super) async fn search_times(&mut self, report: &mut PassReport) -> bool {
        if self.times.logs.is_empty() || !self.has(CollectorName::Offsets) {
            return false;
        }
        let (started, begun) = (Instant::now(), self.clock.now().moment);
        let (asker, world, times) = (&self.asker, &self.world, &mut self.times);
        times.rests.retain(|_, rest| rest.until.plus(MAX_REST) > begun);
        let mut has_asked = false;
        for round in 0..=MAX_ROUNDS {
            let now = self.clock.now();
            times.settle(world, now.wall, now.moment);
            if round == MAX_ROUNDS || now.moment.since(begun) > MAX_TIME {
                break;
            }
            let plan = times.plan(world, now.wall, now.moment);
            if plan.is_empty() {
                break;
            }
            has_asked = true;
            plan.iter().for_each(|(leader, calls)| report.count_requests(*leader, calls.len()));
            ask(asker, world, times, plan, &self.clock, report).await;
        }
        if has_asked {
            report.ran(CollectorName::Offsets, started);
        }
        has_asked
    }
}

/// One round.
async fn ask<K: KafkaApi>(
    asker: &Asker<K>,
    world: &World,
    times: &mut Times,
    plan: BTreeMap<BrokerId, Vec<Call>>,
    clock: &impl Clock,
    report: &mut PassReport,
) {
    let mut answers = pin!(asker.answers(plan, |leader, asked: Call| async move {
        let call = asker.api.offsets_at(leader, &asked);
        let result = asker.broker(Operation::ListOffsets, Target::Broker(leader), call).await;
        (leader, asked, result)
    }));
    while let Some((leader, asked, result)) = answers.next().await {
        let now = clock.now();
        match result {
            Ok(rows) => {
                if report_rows(leader, &rows, report).is_some_and(|error| error.is_silence()) {
                    asker.silent(leader);
                }
                times.learn(world, &asked, &rows, now.wall, now.moment);
            }
            Err(error) => {
                let failure = match offsets::failure_answer(&error) {
                    Answer::NotAsked => Answer::NotAsked,
                    // What befalls a call says nothing of the partitions.
                    _ => Answer::Failed,
                };
                for (place, _) in places(world, &asked) {
                    rest(&mut times.rests, (place, None), failure, now.moment);
                }
                report.fail(CollectorName::Offsets, error);
            }
        }
    }
}
