//! Whether what a scrape shows is true or absent. The rules are the product's; none of the exporter's own code is used.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::cluster::{Cluster, GroupLife, Log};
use super::history::Ms;
use super::shown::Shown;
use super::told::{Place, Received, Told};

/// What may be expected of the exporter under test.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promised {
    /// No value older than this is shown.
    pub(super) max_age: Ms,
    /// What is in order for so long is shown, as it was no longer ago than this.
    pub(super) fresh_within: Ms,
    /// The same for offsets that move all the while, when somebody scrapes.
    pub(super) moving_within: Option<Ms>,
    /// A value may be older than its reading says: the answer took so long.
    pub(super) answer: Ms,
}

/// Everything that a check looks at.
pub(super) struct Check<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) received: &'a Received,
    pub(super) shown: &'a Shown<'a>,
    pub(super) promised: Promised,
    /// Since when somebody has scraped without a pause.
    pub(super) scraped_since: Option<Ms>,
    /// The pass that is under way, or was the last.
    pub(super) pass: u64,
    pub(super) now: Ms,
    pub(super) seed: u64,
    /// When the exporter lost its memory last.
    pub(super) lost_at: Ms,
    /// What was found of each place so far: every value on it asks.
    pub(super) oldest_offsets: RefCell<BTreeMap<Place, Ms>>,
}

pub(super) type Verdict = Result<(), String>;

/// A whole number that is shown: offsets in these tests lie far below 2^53.
#[expect(clippy::cast_possible_truncation, reason = "offsets in these tests are small")]
pub(super) fn whole(value: f64) -> i64 {
    value as i64
}

pub(super) fn place(topic: &str, partition: &str) -> Result<Place, String> {
    let number = partition.parse().map_err(|_| format!("{topic}: no partition {partition:?}"))?;
    Ok((Arc::from(topic), number))
}

