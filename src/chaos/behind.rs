//! Whether what is said of time lag and of status agrees with the rest of the scrape, and with when records came.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::check::{Check, Verdict, place, whole};
use super::cluster::Log;
use super::history::{History, Ms};
use super::remember::time_lag;
use super::run::EPOCH_MS;
use super::told::{Place, Told};
use crate::model::TimeLagMethod;
use crate::track::TimeLag;

const LAG: &str = "kafka_consumergroup_lag";
const LAG_SECONDS: &str = "kafka_consumergroup_lag_seconds";
const PARTITION_STATUS: &str = "kafka_consumergroup_partition_status";

/// A search ends when the time is known so well.
const TOLERANCE: Ms = 1_001;
/// What a broker told stands while it is asked about a later record: for five questions of a minute each at most, and the
/// time until the group is looked at again after each.
const STANDS: Ms = 5 * 60_000;
/// What is behind is read so often, where it can be.
const READ_APART: Ms = 60_000;
/// A fall of the end is seen within this, where a broker answers searches.
const FALL_IS_SEEN: Ms = 60_000;
/// A history that is full keeps fewer points the older they are.
const PART_OF_AGE: Ms = 4;
/// And of the young ones not all.
const YOUNG: Ms = 30_000;
/// A commit that has stood so long is dated when all is well.
const DATED_WITHIN: Ms = 120_000;
/// What lies no further behind may be a transaction's marker, which has no time.
const MARKER: f64 = 1.0;

/// How the time lag of each group on each partition is known.
pub(super) type Methods = BTreeMap<(Arc<str>, Place), TimeLagMethod>;

/// What was shown of a group on a partition at the last check.
#[derive(Debug)]
struct Dated {
    commit: Option<i64>,
    at: Ms,
    method: Option<TimeLagMethod>,
}

/// What the last check saw.
#[derive(Debug, Default)]
pub(super) struct SeenBehind {
    /// When the memory was lost last, as of then.
    lost_at: Ms,
    pass: u64,
    rows: BTreeMap<(Arc<str>, Place), Dated>,
}

