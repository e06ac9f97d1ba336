//! What is done beside the calls: opening handles, keeping them up to date, trying sick ones, closing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::health::{Pauses, SILENT_CALLS, Suspect, Watch};
use super::member::{Member, PooledClient};
use super::{KafkaPool, State, print};
use crate::kafka::KafkaError;
use crate::model::ConnectionStats;

/// How often the handles are looked at.
const TICK: Duration = Duration::from_secs(1);
/// The pause after a handle could not be opened, or did not get an answer.
const OPEN_AGAIN: Duration = Duration::from_secs(10);
/// How many suspicions one trial looks into.
const TRIED_AT_ONCE: usize = 16;
/// The longest that one question of a trial may take.
const PROOF_LIMIT: Duration = Duration::from_secs(5);
/// A new handle is better than one that answers, too, if that takes more than this many times as long.
const BETTER_FACTOR: u32 = 4;
/// Differences below this say nothing.
const BETTER_FLOOR: Duration = Duration::from_millis(100);
/// How long a handle stays at most until its successor can be shown. librdkafka's statistics come every 10 s unless the
/// user wants them less often.
const SHOWN_AFTER: Duration = Duration::from_secs(90);

/// A handle that was to be closed for so long, and the time for its last calls, is worth a line in the log.
const OVERDUE: Duration = Duration::from_secs(60);

/// How long the pool puts up with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A handle beyond the first that is idle for so long is closed. Longer than the usual polling intervals.
    pub(super) idle: Duration,
    /// A poll thread that has not turned for so long is stuck.
    pub(super) stuck: Duration,
    /// How long a trial waits for one answer.
    pub(super) proof: Duration,
    /// How long the calls in flight of a handle that goes may take: as long as calls ever take.
    pub(super) last_calls: Duration,
}

impl Patience {
    /// With calls of which each request may take so long.
    pub(super) fn new(request_timeout: Duration) -> Self {
        Self {
            idle: Duration::from_secs(150),
            stuck: Duration::from_secs(30),
            proof: request_timeout.min(PROOF_LIMIT),
            last_calls: 2 * request_timeout + Duration::from_secs(3),
        }
    }
}

/// A handle on its way out.
pub(super) struct Retiring<C> {
    pub(super) member: Arc<Member<C>>,
    since: Instant,
    /// Who took its place; none when it was merely idle.
    successor: Option<Arc<Member<C>>>,
    /// Whether it is closed, and what it counted was taken over.
    is_counted: bool,
    is_overdue: bool,
}

impl<C: PooledClient> Retiring<C> {
    fn new(member: Arc<Member<C>>, successor: Option<Arc<Member<C>>>) -> Self {
        Self { member, since: Instant::now(), successor, is_counted: false, is_overdue: false }
    }

    /// What it counted, as long as that was not taken over.
    pub(super) fn uncounted(&self) -> Option<Arc<ConnectionStats>> {
        (!self.is_counted).then(|| self.member.client.broker_stats())
    }

    /// As above, of panics.
    pub(super) fn uncounted_panics(&self) -> u64 {
        if self.is_counted { 0 } else { self.member.client.poll_panics() }
    }

    /// Whether nothing is lost by closing it.
    fn may_close(&self, patience: &Patience) -> bool {
        let waited = self.since.elapsed();
        let is_shown = |successor: &Arc<Member<C>>| !successor.client.broker_stats().brokers.is_empty();
        let has_ended = self.member.in_flight() == 0 || waited >= patience.last_calls;
        has_ended && (self.successor.as_ref().is_none_or(is_shown) || waited >= SHOWN_AFTER)
    }
}

/// A handle that is being opened, or was, and takes no calls yet. Dropped, it is closed, unless it became a member.
struct Guest<'a, C: PooledClient> {
    pool: &'a KafkaPool<C>,
    member: Option<Arc<Member<C>>>,
}

impl<C: PooledClient> Drop for Guest<'_, C> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        match &self.member {
            None => state.opening -= 1,
            Some(member) if state.uninvite(member) => state.retiring.push(Retiring::new(member.clone(), None)),
            Some(_) => {}
        }
    }
}

impl<C> State<C> {
    /// Strikes a handle off the guests; whether it was one.
    fn uninvite(&mut self, member: &Arc<Member<C>>) -> bool {
        let guests = self.guests.len();
        self.guests.retain(|guest| !Arc::ptr_eq(guest, member));
        self.guests.len() < guests
    }
}

impl<C: PooledClient> KafkaPool<C> {
    /// Looks after the handles, for ever: to be run as a task. It may be stopped and started again at any moment.
    pub async fn tend(&self) {
        tokio::join!(self.keep_enough(), self.keep_well());
    }

