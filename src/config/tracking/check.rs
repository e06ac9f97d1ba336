//! Checks what is said of time lag, isolation, where commits come from, and the rules of the status.

use std::time::Duration;

use super::{
    ABANDONED_AFTER_RANGE, ALLOWED_LAG_RANGE, CommitSource, GroupOverride, Isolation, MARKER_SLACK_RANGE,
    MAX_OVERRIDES, MIN_DISTANCE_RANGE, STATUS_INTERVALS_RANGE, Status, TimeLag, TopicOverride,
};
use crate::config::check::Checker;
use crate::config::cluster::names;
use crate::config::error::ValueError;
use crate::config::filter::NameFilter;
use crate::config::tree::{Field, Value};
use crate::config::types::{Collectors, Granularity};
use crate::config::values;

/// Checks the section `status`.
pub(crate) fn status(checker: &mut Checker<'_>, section: &Field<'_>) -> Status {
    let usual = Status::default();
    let mut count = |name: &str, default, range: std::ops::RangeInclusive<u64>| {
        let parsed = checker.parse(&section.field(name), |text| values::count(text, range.clone()));
        parsed.unwrap_or(default)
    };
    let (allowed_lag, marker_slack) = (
        count("allowed_lag", usual.allowed_lag, ALLOWED_LAG_RANGE),
        count("marker_slack", usual.marker_slack, MARKER_SLACK_RANGE),
    );
    let mut time = |name: &str, default: Duration, range: std::ops::RangeInclusive<Duration>| {
        checker.seconds(&section.field(name), default.as_secs(), range)
    };
    Status {
        allowed_lag,
        marker_slack,
        min_distance: time("min_distance", usual.min_distance, MIN_DISTANCE_RANGE),
        abandoned_after: time("abandoned_after", usual.abandoned_after, ABANDONED_AFTER_RANGE),
        intervals: checker.number(&section.field("intervals"), usual.intervals, STATUS_INTERVALS_RANGE),
    }
}

/// How the time lag on a section's topics is told.
pub(crate) fn time_lag(checker: &mut Checker<'_>, section: &Field<'_>) -> TimeLag {
    chosen_time_lag(checker, section).unwrap_or_default()
}

/// What the lag of a section's groups is measured against.
pub(crate) fn isolation(checker: &mut Checker<'_>, section: &Field<'_>) -> Isolation {
    chosen_isolation(checker, section).unwrap_or_default()
}

/// Where a cluster's commits come from.
pub(crate) fn commit_source(checker: &mut Checker<'_>, field: &Field<'_>, collectors: Collectors) -> CommitSource {
    let chosen = checker.parse(field, parse_commit_source).unwrap_or_default();
    if chosen == CommitSource::Stream && !collectors.commits {
        let advice = "set collectors.commits to true, or leave this out";
        checker.error(field, ValueError::new("there are no commits to stream: their collector is false", advice));
    }
    chosen
}

/// What differs for some topics.
pub(crate) fn topic_overrides(checker: &mut Checker<'_>, list: &Field<'_>) -> Vec<TopicOverride> {
    overrides(checker, list, |checker, item| {
        let topics = whom(checker, item, "topics");
        needs_one_of(checker, item, ["time_lag", "granularity"]);
        let (time_lag, granularity) = (chosen_time_lag(checker, item), granularity(checker, item));
        Some(TopicOverride { topics: topics?, time_lag, granularity })
    })
}

/// What differs for some groups.
pub(crate) fn group_overrides(checker: &mut Checker<'_>, list: &Field<'_>) -> Vec<GroupOverride> {
    overrides(checker, list, |checker, item| {
        let groups = whom(checker, item, "groups");
        needs_one_of(checker, item, ["isolation", "granularity"]);
        let (isolation, granularity) = (chosen_isolation(checker, item), granularity(checker, item));
        Some(GroupOverride { groups: groups?, isolation, granularity })
    })
}

/// The sections of a list; anything but a list of sections has been reported.
fn overrides<T>(
    checker: &mut Checker<'_>,
    list: &Field<'_>,
    mut one: impl FnMut(&mut Checker<'_>, &Field<'_>) -> Option<T>,
) -> Vec<T> {
    let Some(Value::List(_)) = list.node.map(|node| &node.value) else { return Vec::new() };
    let items = list.items();
    checker.limit(list, items.len(), MAX_OVERRIDES, "overrides");
    let sections = items.iter().take(MAX_OVERRIDES);
    sections
        .filter(|item| matches!(item.node.map(|node| &node.value), Some(Value::Map(_))))
        .filter_map(|item| one(checker, item))
        .collect()
}

/// Whom an override is for.
fn whom(checker: &mut Checker<'_>, item: &Field<'_>, name: &str) -> Option<NameFilter> {
    let field = item.field(name);
    if !field.is_given() {
        let advice = format!("give it {name}, a list of regexes");
        checker.error(item, ValueError::new(format!("an override without {name}"), advice));
    }
    names(checker, &field)
}

/// An override changes something.
fn needs_one_of(checker: &mut Checker<'_>, item: &Field<'_>, settings: [&str; 2]) {
    if !settings.iter().any(|name| item.field(name).is_given()) {
        let advice = format!("give it {}, or remove it", settings.join(" or "));
        checker.error(item, ValueError::new("an override that changes nothing", advice));
    }
}

fn granularity(checker: &mut Checker<'_>, section: &Field<'_>) -> Option<Granularity> {
    checker.parse(&section.field("granularity"), values::granularity)
}

fn chosen_time_lag(checker: &mut Checker<'_>, section: &Field<'_>) -> Option<TimeLag> {
    checker.parse(&section.field("time_lag"), |text| {
        let known = TimeLag::ALL.into_iter().find(|method| method.name() == text);
        known.ok_or_else(|| {
            let what = format!("'{text}' is not a way to tell the time lag");
            ValueError::new(what, "write auto, history, broker or off")
        })
    })
}

fn chosen_isolation(checker: &mut Checker<'_>, section: &Field<'_>) -> Option<Isolation> {
    checker.parse(&section.field("isolation"), |text| {
        let known = Isolation::ALL.into_iter().find(|level| level.name() == text);
        known.ok_or_else(|| {
            ValueError::new(
                format!("'{text}' is not an isolation level"),
                "write read_uncommitted or read_committed, as the consumers' isolation.level is",
            )
        })
    })
}

fn parse_commit_source(text: &str) -> Result<CommitSource, ValueError> {
    let known = CommitSource::ALL.into_iter().find(|source| source.name() == text);
    known.ok_or_else(|| {
        let what = format!("'{text}' is not a source of commits");
        // The same word stands for the collector, where it is true or false.
        let advice = match text {
            "true" | "false" => {
                format!("write poll or stream; if the collector is meant, write collectors: {{commits: {text}}}")
            }
            _ => "write poll or stream".to_owned(),
        };
        ValueError::new(what, advice)
    })
}