impl Check<'_> {
    /// Every promise about time lag and status that holds at any instant.
    pub(super) fn behind(&self) -> Verdict {
        self.time_lag_goes_with_lag()?;
        self.time_lags_agree()?;
        self.statuses_agree()
    }

    /// When the record was appended that is so long unread.
    fn appended_at(&self, seconds: f64) -> Ms {
        self.now - whole((seconds * 1000.0).round()).unsigned_abs()
    }

    fn time_lag_goes_with_lag(&self) -> Verdict {
        for (key, seconds) in self.shown.all(LAG_SECONDS) {
            let lag = self.shown.get(LAG, key);
            if lag.is_none_or(|lag| (lag == 0.0) != (*seconds == 0.0)) {
                return Err(format!("{key:?}: {seconds} s behind, and a lag of {lag:?}"));
            }
            if time_lag(self.seed, key[1]) == TimeLag::Off {
                return Err(format!("{key:?}: {seconds} s behind, and nobody wants to know"));
            }
        }
        for (key, lag) in self.shown.all(LAG) {
            let is_wanted = time_lag(self.seed, key[1]) != TimeLag::Off;
            if *lag == 0.0 && is_wanted && self.shown.get(LAG_SECONDS, key).is_none() {
                return Err(format!("{key:?} has read all, and no time lag"));
            }
        }
        Ok(())
    }

    /// Maxima are those of what is shown.
    fn time_lags_agree(&self) -> Verdict {
        let (mut by_topic, mut by_group) = (BTreeMap::new(), BTreeMap::new());
        for ([group, topic, _], seconds) in self.shown.all(LAG_SECONDS) {
            for most in
                [by_topic.entry([*group, *topic, ""]).or_insert(0.0), by_group.entry([*group, "", ""]).or_insert(0.0)]
            {
                *most = f64::max(*most, *seconds);
            }
        }
        let shown = |name| self.shown.all(&format!("kafka_consumergroup_{name}"));
        for (name, most) in [("topic_max_lag_seconds", &by_topic), ("max_lag_seconds", &by_group)] {
            if shown(name) != most {
                return Err(format!("{name}: {:?}, and the parts say {most:?}", shown(name)));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds far below 2^53")]
        let now = EPOCH_MS.saturating_add_unsigned(self.now) as f64 / 1000.0;
        let behind = by_topic.iter().filter(|(_, most)| **most > 0.0);
        let expected: BTreeMap<_, f64> = behind.map(|(key, most)| (*key, now - most)).collect();
        let oldest = shown("oldest_unread_timestamp_seconds");
        let is_near = |key: &[&str; 3], at: f64| expected.get(key).is_some_and(|told| (at - told).abs() < 0.001);
        if oldest.len() != expected.len() || !oldest.iter().all(|(key, at)| is_near(key, *at)) {
            return Err(format!("oldest unread at {oldest:?}, and the time lags say {expected:?}"));
        }
        Ok(())
    }

    fn statuses_agree(&self) -> Verdict {
        let (lags, statuses) = (self.shown.all(LAG), self.shown.all(PARTITION_STATUS));
        if !lags.keys().eq(statuses.keys()) {
            return Err(format!("lags {lags:?}, and statuses {statuses:?}"));
        }
        let mut groups: BTreeMap<[&str; 3], f64> = BTreeMap::new();
        for ((key, status), lag) in statuses.iter().zip(lags.values()) {
            if ![1.0, 2.0, 4.0, 5.0, 6.0].contains(status) || (*lag == 0.0 && *status != 1.0) {
                return Err(format!("{key:?}: a status of {status} with a lag of {lag}"));
            }
            let worst = groups.entry([key[0], "", ""]).or_insert(1.0);
            *worst = worst.max(status.min(3.0));
        }
        let shown = self.shown.all("kafka_consumergroup_status");
        if *shown != groups { Err(format!("status {shown:?}, and the partitions say {groups:?}")) } else { Ok(()) }
    }

    /// The shown time lies where the record came that the group had not read lately.
    fn was_appended(&self, group: &str, at: &Place, shown: Ms) -> Verdict {
        let records = self.unread_since(group, at, self.oldest());
        let method = time_lag(self.seed, &at.0);
        let by_history = |records: &[i64]| records.iter().any(|record| self.is_told_by_ends(at, *record, shown));
        let by_broker = |records: &[i64], slack| {
            self.fell_lately(at)
                || records.iter().any(|record| self.came(at, *record, shown, shown + TOLERANCE + slack))
        };
        let stands_since = self.stands_since(group, at);
        let lately = || self.unread_since(group, at, stands_since);
        let told = || self.told_of_any(at, &lately(), stands_since);
        let clamped = self.promised.answer;
        let is_true = match method {
            TimeLag::Off => false,
            TimeLag::History => by_history(&records),
            TimeLag::Broker => by_broker(&told(), 0),
            TimeLag::Auto => {
                by_history(&records) || by_broker(&told(), clamped) || self.is_between(at, &records, &lately(), shown)
            }
        };
        if is_true {
            return Ok(());
        }
        let (age, evidence) = (self.now - shown, self.evidence(group, at));
        let came: Vec<_> = records.iter().map(|record| (*record, self.last_came(at, *record))).collect();
        Err(format!(
            "{group} on {at:?}: by {method:?} the oldest unread record came {age} ms ago; records and how long ago \
             they came: {came:?}; memory lost {} ms ago; {evidence}",
            self.now - self.lost_at
        ))
    }

    /// Nothing is shown of a topic that was there before one of its name, once it is known that there is another.
    fn is_of_this_life(&self, at: &Place, shown: Ms) -> Verdict {
        let Some([former, last]) = self.received.ids.get(&at.0) else { return Ok(()) };
        let Some(life) = self.cluster.life(&at.0).filter(|life| life.id == last.life) else { return Ok(()) };
        let is_known = former.life != 0 && last.pass < self.pass;
        if is_known && shown + self.promised.answer < life.born {
            let (before, known) = (life.born - shown, self.now - last.at);
            return Err(format!("{at:?}: {before} ms before the topic was created, as is known for {known} ms"));
        }
        Ok(())
    }

    /// The oldest records that the group may have had left to read, as it was told since then.
    fn unread_since(&self, group: &str, at: &Place, since: Ms) -> Vec<i64> {
        let lately = |told: Option<&VecDeque<Told>>| {
            let told = told.into_iter().flatten().rev().take_while(|told| told.at >= since);
            told.map(|told| told.value).collect::<BTreeSet<i64>>()
        };
        let commits = lately(self.received.commits.get(&(Arc::from(group), at.clone())));
        let mut starts = lately(self.received.starts.get(at));
        let before = self.received.starts.get(at).into_iter().flatten().rev().find(|told| told.at < since);
        starts.extend(before.map(|told| told.value).into_iter().chain([0]));
        let records: BTreeSet<i64> =
            commits.iter().flat_map(|commit| starts.iter().map(|start| *commit.max(start))).collect();
        records.into_iter().collect()
    }

    /// Since when what the broker told may stand: while no lag is known, nobody asks it.
    fn stands_since(&self, group: &str, at: &Place) -> Ms {
        let commits = self.received.commits.get(&(Arc::from(group), at.clone()));
        let passes: BTreeSet<u64> = commits.into_iter().flatten().map(|told| told.pass).collect();
        let (mut left, mut until) = (STANDS + (self.now - self.oldest()), self.now);
        for told in self.readings(at).iter().rev().filter(|told| passes.contains(&told.pass)) {
            left = left.saturating_sub((until - told.at).min(READ_APART));
            until = told.at;
            if left == 0 {
                return until.saturating_sub(READ_APART);
            }
        }
        0
    }

    /// The records about which the broker may have been asked for this group or another one, from the first of these to the
    /// last: what is told of a later record than was known of is taken, whoever wanted to know.
    fn told_of_any(&self, at: &Place, own: &[i64], since: Ms) -> Vec<i64> {
        let groups = self.received.commits.keys().filter(|(_, of)| of == at);
        let mut records: Vec<i64> = groups.flat_map(|(group, _)| self.unread_since(group, at, since)).collect();
        records.retain(|record| own.first().is_some_and(|first| first <= record) && own.last() >= Some(record));
        records.sort_unstable();
        records.dedup();
        records
    }

    /// Whether two readings of the end with the record between them lie around the time, as far as they are remembered.
    fn is_told_by_ends(&self, at: &Place, record: i64, shown: Ms) -> bool {
        let thinned = self.thinned(shown);
        let (from, to) = (shown.saturating_sub(thinned), shown + thinned + self.promised.answer);
        let readings = self.readings(at);
        let first = readings.partition_point(|told| told.at < from).saturating_sub(1);
        let mut pairs = readings[first..].windows(2).take_while(|pair| pair[0].at <= to);
        pairs.any(|pair| pair[0].value <= record && record < pair[1].value)
    }

    fn readings(&self, at: &Place) -> &[Told] {
        self.received.readings.get(at).map_or(&[], Vec::as_slice)
    }

    fn logs(&self, at: &Place) -> impl Iterator<Item = &History<Log>> {
        let place = usize::try_from(at.1).unwrap_or(usize::MAX);
        let lives = self.cluster.topics.get(&at.0).into_iter().flatten();
        lives.filter_map(move |life| Some(&life.partitions.get(place)?.log))
    }

    /// Whether the record came in that time. Of one that was deleted an earlier one's time may be told, that was deleted
    /// while the broker was asked.
    fn came(&self, at: &Place, record: i64, from: Ms, to: Ms) -> bool {
        self.logs(at).any(|log| {
            let mut ends = log.spans(from, to).filter(|(since, ..)| *since >= from);
            let end_before = |since: Ms| log.at(since - 1).map_or(0, |before| before.end);
            let start = log.now().start;
            ends.any(|(since, _, now)| end_before(since) <= record && record < now.end)
                || (start > record
                    && log.at(to).is_some()
                    && log.at(from.saturating_sub(1)).is_none_or(|then| then.end <= start))
        })
    }

    /// Whether the log lost its tail, or became another, while the broker may have been asked, and nothing has told of it yet.
    fn fell_lately(&self, at: &Place) -> bool {
        let since = self.now - FALL_IS_SEEN;
        let lives = self.cluster.topics.get(&at.0).into_iter().flatten();
        let is_other = lives.filter_map(|life| life.died).any(|died| died >= since);
        is_other
            || self.logs(at).any(|log| {
                let ends: Vec<i64> = log.during(since, self.now).map(|log| log.end).collect();
                ends.windows(2).any(|newer_first| newer_first[0] < newer_first[1])
            })
    }

    /// How long ago the record came.
    fn last_came(&self, at: &Place, record: i64) -> Option<Ms> {
        self.logs(at)
            .filter_map(|log| {
                let points: Vec<(Ms, Log)> = log.points().collect();
                let before = |place: usize| place.checked_sub(1).map_or(0, |place| points[place].1.end);
                let came =
                    (0..points.len()).rev().find(|place| before(*place) <= record && record < points[*place].1.end);
                came.map(|place| self.now - points[place].0)
            })
            .min()
    }

    /// Whether the time lies between those of a record that was unread lately and of the first end past the oldest one that
    /// is remembered: where a guess may lie until the broker tells.
    fn is_between(&self, at: &Place, records: &[i64], lately: &[i64], shown: Ms) -> bool {
        let reached = shown + TOLERANCE + self.promised.answer;
        let had_come = lately
            .first()
            .is_some_and(|first| self.logs(at).any(|log| log.during(0, reached).any(|log| log.end > *first)));
        let readings = self.readings(at);
        let remembered = &readings[readings.partition_point(|told| told.at < self.begun(&at.0))..];
        // Without a reading since then nothing has begun anew yet.
        let all = readings.iter().rev();
        let first_past = |record: &i64| remembered.iter().chain(all.clone()).find(|told| told.value > *record);
        let thinned = self.thinned(shown);
        had_come && records.iter().filter_map(first_past).any(|by| shown <= by.at + thinned)
    }

    /// Since when ends of a topic are remembered, at the latest.
    fn begun(&self, topic: &Arc<str>) -> Ms {
        let fell = self.received.fell.iter().rev().find(|fall| fall.place.0 == *topic).map(|fall| fall.at);
        let named = self.received.ids.get(topic).map(|[_, last]| last.at);
        let unseen = self.received.unseen.get(topic).copied();
        [fell, named, unseen].into_iter().flatten().fold(self.lost_at, Ms::max)
    }

    /// How far the readings around a time may be apart beyond those that there were, for not all are remembered.
    fn thinned(&self, shown: Ms) -> Ms {
        YOUNG + (self.now - shown) / PART_OF_AGE
    }

    /// What is shown is true, and does not go back by a change of method while a commit stands.
    pub(super) fn time_lags_are_true(&self, methods: &Methods, seen: &mut SeenBehind) -> Verdict {
        let mut rows = BTreeMap::new();
        let behind = self.shown.all(LAG_SECONDS).iter().filter(|(_, seconds)| **seconds > 0.0);
        for ([group, topic, partition], seconds) in behind {
            let (at, shown) = (place(topic, partition)?, self.appended_at(*seconds));
            self.is_of_this_life(&at, shown).map_err(|fault| format!("{group}: {fault}"))?;
            let commit = self.shown.get("kafka_consumergroup_current_offset", &[*group, *topic, *partition]).map(whole);
            let key = (Arc::from(*group), at);
            let dated = Dated { commit, at: shown, method: methods.get(&key).copied() };
            let before = seen.rows.get(&key).filter(|before| seen.lost_at == self.lost_at && before.commit == commit);
            // What was true of a commit stays so.
            if commit.is_none() || before.is_none_or(|before| before.at != shown) {
                self.was_appended(group, &key.1, shown)?;
            }
            if let Some(before) = before.filter(|before| commit.is_some() && before.at > shown)
                && !self.may_go_back(topic, &dated, seen)
            {
                let evidence = self.evidence(group, &key.1);
                return Err(format!("{key:?}: {before:?} went back to {dated:?}: {evidence}"));
            }
            rows.insert(key, dated);
        }
        *seen = SeenBehind { lost_at: self.lost_at, pass: self.pass, rows };
        Ok(())
    }

    /// What was guessed until the broker told may be corrected, and another life of the topic begins anew.
    fn may_go_back(&self, topic: &str, dated: &Dated, seen: &SeenBehind) -> bool {
        let fell = self.received.fell.iter().any(|fall| *fall.place.0 == *topic && fall.pass >= seen.pass);
        let is_other = self.received.ids.get(topic).is_some_and(|[_, last]| last.pass >= seen.pass);
        let is_corrected = time_lag(self.seed, topic) == TimeLag::Auto && dated.method == Some(TimeLagMethod::Broker);
        fell || is_other || is_corrected
    }

    /// After a time without faults what has stood behind for a while has a time lag, if the broker may be asked.
    pub(super) fn all_behind_is_dated(&self) -> Verdict {
        let then = self.now - DATED_WITHIN;
        for (key, lag) in self.shown.all(LAG) {
            let at = place(key[1], key[2])?;
            let asks = matches!(time_lag(self.seed, key[1]), TimeLag::Auto | TimeLag::Broker);
            let commit = self.cluster.group(key[0]).and_then(|group| group.commits.get(&at));
            let stood = commit.filter(|commit| commit.since() <= then).and_then(History::now);
            let end =
                self.cluster.partition(&at.0, at.1).and_then(|partition| partition.log.at(then)).map(|log| log.end);
            let was_behind = stood.zip(end).is_some_and(|(commit, end)| commit < end);
            if asks && was_behind && *lag > MARKER && self.lost_at <= then && self.shown.get(LAG_SECONDS, key).is_none()
            {
                let evidence = self.evidence(key[0], &at);
                return Err(format!("all is well, and how long {key:?} is behind is not known: lag {lag}; {evidence}"));
            }
        }
        Ok(())
    }
}