    /// Opens handles that are wanted, and brings those up to date that know the cluster of before.
    async fn keep_enough(&self) {
        loop {
            if self.state().is_closed {
                return std::future::pending().await;
            }
            let (is_wanted, behind) = {
                let state = self.state();
                let has_room = state.members.len() < self.size;
                let behind = state.members.iter().filter(|member| self.size > 1 && member.print() != state.print);
                (state.is_wanted && has_room, behind.cloned().collect::<Vec<_>>())
            };
            let mut all_well = true;
            if is_wanted {
                all_well = self.open_one_more().await;
                self.state().is_wanted = false;
            }
            let told = join_all(behind.iter().map(|member| self.bring_up_to_date(member))).await;
            if all_well && told.iter().all(|is_told| *is_told) {
                // What was asked for meanwhile is waiting here already.
                self.work.notified().await;
            } else {
                sleep(OPEN_AGAIN).await;
            }
        }
    }

    /// Opens a handle; it takes calls once it has answered.
    async fn open_one_more(&self) -> bool {
        let Some((_guest, new)) = self.invite().await else { return false };
        if !self.bring_up_to_date(&new).await {
            return false;
        }
        let mut state = self.state();
        if state.is_closed || state.members.len() >= self.size {
            return false;
        }
        state.uninvite(&new);
        state.members.push(new);
        let handles = state.members.len();
        drop(state);
        tracing::debug!(cluster = &*self.cluster, handles, "one more handle, for calls in parallel");
        true
    }

    /// Has a handle ask for the metadata: it knows the brokers and leaders then, and it has shown that it answers.
    async fn bring_up_to_date(&self, member: &Arc<Member<C>>) -> bool {
        let turn = member.begin(None);
        let answer = turn.client().metadata().await;
        turn.heard(&answer);
        if let Ok(metadata) = &answer {
            member.set_print(print::print(metadata));
        }
        answer.is_ok()
    }

    /// Opens a handle that takes no calls yet, unless there are as many as there may be.
    async fn invite(&self) -> Option<(Guest<'_, C>, Arc<Member<C>>)> {
        {
            let mut state = self.state();
            if state.is_closed || state.handles() > self.size {
                return None;
            }
            state.opening += 1;
        }
        let mut guest = Guest { pool: self, member: None };
        let open = self.open.clone();
        // A panic in it would be a defect; it costs this attempt only.
        let client = spawn_blocking(move || open()).await.ok()?;
        let client = client.inspect_err(|error| self.say_not_opened(error)).ok()?;
        let member = Arc::new(Member::new(client));
        {
            let mut state = self.state();
            if state.is_closed {
                return None;
            }
            state.opening -= 1;
            state.said_not_opened = false;
            state.guests.push(member.clone());
        }
        guest.member = Some(member.clone());
        Some((guest, member))
    }

    fn say_not_opened(&self, error: &KafkaError) {
        // Tried again and again; said once until it works.
        if !std::mem::replace(&mut self.state().said_not_opened, true) {
            let cluster = &*self.cluster;
            tracing::warn!(
                cluster,
                "more connections cannot be opened, calls go through those that are there: {error}"
            );
        }
    }

    /// Closes idle handles, replaces sick ones, and sees those off that go.
    async fn keep_well(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pauses = Pauses::default();
        let mut watches: Vec<(Arc<Member<C>>, Watch)> = Vec::new();
        loop {
            ticks.tick().await;
            if self.state().is_closed {
                // Nothing is left to be done; what goes on is taken down by itself.
                return std::future::pending().await;
            }
            self.see_off().await;
            self.retire_idle();
            let members = self.state().members.clone();
            watches.retain(|(known, _)| members.iter().any(|member| Arc::ptr_eq(member, known)));
            for member in &members {
                if !watches.iter().any(|(known, _)| Arc::ptr_eq(member, known)) {
                    watches.push((member.clone(), Watch::default()));
                }
            }
            let suspects: Vec<_> =
                watches.iter_mut().map(|(member, watch)| (member.clone(), self.suspects(member, watch))).collect();
            let now = Instant::now();
            pauses.forget(now, |suspect| suspects.iter().any(|(_, of_one)| of_one.contains(&suspect)));
            let is_due = |of_one: &BTreeSet<Suspect>| of_one.iter().any(|suspect| pauses.is_over(*suspect, now));
            let sick = suspects.into_iter().find(|(_, of_one)| is_due(of_one));
            if let Some((member, of_one)) = sick.filter(|_| self.state().retiring.is_empty()) {
                let tried: BTreeSet<Suspect> =
                    of_one.into_iter().filter(|suspect| pauses.is_over(*suspect, now)).take(TRIED_AT_ONCE).collect();
                if !self.try_against_new(&member, &tried).await {
                    tried.iter().for_each(|suspect| pauses.extend(*suspect, Instant::now()));
                }
            }
        }
    }

    /// What speaks against a handle.
    fn suspects(&self, member: &Member<C>, watch: &mut Watch) -> BTreeSet<Suspect> {
        let mut suspects = watch.look(&member.client.broker_stats()).clone();
        suspects.extend(member.silent(SILENT_CALLS));
        if member.client.poll_age() >= self.patience.stuck {
            suspects.insert(Suspect::PollThread);
        }
        suspects
    }

