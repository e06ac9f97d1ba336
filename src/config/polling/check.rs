//! Checks how Kafka is polled: which mode holds, what belongs to it, and that the bounds fit together.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Budget, ClusterPolling, Polling, PollingMode, PollingOverride};
use crate::config::check::Checker;
use crate::config::cluster::names;
use crate::config::error::{Origin, ValueError};
use crate::config::tree::{Field, Value};
use crate::config::values::{self, show_duration};

/// Shortest and longest time between two requests for a value, and between passes.
pub const INTERVAL_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// Shortest and longest request to a broker.
pub const REQUEST_TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
/// Shortest and longest age of a value that is served.
pub const MAX_AGE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// Fewest and most requests that may be under way at once.
pub const MAX_IN_FLIGHT_RANGE: RangeInclusive<usize> = 1..=1000;
/// Shortest and longest silence of a task before it is reported.
pub const STUCK_AFTER_RANGE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);
/// Least and most requests a second to a broker.
pub const REQUESTS_RANGE: RangeInclusive<f64> = 0.1..=100_000.0;
/// Least and most CPU time, in percent of one core.
pub const CPU_PERCENT_RANGE: RangeInclusive<f64> = 0.1..=100.0;
/// The most overrides of a cluster; each is compared with every name once.
pub const MAX_POLLING_OVERRIDES: usize = 100;

/// The polling of all clusters, with what a cluster's own is checked against.
pub(crate) struct Chosen {
    pub(crate) polling: Polling,
    decision: Decision,
}

/// Which mode holds, and who says so.
#[derive(Clone)]
struct Decision {
    mode: PollingMode,
    /// The precedence of the layer that it was written in.
    layer: u8,
    /// To stand after "and" or a colon: `--interval means mode fixed`.
    reason: String,
    /// False where the mode cannot be read: that has been reported, and nothing else is held against it.
    is_known: bool,
}

/// Checks the section `polling`.
pub(crate) fn polling(checker: &mut Checker<'_>, section: &Field<'_>) -> Chosen {
    let reason = "polling.mode is adaptive by default".to_owned();
    let decision =
        decide(checker, section, &Decision { mode: PollingMode::Adaptive, layer: 0, reason, is_known: true });
    let age = section.field("max_age");
    let mut polling = Polling {
        mode: decision.mode,
        interval: fixed_interval(checker, section, &decision).unwrap_or(Duration::from_secs(15)),
        min_interval: bound(checker, &section.field("min_interval"), auto_or_interval, &decision),
        max_interval: bound(checker, &section.field("max_interval"), auto_or_interval, &decision),
        request_timeout: checker.seconds(&section.field("request_timeout"), 10, REQUEST_TIMEOUT_RANGE),
        max_age: checker.parse(&age, |text| auto_or(text, MAX_AGE_RANGE)).flatten(),
        max_in_flight: checker.number(&section.field("max_in_flight"), 20, MAX_IN_FLIGHT_RANGE),
        stuck_after: checker.seconds(&section.field("stuck_after"), 300, STUCK_AFTER_RANGE),
    };
    let nobody = Bounds::default();
    Bounds::new(section, polling.min_interval, polling.max_interval).check(checker, &nobody);
    let longest = polling.longest_interval();
    if polling.max_age.is_some_and(|age| age < longest) {
        checker.error(&age, too_young(&polling, longest));
        // Reported once, not for each cluster again.
        polling.max_age = None;
    }
    Chosen { polling, decision }
}

/// Values would be gone before they are asked for again.
fn too_young(polling: &Polling, longest: Duration) -> ValueError {
    let longest = show_duration(longest);
    if polling.mode == PollingMode::Fixed {
        let what = format!("shorter than the interval of {longest}");
        return ValueError::new(what, "every value would expire before the next pass; write auto, or more");
    }
    let auto = if polling.max_interval.is_none() { " (auto)" } else { "" };
    let what = format!("shorter than the max_interval of {longest}{auto}");
    ValueError::new(what, "quiet values would vanish between two polls; write auto, or more, or lower max_interval")
}

/// Checks what a cluster says apart from `polling`.
pub(crate) fn of_cluster(checker: &mut Checker<'_>, section: &Field<'_>, all: &Chosen) -> ClusterPolling {
    let (mode, interval) = (section.field("mode"), section.field("interval"));
    let decision = decide(checker, section, &all.decision);
    let max_interval = section.field("max_interval");
    let mut own = ClusterPolling {
        mode: (mode.is_given() || interval.is_given()).then_some(decision.mode),
        interval: fixed_interval(checker, section, &decision),
        min_interval: bound(checker, &section.field("min_interval"), own_interval, &decision),
        max_interval: bound(checker, &max_interval, own_interval, &decision),
        overrides: Vec::new(),
    };
    let merged = all.polling.with(&own);
    let inherited = Bounds {
        min: all.polling.min_interval.map(|value| Bound::inherited(value, "polling.min_interval")),
        max: all.polling.max_interval.map(|value| Bound::inherited(value, "polling.max_interval")),
    };
    let bounds = Bounds::new(section, own.min_interval, own.max_interval);
    bounds.check(checker, &inherited);
    let said = [
        (max_interval, own.max_interval.is_some()),
        (interval, own.interval.is_some()),
        (mode, own.mode.is_some()),
        (section.field("min_interval"), own.min_interval.is_some()),
    ];
    if let Some((at, _)) = said.iter().find(|(_, is_sound)| *is_sound) {
        check_age(checker, at, merged.longest_interval(), merged.max_age);
    }
    let bounds = bounds.over(inherited);
    own.overrides = overrides(checker, &section.field("overrides"), &decision, &bounds, &merged);
    own
}

