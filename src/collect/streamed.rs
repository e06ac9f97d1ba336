//! What a pass does with the stream of commits: what it need not ask, and what it asks for sooner.

use std::collections::HashMap;
use std::sync::Arc;

use super::clock::Clock;
use super::commits::{self, Outcome};
use super::observe::rows_of;
use super::pass::Poller;
use super::plan::{CommitQuestion, CommitScope};
use super::report::PassReport;
use super::stream::{CommitEvent, Wanted};
use crate::kafka::{FeedHealth, KafkaApi};
use crate::model::PartitionId;
use crate::state::{Asked, ReadAt, TopicIx, TopicTable};

/// Topics with the partitions that are asked for.
type Named = Vec<(TopicIx, Vec<PartitionId>)>;

impl<K: KafkaApi, C: Clock + Clone> Poller<K, C> {
    /// Takes in the commits that were read since the last time. Between ticks as well, about once a second: what waits is
    /// bounded, and reading stops while too much does.
    pub fn drain_stream(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.drain(&self.settings.topics.names, self.clock.now().moment);
        }
    }

    /// Every commit that was read since the last time, those of a group in the order in which they were made.
    pub fn take_commit_events(&mut self) -> Vec<CommitEvent> {
        self.stream.as_mut().map(super::stream::StreamTable::take_events).unwrap_or_default()
    }

    /// How reading `__consumer_offsets` fares; `None`: it is not read.
    #[must_use]
    pub fn stream_health(&self) -> Option<&FeedHealth> {
        self.stream.as_ref().map(super::stream::StreamTable::health)
    }

    /// Takes in what was read, and has what moved by that asked for at this tick.
    pub(super) fn follow_stream(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.follow(&self.world);
        }
        self.drain_stream();
        let now = self.clock.now().moment;
        let wanted = self.stream.as_mut().map(|stream| stream.wanted(&self.world, now)).unwrap_or_default();
        for wanted in wanted {
            match wanted {
                Wanted::Topic(group, topic) => {
                    if let Some(item) = self.scheduler.group_mut(&group) {
                        item.topic_moved(topic);
                    }
                }
                Wanted::Everything(group) => {
                    if let Some(item) = self.scheduler.group_mut(&group) {
                        item.read_all_soon();
                    }
                }
            }
        }
    }

    /// Answers what the stream knows. Returns the questions that are left for the coordinators.
    pub(super) fn answer_from_stream(
        &mut self,
        questions: Vec<CommitQuestion>,
        report: &mut PassReport,
    ) -> (Vec<Outcome>, Vec<CommitQuestion>) {
        if self.stream.is_none() {
            return (Vec::new(), questions);
        }
        // A second round of a pass must not go by what was known before the first.
        self.drain_stream();
        let (mut outcomes, mut left) = (Vec::new(), Vec::new());
        for question in questions {
            let is_full = matches!(question.topics, CommitScope::Everything(_));
            match self.answer_one(&question) {
                Some(outcome) => {
                    outcomes.push(outcome);
                    let now = self.clock.now().moment;
                    let is_due = |stream: &super::stream::StreamTable| stream.is_full_due(&question.group, now);
                    if is_full && self.stream.as_ref().is_some_and(is_due) {
                        left.push(question);
                    } else {
                        self.count_known(&question, report);
                    }
                }
                None => left.push(question),
            }
        }
        (outcomes, left)
    }

    fn answer_one(&mut self, question: &CommitQuestion) -> Option<Outcome> {
        let named: Option<Named> = match &question.topics {
            CommitScope::Everything(_) => None,
            CommitScope::Topics(due) => Some(commits::named(&self.world, due.clone(), TopicTable::asked)),
        };
        let stream = self.stream.as_mut()?;
        let answer = stream.answer(&self.world, question, named.as_deref(), self.clock.now().moment)?;
        let read = ReadAt { round: self.world.round, instants: self.clock.now() };
        let asked = named.as_deref().map_or(Asked::Everything, Asked::Named);
        let (group, scheduler, names) = (&question.group, &self.scheduler, &self.settings.topics.names);
        let max_age = |topic| scheduler.group_topic_max_age(group, topic);
        let shown = |topic: &str| names.matches(topic);
        let changes = self.world.apply_commits(group, &answer.commits, asked, shown, &max_age, read);
        self.world.set_commit_times(group, &answer.times);
        stream.taken_over(group, &answer.taken);
        let due = question.topics.due().to_vec();
        Some(Outcome { group: group.clone(), is_full: named.is_none(), due, result: Ok(changes) })
    }

    /// Counts what the stream answered as served from memory.
    fn count_known(&self, question: &CommitQuestion, report: &mut PassReport) {
        let Some(group) = self.world.groups.get(&question.group) else { return };
        let topics = match &question.topics {
            CommitScope::Everything(_) => None,
            CommitScope::Topics(topics) => Some(&topics[..]),
        };
        let values = u64::try_from(rows_of(group, topics)).unwrap_or(u64::MAX);
        report.commits.misses = report.commits.misses.saturating_sub(values);
        report.commits.hits += values;
    }

    /// Takes note of what the coordinators told: what had come in before is part of it.
    pub(super) fn note_asked(&mut self, asked: &[Outcome], asked_at: crate::model::Moment) {
        let answered = self.clock.now().moment;
        let Some(stream) = &mut self.stream else { return };
        for outcome in asked.iter().filter(|outcome| outcome.result.is_ok()) {
            if outcome.is_full {
                stream.full_answered(&outcome.group, asked_at, answered);
            } else {
                let names = outcome.due.iter().filter_map(|ix| self.world.names.name(*ix).cloned());
                stream.topics_answered(&outcome.group, names.collect(), answered);
            }
        }
    }
}

/// Puts what the coordinators told beside what the stream did. Of a group that both told of, what changed by either has
/// changed; what one could not tell, the other did.
pub(super) fn join(streamed: &mut Vec<Outcome>, asked: Vec<Outcome>) {
    let full = streamed.iter().enumerate().filter(|(_, known)| known.is_full);
    let places: HashMap<Arc<str>, usize> = full.map(|(place, known)| (known.group.clone(), place)).collect();
    for mut outcome in asked {
        let Some(place) = places.get(&outcome.group).filter(|_| outcome.is_full) else {
            streamed.push(outcome);
            continue;
        };
        let known = &mut streamed[*place];
        if let (Ok(changes), Ok(known)) = (&mut outcome.result, &known.result) {
            for change in changes {
                let place = known.binary_search_by_key(&change.topic, |known| known.topic).ok();
                change.changed |= place.is_some_and(|place| known[place].changed);
            }
            streamed[*place] = outcome;
        }
    }
}
