//! Who scrapes, and how often: the scrape period is learned from the scrapes, never configured.
//!
//! A client is a *track* of scrapes. Two Prometheus replicas behind one address look the same but for their connections,
//! so a connection that is kept has a track of its own; the first scrapes of connections make a track by address and user
//! agent, for clients that connect anew each time.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::Moment;

/// The period that is assumed until one is known.
pub const ASSUMED_SCRAPE_PERIOD: Duration = Duration::from_secs(15);

/// Tracks that are kept. Beyond it, those that know the least give way.
const MAX_TRACKS: usize = 256;
/// So many gaps must agree, one after another, until a client counts: it then came one time more.
const GAPS_TO_COUNT: usize = 3;
/// The mean over so many gaps is the period.
const GAPS_TO_MEAN: usize = 16;
/// Gaps agree when none is further from their middle than this part of it: 10 %.
const AGREEMENT: u32 = 10;
/// A client that counts goes on to while its gaps are off by no more than this part of its period: 20 %. More than it
/// takes to begin with, so that one at the edge does not come and go.
const LENIENCE: u32 = 5;
/// Gaps in a row that may not fit, such as those around somebody's extra scrape.
const MAX_MISFITS: u32 = 3;
/// A client that stayed away for so many periods does not count any more.
const PERIODS_AWAY: u32 = 3;
/// One that stayed away for so many is forgotten.
const PERIODS_UNTIL_FORGOTTEN: u32 = 4;
/// Shorter gaps are nobody's scrape interval.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);
/// Longer gaps are nobody's either: Prometheus calls a series stale after 5 min.
const LONGEST_PERIOD: Duration = Duration::from_secs(900);
/// Intervals are configured in whole seconds: a mean that is so close (as a part of it) to some is that: 0.5 %.
const WHOLE_SECONDS: u32 = 200;
/// Otherwise a period stands until the mean is off by this part of it: 1 %.
const STEADINESS: u32 = 100;

/// Who scraped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrapeClient {
    /// The number of the connection, never used twice.
    pub connection: u64,
    /// Where it comes from.
    pub address: IpAddr,
    /// A hash of the header `User-Agent`.
    pub user_agent_hash: u64,
}

/// What is known of the scrapes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rhythm {
    /// The shortest period of a client that counts; `None` when none does.
    pub period: Option<Duration>,
    /// The last scrape of the client whose period that is.
    pub reference: Option<Moment>,
    /// The last scrape by anyone.
    pub last: Option<Moment>,
}

impl Rhythm {
    /// Whether nobody has scraped for three periods, or ever.
    #[must_use]
    pub fn is_paused(&self, now: Moment) -> bool {
        let patience = self.period.unwrap_or(ASSUMED_SCRAPE_PERIOD) * PERIODS_AWAY;
        self.last.is_none_or(|last| now.since(last) > patience)
    }
}

/// The scrapes of late, by client.
#[derive(Debug, Clone, Default)]
pub struct Scrapes {
    tracks: Vec<Track>,
    /// The track whose period holds.
    reference: Option<u64>,
    last: Option<Moment>,
    next_id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// A connection that is kept.
    Connection(u64),
    /// Clients that look the same, by the first scrapes of their connections.
    Visitors,
}

#[derive(Debug, Clone)]
struct Track {
    id: u64,
    key: Key,
    address: IpAddr,
    user_agent_hash: u64,
    last: Moment,
    /// The newest gaps as they were, at most [`GAPS_TO_COUNT`].
    gaps: VecDeque<Duration>,
    /// The newest gaps that fitted, each as one period, at most [`GAPS_TO_MEAN`].
    fitting: VecDeque<Duration>,
    period: Option<Duration>,
    misfits: u32,
}

impl Scrapes {
    /// Takes note of an answered scrape.
    pub fn record(&mut self, client: ScrapeClient, at: Moment) {
        self.last = self.last.max(Some(at));
        self.tracks.retain(|track| !track.is_forgotten(at));
        let key = Key::Connection(client.connection);
        if let Some(track) = self.tracks.iter_mut().find(|track| track.key == key) {
            track.scraped(at);
        } else if let Some(track) = self.tracks.iter_mut().find(|track| track.is_continued_by(&client, at)) {
            track.key = key;
            track.scraped(at);
        } else {
            let is_alike = |track: &&mut Track| track.key == Key::Visitors && track.is_of(&client);
            match self.tracks.iter_mut().find(is_alike) {
                Some(track) => track.scraped(at),
                None => self.add(Key::Visitors, &client, at),
            }
            self.add(key, &client, at);
        }
        self.reference = self.choose(at).map(|track| track.id);
    }

    /// What is known now.
    #[must_use]
    pub fn rhythm(&self, now: Moment) -> Rhythm {
        let chosen = self.choose(now);
        Rhythm {
            period: chosen.and_then(|track| track.period),
            reference: chosen.map(|track| track.last),
            last: self.last,
        }
    }