impl Check<'_> {
    /// Every promise that holds at any instant.
    pub(super) fn all(&self) -> Verdict {
        self.values()?;
        self.lags()?;
        self.topics_agree()?;
        self.groups_agree()?;
        self.memberships()?;
        self.existence()?;
        self.fresh()?;
        self.behind()
    }

    /// The earliest instant at which a value that may be shown now was true.
    pub(super) fn oldest(&self) -> Ms {
        self.now - self.promised.max_age - self.promised.answer
    }

    /// The same for a partition's offsets: those of a partition without a leader stand for as long as it has none.
    fn oldest_offset(&self, place: &Place) -> Ms {
        if let Some(known) = self.oldest_offsets.borrow().get(place) {
            return *known;
        }
        let oldest = self.find_oldest_offset(place);
        self.oldest_offsets.borrow_mut().insert(place.clone(), oldest);
        oldest
    }

    fn find_oldest_offset(&self, place: &Place) -> Ms {
        let mut oldest = self.oldest();
        let partitions = self.cluster.topics.get(&place.0).into_iter().flatten();
        let partitions = partitions.filter_map(|life| life.partitions.get(usize::try_from(place.1).ok()?));
        for partition in partitions {
            // The exporter learns of leaders from metadata that may itself be old, by the broker's lag and by max_age.
            let slack = self.promised.max_age + 60_000 + self.promised.answer;
            for (from, to, leader) in partition.leader.spans(0, self.now) {
                if leader.is_none() && to.saturating_add(slack) >= oldest {
                    oldest = oldest.min(from.saturating_sub(slack));
                }
            }
        }
        oldest
    }

    fn was_offset(&self, place: &Place, value: i64, part: impl Fn(Log) -> i64) -> bool {
        let oldest = self.oldest_offset(place);
        let lives = self.cluster.topics.get(&place.0).into_iter().flatten();
        let mut partitions = lives.filter_map(|life| {
            let partition = life.partitions.get(usize::try_from(place.1).ok()?)?;
            life.died.is_none_or(|died| died >= oldest).then_some(partition)
        });
        partitions.any(|partition| partition.log.during(oldest, self.now).any(|log| part(log) == value))
    }

    /// Every offset was true at an instant that is not too long ago.
    fn values(&self) -> Verdict {
        type Part = fn(Log) -> i64;
        let offsets: [(&str, Part); 2] = [
            ("kafka_topic_partition_current_offset", |log| log.end),
            ("kafka_topic_partition_oldest_offset", |log| log.start),
        ];
        for (name, part) in offsets {
            for ([topic, partition, _], value) in self.shown.all(name) {
                let at = place(topic, partition)?;
                if !self.was_offset(&at, whole(*value), part) {
                    let evidence = self.evidence("", &at);
                    return Err(format!("{name} of {topic}-{partition}: {value} was not true lately: {evidence}"));
                }
            }
        }
        for ([group, topic, partition], value) in self.shown.all("kafka_consumergroup_current_offset") {
            let at = place(topic, partition)?;
            let commits = self.lives(group).filter_map(|life| life.commits.get(&at));
            if !commits.flat_map(|commit| commit.during(self.oldest(), self.now)).any(|was| was == Some(whole(*value)))
            {
                return Err(format!("{group} on {topic}-{partition}: a commit of {value} was not true lately"));
            }
        }
        Ok(())
    }

    fn lives(&self, group: &str) -> impl Iterator<Item = &GroupLife> {
        self.cluster.groups.get(group).into_iter().flatten()
    }

    /// Every lag pairs a commit with an end that was told after it in the same pass, and a start of the same life.
    fn lags(&self) -> Verdict {
        for ([group, topic, partition], value) in self.shown.all("kafka_consumergroup_lag") {
            let at = place(topic, partition)?;
            if !self.is_lag(group, &at, whole(*value), self.oldest()) {
                return Err(format!(
                    "{group} on {topic}-{partition}: a lag of {value} follows from nothing that was told: {}",
                    self.evidence(group, &at)
                ));
            }
        }
        Ok(())
    }

    /// Whether a lag follows from a commit that was true at `oldest` or later.
    pub(super) fn is_lag(&self, group: &str, at: &Place, lag: i64, oldest: Ms) -> bool {
        let key = (Arc::from(group), at.clone());
        let oldest_offset = self.oldest_offset(at);
        let stood_still = oldest_offset < self.oldest();
        let none = VecDeque::new();
        // What was paired before an end was seen to fall says nothing any more, once that pass is over.
        let falls = self.received.fell.iter().filter(|fall| fall.is_truncation && fall.place == *at);
        let last_fall = falls.map(|fall| fall.pass).filter(|pass| *pass < self.pass).max().unwrap_or(0);
        let commits = self.received.commits.get(&key).unwrap_or(&none).iter().rev();
        let ends = self.received.ends.get(at).unwrap_or(&none);
        let starts = self.received.starts.get(at).unwrap_or(&none);
        commits.take_while(|commit| commit.at >= oldest).any(|commit| {
            let fits = |end: &&Told| {
                let same_pass = end.pass == commit.pass && end.at >= commit.at && end.pass >= last_fall;
                let stood_still = stood_still && end.at >= oldest_offset;
                // A commit from after the topic's end, of which no metadata has told yet.
                let outlived = stood_still && commit.life != end.life && commit.at >= end.at;
                outlived || (same_pass || stood_still) && self.is_same_life(&at.0, commit, end)
            };
            ends.iter().rev().filter(fits).any(|end| {
                // The start was of the age that may be shown when the pair was made.
                let oldest_start = oldest_offset.min(commit.at - self.promised.max_age - self.promised.answer);
                let mut starts = starts.iter().rev().filter(|start| {
                    start.at >= oldest_start
                        && (stood_still || start.at <= end.at.max(commit.at))
                        // It may be the commit's rather than the end's, when the topic came anew between those two.
                        && (start.life == commit.life || self.is_same_life(&at.0, start, end))
                });
                starts.any(|start| {
                    let mut ends = self.readable_ends(at, end);
                    ends.any(|end| lag == (end - commit.value.max(start.value)).max(0))
                })
            })
        })
    }

    /// What a group may be measured against that reads up to an end: that, or the last stable offset that was told after it in
    /// the same pass, should the log have fallen meanwhile.
    fn readable_ends(&self, at: &Place, end: &Told) -> impl Iterator<Item = i64> {
        let stable = self.received.stable_ends.get(at).into_iter().flatten();
        let stable = stable.filter(|stable| stable.pass == end.pass && stable.at >= end.at);
        std::iter::once(end.value).chain(stable.map(|stable| stable.value.min(end.value)))
    }

    /// Whether two values are of one life, or of two that nobody can tell apart within a pass: no end fell.
    fn is_same_life(&self, topic: &Arc<str>, early: &Told, late: &Told) -> bool {
        let fell = |pass| self.received.fell.iter().any(|fall| fall.place.0 == *topic && fall.pass == pass);
        early.life == late.life || early.pass == late.pass && early.life != 0 && !fell(late.pass)
    }

    pub(super) fn evidence(&self, group: &str, at: &Place) -> String {
        let none = VecDeque::new();
        let last = |values: Option<&VecDeque<Told>>| {
            let told = values.unwrap_or(&none).iter().rev().take(4);
            let told = told.map(|told| format!("{}@{}/{}/{}", told.value, self.now - told.at, told.pass, told.life));
            told.collect::<Vec<_>>().join(" ")
        };
        let commits = last(self.received.commits.get(&(Arc::from(group), at.clone())));
        let (starts, ends) = (last(self.received.starts.get(at)), last(self.received.ends.get(at)));
        let leader = |(from, _, leader): (Ms, Ms, Option<crate::model::BrokerId>)| {
            leader.map_or("none".to_owned(), |leader| leader.to_string()) + "@" + &(self.now - from).to_string()
        };
        let lives = self.cluster.topics.get(&at.0).into_iter().flatten().rev().take(2);
        let leaders = lives.map(|life| {
            let partition = usize::try_from(at.1).ok().and_then(|place| life.partitions.get(place));
            let leaders = partition.into_iter().flat_map(|partition| partition.leader.spans(0, self.now)).take(4);
            let died = life.died.map_or("now".to_owned(), |died| (self.now - died).to_string());
            let leaders = leaders.map(leader).collect::<Vec<_>>().join(" ");
            format!("life {} from {} to {died} led by {leaders}", life.id, self.now - life.born)
        });
        let leaders = leaders.collect::<Vec<_>>().join(", ");
        format!("value@age/pass/life: commits {commits}; starts {starts}; ends {ends}; {leaders}")
    }

    /// State and members were true at an instant that is not too long ago, and a group is in one state.
    fn memberships(&self) -> Verdict {
        for ([group, ..], value) in self.shown.all("kafka_consumergroup_members") {
            let mut abouts = self.lives(group).flat_map(|life| life.about.during(self.oldest(), self.now));
            if !abouts.any(|about| i64::from(about.members) == whole(*value)) {
                return Err(format!("{group}: {value} members, which was not true lately"));
            }
        }
        let states = self.shown.all("kafka_consumergroup_state");
        for [group, state, _] in states.keys() {
            let mut abouts = self.lives(group).flat_map(|life| life.about.during(self.oldest(), self.now));
            if !abouts.any(|about| about.state.as_str() == *state) {
                return Err(format!("{group}: state {state}, which was not true lately"));
            }
            if states.keys().filter(|other| other[0] == *group).count() > 1 {
                return Err(format!("{group} is in two states"));
            }
        }
        Ok(())
    }
}