fn overrides(
    checker: &mut Checker<'_>,
    list: &Field<'_>,
    decision: &Decision,
    bounds: &Bounds<'_>,
    polling: &Polling,
) -> Vec<PollingOverride> {
    // The shape of anything but a list has been reported.
    let Some(Value::List(_)) = list.node.map(|node| &node.value) else { return Vec::new() };
    let items = list.items();
    checker.limit(list, items.len(), MAX_POLLING_OVERRIDES, "overrides");
    if !items.is_empty() && !is_of_mode(checker, list, PollingMode::Adaptive, decision) {
        return Vec::new();
    }
    let sections = items.iter().take(MAX_POLLING_OVERRIDES);
    sections
        .filter(|item| matches!(item.node.map(|node| &node.value), Some(Value::Map(_))))
        .map(|item| one_override(checker, item, bounds, polling))
        .collect()
}

fn one_override(
    checker: &mut Checker<'_>,
    section: &Field<'_>,
    outer: &Bounds<'_>,
    polling: &Polling,
) -> PollingOverride {
    let (min, max) = (section.field("min_interval"), section.field("max_interval"));
    let found = PollingOverride {
        topics: names(checker, &section.field("topics")),
        groups: names(checker, &section.field("groups")),
        min_interval: checker.parse(&min, plain_interval),
        max_interval: checker.parse(&max, plain_interval),
    };
    if !section.field("topics").is_given() && !section.field("groups").is_given() {
        let advice = "give it topics or groups, each a list of regexes";
        checker.error(section, ValueError::new("an override for nothing", advice));
    }
    if !min.is_given() && !max.is_given() {
        let advice = "give it min_interval or max_interval, or remove it";
        checker.error(section, ValueError::new("an override that changes nothing", advice));
    }
    let bounds = Bounds::new(section, found.min_interval, found.max_interval);
    bounds.check(checker, outer);
    let own = ClusterPolling {
        min_interval: found.min_interval,
        max_interval: found.max_interval,
        ..ClusterPolling::default()
    };
    let said = [(&max, found.max_interval.is_some()), (&min, found.min_interval.is_some())];
    if let Some((at, _)) = said.into_iter().find(|(_, is_sound)| *is_sound) {
        check_age(checker, at, polling.with(&own).longest_interval(), polling.max_age);
    }
    found
}

/// A value that is polled more seldom than it may be old would vanish between two polls.
fn check_age(checker: &mut Checker<'_>, field: &Field<'_>, longest: Duration, age: Option<Duration>) {
    if let Some(age) = age
        && age < longest
    {
        let what = format!(
            "values would be polled every {}, and polling.max_age lets none be older than {}",
            show_duration(longest),
            show_duration(age)
        );
        checker.error(
            field,
            ValueError::new(what, "they would vanish between two polls; poll more often, or raise max_age"),
        );
    }
}

/// The mode that the settings of a section mean, or that of the section around it.
///
/// An interval without a mode means mode fixed, so that files from before there were modes go on working; so does
/// one from a higher layer than the mode, for flags are to win over files.
fn decide(checker: &mut Checker<'_>, section: &Field<'_>, around: &Decision) -> Decision {
    let (mode, interval) = (section.field("mode"), section.field("interval"));
    let chosen = checker.parse(&mode, values::polling_mode);
    let (mode_layer, interval_layer) = (layer(&mode), layer(&interval));
    if interval.is_given() && (!mode.is_given() || interval_layer > mode_layer) {
        let reason = format!("{} means mode fixed", name(&interval));
        if chosen == Some(PollingMode::Adaptive) {
            checker.warn(&mode, &format!("without effect: {reason}"));
        }
        return Decision { mode: PollingMode::Fixed, layer: interval_layer, reason, is_known: true };
    }
    match chosen {
        Some(chosen) => {
            let reason = format!("{} is {}", name(&mode), chosen.name());
            Decision { mode: chosen, layer: mode_layer, reason, is_known: true }
        }
        None => Decision { is_known: !mode.is_given(), ..around.clone() },
    }
}

