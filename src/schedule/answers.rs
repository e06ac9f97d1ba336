//! What the answers of a pass change: who is asked again when, and how old what they told may get.

use super::items::{GroupItem, TopicItem};
use super::pace::Answer;
use super::{Bounds, Scheduler};
use crate::model::{MaxAge, OffsetSpec};
use crate::state::TopicIx;

impl Scheduler {
    /// Whether a topic's offsets are to be asked for at this tick.
    #[must_use]
    pub fn is_topic_due(&self, topic: TopicIx, spec: OffsetSpec) -> bool {
        let Some(item) = self.topic(topic) else { return true };
        let bounds = self.topic_bounds(item);
        match spec {
            OffsetSpec::Latest | OffsetSpec::LastStable => item.is_due(self.tick(), bounds),
            OffsetSpec::Earliest => item.starts.is_due(self.tick(), bounds),
        }
    }

    fn topic_bounds(&self, item: &TopicItem) -> Bounds {
        let (rules, cluster) = self.bounds();
        item.bounds(rules, cluster)
    }

    /// How old a topic's offsets may get that are read now.
    #[must_use]
    pub fn topic_max_age(&self, topic: TopicIx, spec: OffsetSpec) -> MaxAge {
        let Some(item) = self.topic(topic) else { return self.main_max_age() };
        self.max_age(item.pace(spec).longest_next(self.tick(), self.topic_bounds(item)))
    }

    /// Takes in what became of the question for a topic's offsets; `advanced` says how far they rose.
    pub fn topic_answered(&mut self, topic: TopicIx, spec: OffsetSpec, answer: Answer, advanced: u64) {
        let tick = *self.tick();
        let Some((item, bounds)) = self.topic_mut(topic) else { return };
        item.pace_mut(spec).answered(answer, &tick, bounds);
        if spec == OffsetSpec::Latest && matches!(answer, Answer::Moved | Answer::Still) {
            item.flowed(advanced, &tick, bounds);
        }
    }

    /// Takes note that an answer about a topic's offsets left a part open, whatever else it told.
    pub fn topic_incomplete(&mut self, topic: TopicIx, spec: OffsetSpec) {
        if let Some((item, _)) = self.topic_mut(topic) {
            item.pace_mut(spec).note_failing();
        }
    }

    /// Whether a group's description is to be asked for at this tick.
    #[must_use]
    pub fn is_group_due(&self, group: &GroupItem) -> bool {
        group.membership.is_due(self.tick(), self.group_bounds(group))
    }

    /// The bounds of a group's description.
    #[must_use]
    pub fn group_bounds(&self, group: &GroupItem) -> Bounds {
        let (rules, cluster) = self.bounds();
        group.bounds(rules, cluster)
    }

    /// How old a group's description may get that is read now.
    #[must_use]
    pub fn group_max_age(&self, group: &str) -> MaxAge {
        let Some(item) = self.group(group) else { return self.main_max_age() };
        self.max_age(item.membership.longest_next(self.tick(), self.group_bounds(item)))
    }

    /// Takes in what became of the question for a group's description.
    pub fn group_answered(&mut self, group: &str, answer: Answer) {
        let tick = *self.tick();
        let Some(bounds) = self.group(group).map(|item| self.group_bounds(item)) else { return };
        if let Some(item) = self.group_mut(group) {
            item.membership.answered(answer, &tick, bounds);
        }
    }

    fn group_topic_bounds(&self, group: &GroupItem, topic: TopicIx) -> Bounds {
        let (rules, cluster) = self.bounds();
        match group.known_topic(topic).zip(self.topic(topic)) {
            Some((known, item)) => known.bounds(item, rules, cluster),
            None => group.bounds(rules, cluster),
        }
    }

    /// Whether a group's commits on a topic are to be asked for at this tick. `ends_due`: the topic's ends are, so that
    /// asking along costs little.
    #[must_use]
    pub fn is_group_topic_due(&self, group: &GroupItem, topic: TopicIx, ends_due: bool) -> bool {
        let (tick, bounds) = (self.tick(), self.group_topic_bounds(group, topic));
        let Some(pace) = group.known_topic(topic).map(|item| &item.pace) else { return true };
        // A lag moves with the end as much as with the commit.
        // Between main ticks, too: beside an end that is newer than it, a lag would look wrong.
        let moves = self.topic(topic).is_some_and(|item| item.ends.is_moving());
        let follows = ends_due && moves && pace.may_be_asked(tick, bounds);
        follows || pace.is_due(tick, bounds) || (ends_due && pace.is_nearly_due(tick, bounds))
    }

    /// How old a group's commits on a topic may get that are read now.
    #[must_use]
    pub fn group_topic_max_age(&self, group: &str, topic: TopicIx) -> MaxAge {
        let Some(item) = self.group(group) else { return self.main_max_age() };
        let bounds = self.group_topic_bounds(item, topic);
        if self.topic(topic).is_none() {
            // Only full readings tell of it.
            return self.max_age(bounds.max.mul_f64(self.tick().stretch));
        }
        let pace = item.known_topic(topic).map(|item| item.pace).unwrap_or_default();
        self.max_age(pace.longest_next(self.tick(), bounds))
    }

    /// Takes in what became of the question for a group's commits on a topic.
    pub fn group_topic_answered(&mut self, group: &str, topic: TopicIx, answer: Answer) {
        let tick = *self.tick();
        let Some(item) = self.group(group) else { return };
        let bounds = self.group_topic_bounds(item, topic);
        // Names are matched once, when the topic is new to the group.
        let name = self.topic(topic).filter(|_| item.known_topic(topic).is_none()).map(TopicItem::name);
        let exception = name.and_then(|name| self.bounds().0.of_group_topic(group, name));
        if let Some(item) = self.group_mut(group) {
            item.topic(topic, exception).pace.answered(answer, &tick, bounds);
        }
    }

    /// Whether some topic's offsets are not what they would be if all were well.
    #[must_use]
    pub fn offsets_fail(&self) -> bool {
        self.topics().any(|item| item.ends.is_failing() || item.starts.is_failing())
    }

    /// Whether some group's description is not.
    #[must_use]
    pub fn memberships_fail(&self) -> bool {
        self.groups().any(|item| item.membership.is_failing())
    }

    /// Whether some group's commits are not.
    #[must_use]
    pub fn commits_fail(&self) -> bool {
        self.groups().any(|item| item.is_full_failing() || item.topics.iter().any(|item| item.pace.is_failing()))
    }
}