    /// Opens a handle beside one that may be sick, and lets it take over if it does better. Tells whether it did.
    async fn try_against_new(&self, old: &Arc<Member<C>>, suspects: &BTreeSet<Suspect>) -> bool {
        let is_stuck = suspects.contains(&Suspect::PollThread);
        let limit = self.patience.proof;
        let before = if is_stuck { Vec::new() } else { ask_all(&old.client, suspects, limit).await };
        for (suspect, took) in &before {
            if took.is_some() {
                old.pardon(suspect.broker());
            }
        }
        // A quick answer settles it without the cost of another handle.
        let open_questions: BTreeSet<Suspect> =
            before.iter().filter(|(_, took)| took.is_none_or(|it| it > BETTER_FLOOR)).map(|(it, _)| *it).collect();
        if !is_stuck && open_questions.is_empty() {
            return false;
        }
        let Some((_guest, new)) = self.invite().await else { return false };
        let is_told = self.bring_up_to_date(&new).await;
        if is_stuck {
            // Whether Kafka answers or not: a thread that turns is better than one that does not.
            let is_better = new.client.poll_age() < TICK && old.client.poll_age() >= self.patience.stuck;
            return is_better && self.take_over(&new, old, Suspect::PollThread);
        }
        if !is_told {
            return false;
        }
        // The first answer has the connection set up; the second one is measured.
        let first = ask_all(&new.client, &open_questions, limit).await;
        let answering = first.iter().filter(|(_, took)| took.is_some()).map(|(suspect, _)| *suspect).collect();
        let after = ask_all(&new.client, &answering, limit).await;
        let is_better = |(suspect, took): &(Suspect, Option<Duration>)| {
            let of_old = before.iter().find(|(known, _)| known == suspect).and_then(|(_, took)| *took);
            took.is_some_and(|new| of_old.is_none_or(|old| old > BETTER_FACTOR * new + BETTER_FLOOR))
        };
        match after.iter().find(|proof| is_better(proof)) {
            Some((suspect, _)) => self.take_over(&new, old, *suspect),
            None => false,
        }
    }

    /// Puts a new handle in the place of an old one, whose calls in flight end as they would have.
    fn take_over(&self, new: &Arc<Member<C>>, old: &Arc<Member<C>>, reason: Suspect) -> bool {
        let mut state = self.state();
        if state.is_closed {
            return false;
        }
        let Some(place) = state.members.iter_mut().find(|member| Arc::ptr_eq(member, old)) else { return false };
        *place = new.clone();
        state.uninvite(new);
        state.retiring.push(Retiring::new(old.clone(), Some(new.clone())));
        drop(state);
        self.replacements.fetch_add(1, Ordering::Relaxed);
        let why = match reason {
            Suspect::PollThread => "librdkafka's poll thread was stuck".to_owned(),
            Suspect::Cluster => "no broker answered through it, and one answers through a new one".to_owned(),
            Suspect::Broker(broker) => {
                format!("broker {broker} did not answer through it in time, and does through a new one")
            }
        };
        tracing::warn!(
            cluster = &*self.cluster,
            "a sick set of connections was replaced, nothing needs to be done: {why}"
        );
        true
    }

    /// Takes a handle out of the pool that was not needed for long.
    fn retire_idle(&self) {
        let mut state = self.state();
        let is_idle = |member: &Arc<Member<C>>| member.idle().is_some_and(|idle| idle >= self.patience.idle);
        if let Some(place) = state.members.iter().skip(1).position(is_idle) {
            let member = state.members.remove(place + 1);
            state.retiring.push(Retiring::new(member, None));
        }
    }

    /// Closes the handles that go once their calls have ended, and forgets them once they are gone.
    async fn see_off(&self) {
        let is_due = |retiring: &&Retiring<C>| !retiring.is_counted && retiring.may_close(&self.patience);
        let due: Vec<_> = self.state().retiring.iter().filter(is_due).map(|it| it.member.clone()).collect();
        join_all(due.iter().map(|member| member.client.close())).await;
        let mut state = self.state();
        let State { retiring, ledger, .. } = &mut *state;
        for leaving in retiring.iter_mut() {
            let client = &leaving.member.client;
            if due.iter().any(|member| Arc::ptr_eq(member, &leaving.member)) {
                ledger.carry(&client.broker_stats(), client.poll_panics());
                (leaving.is_counted, leaving.successor) = (true, None);
            }
            if !leaving.is_overdue && leaving.since.elapsed() >= OVERDUE + self.patience.last_calls {
                leaving.is_overdue = true;
                self.say_overdue();
            }
        }
        retiring.retain(|leaving| !(leaving.is_counted && leaving.member.client.is_gone()));
    }

    fn say_overdue(&self) {
        let cluster = &*self.cluster;
        tracing::warn!(cluster, "librdkafka does not end a set of connections: until it does, no sick one is replaced");
    }
}

/// How long each of those took to answer that are suspected not to; `None`: it did not.
async fn ask_all<C: PooledClient>(
    client: &C,
    suspects: &BTreeSet<Suspect>,
    limit: Duration,
) -> Vec<(Suspect, Option<Duration>)> {
    join_all(suspects.iter().map(|suspect| async move { (*suspect, client.ping(suspect.broker(), limit).await) })).await
}