/// Whether a setting that belongs to one mode holds. Where a higher layer chose the other mode it is let go.
fn is_of_mode(checker: &mut Checker<'_>, field: &Field<'_>, wanted: PollingMode, decision: &Decision) -> bool {
    if decision.mode == wanted || !decision.is_known {
        return true;
    }
    let of = format!("of mode {}", wanted.name());
    if layer(field) >= decision.layer {
        let advice = match wanted {
            PollingMode::Fixed => "remove it, or write mode: fixed; min_interval and max_interval bound mode adaptive",
            PollingMode::Adaptive => "remove it, or write mode: adaptive and no interval",
        };
        checker.error(field, ValueError::new(format!("is {of}, and {}", decision.reason), advice));
    } else if field.place().origin != Origin::Default {
        checker.warn(field, &format!("without effect: it is {of}, and {}", decision.reason));
    }
    false
}

fn fixed_interval(checker: &mut Checker<'_>, section: &Field<'_>, decision: &Decision) -> Option<Duration> {
    let field = section.field("interval");
    let found = checker.parse(&field, plain_interval);
    let holds = !field.is_given() || is_of_mode(checker, &field, PollingMode::Fixed, decision);
    found.filter(|_| holds)
}

/// A bound of the adaptive mode; `None` too where it is auto.
fn bound(
    checker: &mut Checker<'_>,
    field: &Field<'_>,
    parse: fn(&str) -> Result<Option<Duration>, ValueError>,
    decision: &Decision,
) -> Option<Duration> {
    let found = checker.parse(field, parse).flatten();
    let says_something = field.is_given() && field.text() != Some("auto");
    let holds = !says_something || is_of_mode(checker, field, PollingMode::Adaptive, decision);
    found.filter(|_| holds)
}

fn plain_interval(text: &str) -> Result<Duration, ValueError> {
    values::duration(text, INTERVAL_RANGE)
}

fn own_interval(text: &str) -> Result<Option<Duration>, ValueError> {
    plain_interval(text).map(Some)
}

fn auto_or_interval(text: &str) -> Result<Option<Duration>, ValueError> {
    auto_or(text, INTERVAL_RANGE)
}

fn auto_or(text: &str, range: RangeInclusive<Duration>) -> Result<Option<Duration>, ValueError> {
    if text == "auto" { Ok(None) } else { values::duration(text, range).map(Some) }
}

fn layer(field: &Field<'_>) -> u8 {
    field.place().origin.layer()
}

/// What to call a setting in a message about another one.
fn name(field: &Field<'_>) -> String {
    let place = field.place();
    match place.origin {
        Origin::Env(name) | Origin::Flag(name) => name,
        Origin::File { line, .. } => format!("{} (line {line})", place.path),
        Origin::Default | Origin::Document { .. } => place.path,
    }
}

/// The shortest and the longest interval, as far as they are given.
#[derive(Default)]
struct Bounds<'f> {
    min: Option<Bound<'f>>,
    max: Option<Bound<'f>>,
}

struct Bound<'f> {
    value: Duration,
    name: String,
    /// Where it is written; `None` when it comes from further out, where it has been checked.
    field: Option<Field<'f>>,
}

impl Bound<'_> {
    fn inherited(value: Duration, name: &str) -> Self {
        Self { value, name: name.to_owned(), field: None }
    }
}

impl<'f> Bounds<'f> {
    fn new(section: &Field<'f>, min: Option<Duration>, max: Option<Duration>) -> Self {
        let bound = |field: Field<'f>, value: Option<Duration>| {
            value.map(|value| Bound { value, name: name(&field), field: Some(field) })
        };
        Self { min: bound(section.field("min_interval"), min), max: bound(section.field("max_interval"), max) }
    }

    /// These where they are given, and those of the section around elsewhere.
    fn over(self, around: Self) -> Self {
        Self { min: self.min.or(around.min), max: self.max.or(around.max) }
    }

    /// The shortest interval may not be longer than the longest, its own or that of the section around.
    fn check(&self, checker: &mut Checker<'_>, around: &Bounds<'_>) {
        let (Some(min), Some(max)) =
            (self.min.as_ref().or(around.min.as_ref()), self.max.as_ref().or(around.max.as_ref()))
        else {
            return;
        };
        if min.value <= max.value {
            return;
        }
        let (least, most) = (show_duration(min.value), show_duration(max.value));
        let advice = "the shortest interval cannot be longer than the longest; change one of them";
        if let Some(field) = self.min.as_ref().and_then(|min| min.field.as_ref()) {
            checker.error(field, ValueError::new(format!("{least} is longer than the {most} of {}", max.name), advice));
        } else if let Some(field) = self.max.as_ref().and_then(|max| max.field.as_ref()) {
            checker
                .error(field, ValueError::new(format!("{most} is shorter than the {least} of {}", min.name), advice));
        }
    }
}

/// Checks the section `budget`.
pub(crate) fn budget(checker: &mut Checker<'_>, section: &Field<'_>) -> Budget {
    let requests = |text: &str| values::decimal(text, REQUESTS_RANGE);
    let cpu = |text: &str| values::percent(text, CPU_PERCENT_RANGE);
    Budget {
        requests_per_second_per_broker: checker
            .parse(&section.field("requests_per_second_per_broker"), requests)
            .unwrap_or(50.0),
        cpu: checker.parse(&section.field("cpu"), cpu).unwrap_or(0.01),
    }
}
