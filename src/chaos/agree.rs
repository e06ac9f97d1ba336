//! Whether a scrape agrees with itself: sums are whole or absent, maxima cover what is known, what is missing is counted.

use super::check::{Check, Verdict, place, whole};
use super::cluster::Partition;
use super::history::Ms;

/// A group that went while its coordinator moved may be waited for: nobody says that it is gone.
const EXCUSED: Ms = 600_000;
/// What changes at least once in every such time moves all the while.
const SLOT: Ms = 9_000;

impl Check<'_> {
    pub(super) fn topics_agree(&self) -> Verdict {
        for ([topic, ..], unknown) in self.shown.all("kafka_topic_unknown_partitions") {
            let of = [*topic];
            let count = self.shown.get("kafka_topic_partitions", &of);
            let known = |name: &str| self.shown.below(name, &of).collect::<Vec<_>>();
            let ends = known("kafka_topic_partition_current_offset");
            let starts = known("kafka_topic_partition_oldest_offset");
            for (name, known) in [("current", &ends), ("oldest", &starts)] {
                let is_complete = count.is_some_and(|count| whole(count) == known.len() as i64);
                let sum = is_complete.then(|| known.iter().map(|(_, value)| value).sum::<f64>());
                let shown = self.shown.get(&format!("kafka_topic_{name}_offset_sum"), &of);
                if shown != sum {
                    return Err(format!("{topic}: {name}_offset_sum {shown:?} of {count:?} partitions: {known:?}"));
                }
            }
            if let Some(count) = count {
                let both = ends.iter().filter(|(end, _)| starts.iter().any(|(start, _)| start == end)).count();
                if whole(count) != whole(*unknown) + both as i64 {
                    return Err(format!("{topic}: {count} partitions, {both} known, {unknown} unknown"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn groups_agree(&self) -> Verdict {
        let unknown = self.shown.all("kafka_consumergroup_unknown_partitions");
        for name in ["lag", "lag_sum", "topic_max_lag", "current_offset"] {
            let keys = self.shown.all(&format!("kafka_consumergroup_{name}")).keys();
            if let Some(stray) = keys.into_iter().find(|key| !unknown.contains_key(&[key[0], key[1], ""])) {
                return Err(format!("{stray:?} has a {name} and nothing says how much is unknown"));
            }
        }
        for ([group, topic, _], unknown) in unknown {
            self.group_topic_agrees(group, topic, whole(*unknown))?;
        }
        for ([group, ..], most) in self.shown.all("kafka_consumergroup_max_lag") {
            let topics = self.shown.below("kafka_consumergroup_topic_max_lag", std::slice::from_ref(group));
            let largest = topics.map(|(_, value)| value).reduce(f64::max);
            if largest != Some(*most) {
                return Err(format!("{group}: max_lag {most}, its topics' is {largest:?}"));
            }
        }
        Ok(())
    }

    fn group_topic_agrees(&self, group: &str, topic: &str, unknown: i64) -> Verdict {
        let of = [group, topic];
        let lags: Vec<(&str, f64)> = self.shown.below("kafka_consumergroup_lag", &of).collect();
        let sum = (unknown == 0 && !lags.is_empty()).then(|| lags.iter().map(|(_, lag)| lag).sum::<f64>());
        let shown = self.shown.get("kafka_consumergroup_lag_sum", &of);
        if shown != sum {
            return Err(format!("{of:?}: lag_sum {shown:?}, {unknown} unknown, lags {lags:?}"));
        }
        let most = lags.iter().map(|(_, lag)| *lag).reduce(f64::max);
        let shown = self.shown.get("kafka_consumergroup_topic_max_lag", &of);
        if shown != most {
            return Err(format!("{of:?}: topic_max_lag {shown:?}, lags {lags:?}"));
        }
        if let Some(sum) = self.shown.get("kafka_consumergroup_current_offset_sum", &of) {
            let parts: f64 = self.shown.below("kafka_consumergroup_current_offset", &of).map(|(_, value)| value).sum();
            if parts != sum {
                return Err(format!("{of:?}: current_offset_sum {sum}, its partitions' is {parts}"));
            }
        }
        self.unknown_is_what_is_missing(group, topic, unknown, lags.len() as i64)?;
        self.lost_is_possible(group, topic)
    }

    /// Known and unknown partitions are the committed ones that exist: where their number stood still, exactly so.
    fn unknown_is_what_is_missing(&self, group: &str, topic: &str, unknown: i64, known: i64) -> Verdict {
        // A topic or group of which nothing can be learned for long stays as it was last seen.
        let settled = self.now - self.promised.fresh_within.max(self.promised.max_age) - self.promised.answer;
        let (Some(group_life), Some(life)) = (self.cluster.group(group), self.cluster.life(topic)) else {
            return Ok(());
        };
        let coordinator = group_life.coordinator.now();
        let can_be_learned = self.cluster.well_since(coordinator) <= settled
            && group_life.coordinator.since() <= settled
            && group_life.also_listed.since() <= settled
            && self.cluster.last_sick <= settled;
        if !can_be_learned || group_life.born > settled || life.born > settled {
            return Ok(());
        }
        let mut committed = 0;
        for (id, partition) in (0..).zip(&life.partitions) {
            let commit = group_life.commits.get(&(topic.into(), id));
            let Some(commit) = commit else { continue };
            let was = |wanted: bool| commit.during(settled, self.now).any(|value| value.is_some() == wanted);
            if partition.born > settled
                || commit.at(settled).is_none() && commit.now().is_some()
                || was(true) && was(false)
            {
                return Ok(());
            }
            committed += i64::from(was(true));
        }
        if known + unknown != committed {
            return Err(format!(
                "{group} on {topic}: {known} lags and {unknown} unknown, but {committed} committed partitions"
            ));
        }
        Ok(())
    }

    /// What counts as lost is no more than what can have been.
    fn lost_is_possible(&self, group: &str, topic: &str) -> Verdict {
        let Some(lost) = self.shown.get("kafka_consumergroup_lost_messages_sum", &[group, topic]) else {
            return Ok(());
        };
        let oldest = self.oldest() - self.promised.max_age;
        let mut most = 0;
        for (commit_place, starts) in self.received.starts.range((topic.into(), 0)..=(topic.into(), i32::MAX)) {
            let start = starts.iter().rev().take_while(|told| told.at >= oldest).map(|told| told.value).max();
            let start = start.or(starts.back().map(|told| told.value));
            let key = (group.into(), commit_place.clone());
            let commits = self.received.commits.get(&key).into_iter().flatten();
            let commit = commits.rev().take_while(|told| told.at >= oldest).map(|told| told.value).min();
            if let (Some(start), Some(commit)) = (start, commit) {
                most += (start - commit).max(0);
            }
        }
        if whole(lost) > most {
            return Err(format!("{group} on {topic}: {lost} lost, at most {most} can have been"));
        }
        Ok(())
    }

    /// What is gone is not shown, once it could be learned.
    pub(super) fn existence(&self) -> Verdict {
        let enough = self.promised.fresh_within;
        let learned = |died: Ms| self.now >= died.max(self.cluster.all_well_since()) + enough;
        for [topic, ..] in self.shown.all("kafka_topic_unknown_partitions").keys() {
            let last = self.cluster.topics.get(*topic).and_then(|lives| lives.last());
            let Some(last) = last else { return Err(format!("{topic} never existed")) };
            if last.died.is_some_and(learned) {
                return Err(format!("{topic} was deleted {} ms ago", self.now - last.died.unwrap_or(0)));
            }
        }
        for [group, ..] in self.shown.all("kafka_consumergroup_unknown_partitions").keys() {
            let last = self.cluster.groups.get(*group).and_then(|lives| lives.last());
            let Some(last) = last else { return Err(format!("{group} never existed")) };
            // The wait begins with the first whole list without it, and lists are not whole while a broker is sick.
            let all_well = self.cluster.all_well_since();
            if last.died.is_some_and(|died| learned(died.max(all_well) + EXCUSED)) {
                return Err(format!("{group} was deleted {} ms ago", self.now - last.died.unwrap_or(0)));
            }
        }
        Ok(())
    }

    /// What has been in order for long enough is shown, and as it was lately, whatever befalls the rest.
    pub(super) fn fresh(&self) -> Verdict {
        let since = self.now - self.promised.fresh_within;
        self.brokers_are_told(since)?;
        for (at, (told_since, told_leader)) in &self.received.leaders {
            let Some(partition) = self.cluster.partition(&at.0, at.1) else { continue };
            let is_told = *told_since <= since && *told_leader == partition.leader.now() && told_leader.is_some();
            let life_since = self.cluster.life(&at.0).map_or(Ms::MAX, |life| life.born);
            let Some(leader) = partition.leader.now() else { continue };
            let settled =
                partition.leader.since().max(partition.born).max(life_since).max(self.cluster.well_since(leader));
            // A truncation begins a new history, and shows that a topic is another by now.
            let fell = self.received.fell.iter().any(|fall| fall.place.0 == at.0 && fall.at > since);
            if !is_told || settled > since || fell {
                continue;
            }
            let id = at.1.to_string();
            for (name, is_end) in
                [("kafka_topic_partition_current_offset", true), ("kafka_topic_partition_oldest_offset", false)]
            {
                let shown = self.shown.get(name, &[&at.0, &id]);
                let since = self.moving_since(partition).filter(|_| is_end).unwrap_or(since);
                let mut logs =
                    partition.log.during(since, self.now).map(|log| if is_end { log.end } else { log.start });
                if !shown.is_some_and(|shown| logs.any(|was| was == whole(shown))) {
                    let evidence = self.evidence("", at);
                    return Err(format!(
                        "{name} of {at:?}: {shown:?} although broker {leader} has been well: {evidence}"
                    ));
                }
            }
            for group in self.cluster.living_groups() {
                self.group_is_fresh(&group, at, since)?;
            }
        }
        Ok(())
    }

    /// Since when an offset that moves all the while must have been read; `None` for others, or while nobody scrapes.
    fn moving_since(&self, partition: &Partition) -> Option<Ms> {
        let within = self.promised.moving_within?;
        let watched = within + self.promised.fresh_within;
        let slots = watched / SLOT;
        let changed = |slot: Ms| {
            let until = self.now - slot * SLOT;
            partition.log.during(until - SLOT, until).nth(1).is_some()
        };
        let moves = (0..slots).all(changed) && self.scraped_since? + watched < self.now;
        moves.then_some(self.now - within)
    }

    fn group_is_fresh(&self, name: &str, at: &(std::sync::Arc<str>, i32), since: Ms) -> Verdict {
        let Some(group) = self.cluster.group(name) else { return Ok(()) };
        let coordinator = group.coordinator.now();
        let settled = group.born.max(group.coordinator.since()).max(self.cluster.well_since(coordinator));
        if settled.max(group.also_listed.since()) > since || group.also_listed.now().is_some() {
            return Ok(());
        }
        if self.shown.get("kafka_consumergroup_members", &[name]).is_none() {
            return Err(format!("{name} has no members although broker {coordinator} has been well"));
        }
        let Some(commit) = group.commits.get(at) else { return Ok(()) };
        if commit.at(since).is_none() || commit.during(since, self.now).any(|value| value.is_none()) {
            return Ok(());
        }
        let id = at.1.to_string();
        let labels = [name, &*at.0, id.as_str()];
        let shown = self.shown.get("kafka_consumergroup_current_offset", &labels);
        let mut commits = commit.during(since, self.now);
        if !shown.is_some_and(|shown| commits.any(|was| was == Some(whole(shown)))) {
            return Err(format!("{labels:?}: a commit of {shown:?} although broker {coordinator} has been well"));
        }
        let lag = self.shown.get("kafka_consumergroup_lag", &labels);
        let Some(lag) = lag else { return Err(format!("{labels:?}: no lag although both brokers have been well")) };
        place(labels[1], labels[2])?;
        if !self.is_lag(name, at, whole(lag), since) {
            return Err(format!("{labels:?}: a lag of {lag} is not of late although both brokers have been well"));
        }
        Ok(())
    }

    fn brokers_are_told(&self, since: Ms) -> Verdict {
        for (id, broker) in &self.cluster.brokers {
            let shown = self.shown.get("kafka_broker_up", &[&id.to_string()]);
            let is_well = broker.last_sick.max(self.cluster.last_sick) <= since;
            let is_silent = !broker.works() && broker.condition.since() <= since;
            if is_well && shown != Some(1.0) {
                return Err(format!("kafka_broker_up of {id} is {shown:?} although it has been well"));
            }
            if is_silent && shown == Some(1.0) {
                return Err(format!("kafka_broker_up of {id} is 1 although it has been silent"));
            }
        }
        let up = self.shown.get("kafka_up", &[]);
        let is_well = self.cluster.all_well_since() <= since;
        let is_silent =
            self.cluster.brokers.values().all(|broker| !broker.works() && broker.condition.since() <= since);
        let wrong = is_well && up != Some(1.0) || is_silent && up != Some(0.0);
        if wrong { Err(format!("kafka_up is {up:?}")) } else { Ok(()) }
    }
}