impl Check<'_> {
    /// After a time without faults: all there is is shown, all of it is known, and nothing else is.
    pub(super) fn all_is_right(&self) -> Verdict {
        let topics: Vec<Arc<str>> = self.cluster.living_topics();
        let shown: Vec<&str> = self.shown.all("kafka_topic_unknown_partitions").keys().map(|key| key[0]).collect();
        if !topics.iter().map(|name| &**name).eq(shown.iter().copied()) {
            return Err(format!("all is well, and the topics are {topics:?}, not {shown:?}"));
        }
        let groups: Vec<Arc<str>> = self.cluster.living_groups();
        let shown: Vec<&str> = self.shown.all("kafka_consumergroup_members").keys().map(|key| key[0]).collect();
        if !groups.iter().map(|name| &**name).eq(shown.iter().copied()) {
            return Err(format!("all is well, and the groups are {groups:?}, not {shown:?}"));
        }
        for name in ["kafka_topic_unknown_partitions", "kafka_consumergroup_unknown_partitions"] {
            if let Some((key, value)) = self.shown.all(name).iter().find(|(_, value)| **value != 0.0) {
                return Err(format!("all is well, and {name} of {key:?} is {value}"));
            }
        }
        let collectors = self.shown.all("kafkascope_collector_success");
        if collectors.len() != 6 || collectors.values().any(|success| *success != 1.0) {
            return Err(format!("all is well, and collectors fail: {collectors:?}"));
        }
        let partitions: usize =
            topics.iter().filter_map(|name| self.cluster.life(name)).map(|life| life.partitions.len()).sum();
        let rows = |table: &str| self.shown.get("kafkascope_snapshot_rows", &[table]).map(whole);
        let counts = [rows("topics"), rows("topic_partitions"), rows("groups")];
        let expected = [topics.len(), partitions, groups.len()].map(|count| Some(count as i64));
        if counts != expected {
            return Err(format!("all is well, and tables have {counts:?} rows, not {expected:?}"));
        }
        let ends = self.shown.all("kafka_topic_partition_current_offset").len();
        if ends != partitions { Err(format!("all is well, and {ends} of {partitions} ends are shown")) } else { Ok(()) }
    }
}