    /// Begins a track; the one that knows the least gives way when there are too many.
    fn add(&mut self, key: Key, client: &ScrapeClient, at: Moment) {
        if self.tracks.len() >= MAX_TRACKS {
            let learning = self.tracks.iter().enumerate().filter(|(_, track)| track.period.is_none());
            let least = learning.min_by_key(|(_, track)| (track.gaps.len(), track.last)).map(|(index, _)| index);
            let Some(least) = least else { return };
            self.tracks.swap_remove(least);
        }
        self.tracks.push(Track {
            id: self.next_id,
            key,
            address: client.address,
            user_agent_hash: client.user_agent_hash,
            last: at,
            gaps: VecDeque::with_capacity(GAPS_TO_COUNT),
            fitting: VecDeque::new(),
            period: None,
            misfits: 0,
        });
        self.next_id += 1;
    }

    /// The track whose period holds: the one that was chosen before, unless it does not count any more or another's
    /// period is shorter by more than a tenth; else the oldest of those with about the shortest.
    fn choose(&self, now: Moment) -> Option<&Track> {
        let counting = || self.tracks.iter().filter(|track| track.counts(now));
        let shortest = counting().filter_map(|track| track.period).min()?;
        let is_short = |track: &&Track| track.period.is_some_and(|period| period * 9 / 10 <= shortest);
        let chosen = counting().filter(is_short).find(|track| Some(track.id) == self.reference);
        chosen.or_else(|| counting().filter(is_short).min_by_key(|track| track.id))
    }
}

impl Track {
    fn is_of(&self, client: &ScrapeClient) -> bool {
        (self.address, self.user_agent_hash) == (client.address, client.user_agent_hash)
    }

    /// Whether a new connection's first scrape is the next one of this client: it looks the same, and comes when this
    /// one is due. Prometheus keeps its phase over restarts and reloads, but not its connections.
    fn is_continued_by(&self, client: &ScrapeClient, at: Moment) -> bool {
        let is_due = || self.period.is_some_and(|period| periods(at.since(self.last), period, AGREEMENT).is_some());
        self.key != Key::Visitors && self.is_of(client) && is_due()
    }

    fn counts(&self, now: Moment) -> bool {
        self.period.is_some_and(|period| now.since(self.last) < period * PERIODS_AWAY)
    }

    fn is_forgotten(&self, now: Moment) -> bool {
        let patience = self.period.map_or(LONGEST_PERIOD, |period| period * PERIODS_UNTIL_FORGOTTEN);
        now.since(self.last) > patience
    }

    fn scraped(&mut self, at: Moment) {
        let gap = at.since(self.last);
        self.last = at;
        push(&mut self.gaps, gap, GAPS_TO_COUNT);
        match self.period.and_then(|period| periods(gap, period, LENIENCE)) {
            Some(passed) => {
                self.misfits = 0;
                push(&mut self.fitting, gap / passed, GAPS_TO_MEAN);
            }
            None => self.misfits += 1,
        }
        if self.misfits > MAX_MISFITS {
            self.period = None;
        }
        let agreed = agreed(&self.gaps).filter(|agreed| self.period.is_none_or(|known| !agree(known, *agreed)));
        if agreed.is_some() {
            // A first period, or another one than before, also when it is twice as long and so looked like a scrape missed.
            self.fitting.clone_from(&self.gaps);
            self.misfits = 0;
            self.period = agreed;
        }
        self.period = self.period.map(|period| steady(period, mean(&self.fitting)));
    }
}

fn push(gaps: &mut VecDeque<Duration>, gap: Duration, max: usize) {
    if gaps.len() >= max {
        gaps.pop_front();
    }
    gaps.push_back(gap);
}

/// How many periods a gap is, 1 when no scrape was missed; `None` when it is off by more than this part of a period.
fn periods(gap: Duration, period: Duration, part: u32) -> Option<u32> {
    (1..=PERIODS_AWAY).find(|passed| gap.abs_diff(period * *passed) <= period / part)
}

/// Whether two periods are the same but for a tenth.
fn agree(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= one / AGREEMENT
}

/// The period on which enough gaps agree.
fn agreed(gaps: &VecDeque<Duration>) -> Option<Duration> {
    let (shortest, longest) = (*gaps.iter().min()?, *gaps.iter().max()?);
    let middle = (shortest + longest) / 2;
    let is_period = shortest >= SHORTEST_PERIOD && longest <= LONGEST_PERIOD;
    (gaps.len() >= GAPS_TO_COUNT && is_period && longest - middle <= middle / AGREEMENT).then(|| mean(gaps))
}

fn mean(gaps: &VecDeque<Duration>) -> Duration {
    let count = u32::try_from(gaps.len()).unwrap_or(u32::MAX).max(1);
    gaps.iter().sum::<Duration>() / count
}

/// The period after the mean of its gaps has moved: it must not tremble, for polling follows it.
fn steady(period: Duration, mean: Duration) -> Duration {
    let whole = Duration::from_secs((mean + Duration::from_millis(500)).as_secs());
    let near = |to: Duration, part: u32| mean.abs_diff(to) <= to / part;
    match () {
        () if near(whole, WHOLE_SECONDS) => whole,
        () if near(period, STEADINESS) => period,
        () => mean,
    }
}

#[cfg(test)]
mod tests;
