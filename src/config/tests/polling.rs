//! Polling: the mode, what belongs to it, the bounds, what clusters say apart, and the budget.

use std::time::Duration;

use super::*;
use crate::schedule::{MIN_AUTO_MAX_AGE, max_age};

/// A file with one sound cluster and this line as its first.
fn with_line(line: &str) -> String {
    format!("{line}\nclusters: [{{bootstrap_servers: [b1:9092]}}]\n")
}

#[track_caller]
fn line(line: &str, expected: &[&str]) {
    assert_eq!(errors(&with_line(line)), expected, "{line}");
}

/// A first line, and one cluster whose `polling` is this, on line 3.
fn with_cluster(first: &str, polling: &str) -> String {
    format!("{first}\nclusters:\n- polling: {polling}\n  bootstrap_servers: [b1:9092]\n")
}

#[track_caller]
fn cluster(first: &str, polling: &str, expected: &[&str]) {
    assert_eq!(errors(&with_cluster(first, polling)), expected, "{first} {polling}");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_interval_without_a_mode_means_fixed() {
    let mode = |polling: &str| good(&with_line(&format!("polling: {polling}"))).polling.mode;
    assert_eq!(mode("{interval: 15s}"), PollingMode::Fixed);
    assert_eq!(mode("{interval: 15s, mode: fixed}"), PollingMode::Fixed);
    assert_eq!(mode("{mode: fixed}"), PollingMode::Fixed);
    for adaptive in ["", "{}", "{interval: }", "{mode: }", "{mode: adaptive}", "{min_interval: 2s}", "{max_age: 5m}"] {
        assert_eq!(mode(adaptive), PollingMode::Adaptive, "{adaptive}");
    }
    assert_eq!(mode("{interval: 15s, min_interval: auto}"), PollingMode::Fixed, "auto is what is there anyway");
}

#[test]
fn settings_of_the_other_mode_are_errors() {
    line(
        "polling: {mode: adaptive, interval: 10s}",
        &[
            "k.yml:1:37: polling.interval: is of mode fixed, and polling.mode (line 1) is adaptive; remove it, or write mode: fixed; min_interval and max_interval bound mode adaptive",
        ],
    );
    line(
        "polling: {interval: 10s, min_interval: 5s, max_interval: 20s}",
        &[
            "k.yml:1:40: polling.min_interval: is of mode adaptive, and polling.interval (line 1) means mode fixed; remove it, or write mode: adaptive and no interval",
            "k.yml:1:58: polling.max_interval: is of mode adaptive, and polling.interval (line 1) means mode fixed; remove it, or write mode: adaptive and no interval",
        ],
    );
    line(
        "polling: {mode: fixed, max_interval: 20s}",
        &[
            "k.yml:1:38: polling.max_interval: is of mode adaptive, and polling.mode (line 1) is fixed; remove it, or write mode: adaptive and no interval",
        ],
    );
    // One mistake, one message: a mode that is none is held against nothing.
    line(
        "polling: {mode: automatic, interval: 10s, min_interval: 5s}",
        &["k.yml:1:17: polling.mode: 'automatic' is not a polling mode; write adaptive or fixed"],
    );
    line(
        "polling: {mode: [fixed], interval: 10s}",
        &["k.yml:1:17: polling.mode: wrong type: a list, expected text; write one text"],
    );
}

#[test]
fn bounds_fit_together() {
    line(
        "polling: {min_interval: 2m, max_interval: 1m}",
        &[
            "k.yml:1:25: polling.min_interval: 2m is longer than the 1m of polling.max_interval (line 1); the shortest interval cannot be longer than the longest; change one of them",
        ],
    );
    for value in ["999ms", "1h1s", "0s"] {
        line(
            &format!("polling: {{min_interval: {value}}}"),
            &[&format!("k.yml:1:25: polling.min_interval: {value} is out of range; write a duration from 1s to 1h")],
        );
    }
    line(
        "polling: {max_interval: never}",
        &[
            "k.yml:1:25: polling.max_interval: 'never' is not a duration; write whole numbers with ms, s, m, h or d, such as 15s or 1m30s",
        ],
    );
    line(
        "polling: {max_interval: 60}",
        &["k.yml:1:25: polling.max_interval: '60' has no unit; write 60s if seconds are meant"],
    );
    let polling = good(&with_line("polling: {min_interval: 1s, max_interval: 1s}")).polling;
    assert_eq!((polling.min_interval, polling.max_interval), (Some(seconds(1)), Some(seconds(1))));
    // auto gives way to the bound that is given.
    assert_eq!(good(&with_line("polling: {min_interval: 10m}")).polling.longest_interval(), seconds(600));
    assert_eq!(good(&with_line("polling: {max_interval: 2s}")).polling.longest_interval(), seconds(2));
}

#[test]
fn values_do_not_vanish_between_two_polls() {
    line(
        "polling: {max_age: 3m, max_interval: 5m}",
        &[
            "k.yml:1:20: polling.max_age: shorter than the max_interval of 5m; quiet values would vanish between two polls; write auto, or more, or lower max_interval",
        ],
    );
    line(
        "polling: {max_age: 59s}",
        &[
            "k.yml:1:20: polling.max_age: shorter than the max_interval of 1m (auto); quiet values would vanish between two polls; write auto, or more, or lower max_interval",
        ],
    );
    line(
        "polling: {max_age: 14s, mode: fixed}",
        &[
            "k.yml:1:20: polling.max_age: shorter than the interval of 15s; every value would expire before the next pass; write auto, or more",
        ],
    );
    let polling = good(&with_line("polling: {max_age: 20s, max_interval: 20s}")).polling;
    assert_eq!(max_age(polling.max_age, seconds(5)), seconds(20));
    let auto = good(&with_line("polling: {max_age: auto}")).polling;
    let auto_for = |interval| max_age(auto.max_age, interval);
    assert_eq!((auto_for(seconds(5)), auto_for(seconds(60))), (MIN_AUTO_MAX_AGE, seconds(180)));
    assert_eq!(auto_for(Duration::MAX), Duration::MAX);
    let vanish = "polling.max_age lets none be older than 2m; they would vanish between two polls; poll more often, or raise max_age";
    cluster(
        "polling: {max_age: 2m}",
        "{max_interval: 3m}",
        &[&format!("k.yml:3:27: clusters[0].polling.max_interval: values would be polled every 3m, and {vanish}")],
    );
    cluster(
        "polling: {max_age: 2m}",
        "{interval: 3m}",
        &[&format!("k.yml:3:23: clusters[0].polling.interval: values would be polled every 3m, and {vanish}")],
    );
    cluster(
        "polling: {max_age: 2m}",
        "{overrides: [{topics: [a], max_interval: 3m}]}",
        &[&format!(
            "k.yml:3:53: clusters[0].polling.overrides[0].max_interval: values would be polled every 3m, and {vanish}"
        )],
    );
    cluster(
        "polling: {max_age: 30s, interval: 15s}",
        "{mode: adaptive}",
        &[
            "k.yml:3:19: clusters[0].polling.mode: values would be polled every 1m, and polling.max_age lets none be older than 30s; they would vanish between two polls; poll more often, or raise max_age",
        ],
    );
}

#[test]
fn tasks_are_stuck_after_a_time_that_makes_sense() {
    for value in ["9s", "61m"] {
        line(
            &format!("polling: {{stuck_after: {value}}}"),
            &[&format!("k.yml:1:24: polling.stuck_after: {value} is out of range; write a duration from 10s to 1h")],
        );
    }
    assert_eq!(good(&with_line("polling: {stuck_after: 10s}")).polling.stuck_after, seconds(10));
}

#[test]
fn budgets_are_numbers_within_reason() {
    let requests = |value: &str, what: &str| {
        let said = format!("{what}; write a number from 0.1 to 100000");
        line(
            &format!("budget: {{requests_per_second_per_broker: {value}}}"),
            &[&format!("k.yml:1:42: budget.requests_per_second_per_broker: {said}")],
        );
    };
    requests("0", "0 is out of range");
    requests("-5", "-5 is out of range");
    requests("100000.5", "100000.5 is out of range");
    for text in ["inf", "NaN", "1e3", "5/s", ".", "1.2.3", "--1"] {
        requests(text, &format!("'{text}' is not a number"));
    }
    let cpu = |value: &str, said: &str| {
        line(&format!("budget: {{cpu: {value}}}"), &[&format!("k.yml:1:15: budget.cpu: {said}")]);
    };
    cpu("0.01", "'0.01' has no %; write 0.01% if percent are meant");
    cpu("0.05%", "0.05% is out of range; write a percentage from 0.1% to 100%");
    cpu("101%", "101% is out of range; write a percentage from 0.1% to 100%");
    cpu("-1%", "-1% is out of range; write a percentage from 0.1% to 100%");
    for text in ["half", "nan%", "'%'", "1%%", "1e1%"] {
        cpu(text, &format!("'{}' is not a percentage; write a percentage from 0.1% to 100%", text.trim_matches('\'')));
    }
    cpu("[1%]", "wrong type: a list, expected percentage; write a percentage such as 1%");
    line(
        "budget: 50",
        &["k.yml:1:9: budget: must be a section with keys; its keys are: requests_per_second_per_broker, cpu"],
    );
    let budget = good(&with_line("budget: {requests_per_second_per_broker: 0.5, cpu: 2.5 %}")).budget;
    assert_eq!(budget, Budget { requests_per_second_per_broker: 0.5, cpu: 0.025 });
    assert_eq!(good(&with_line("budget: {cpu: 100%}")).budget.cpu, 1.0);
}

#[test]
fn a_cluster_says_what_differs() {
    let of = |first: &str, polling: &str| {
        let config = good(&with_cluster(first, polling));
        (config.polling_of(&config.clusters[0]), config.clusters[0].polling.clone())
    };
    let (merged, own) = of("polling: {min_interval: 3s, max_interval: 30s}", "{max_interval: 20s}");
    assert_eq!((merged.min_interval, merged.max_interval), (Some(seconds(3)), Some(seconds(20))));
    assert_eq!((own.mode, own.min_interval), (None, None));
    let (merged, own) = of("polling: {min_interval: 3s}", "{interval: 20s}");
    assert_eq!((merged.mode, merged.interval, merged.min_interval), (PollingMode::Fixed, seconds(20), None));
    assert_eq!(own.mode, Some(PollingMode::Fixed), "an interval means so");
    let (merged, _) = of("polling: {interval: 20s}", "{mode: adaptive, min_interval: 2s}");
    assert_eq!(
        (merged.mode, merged.min_interval, merged.max_interval),
        (PollingMode::Adaptive, Some(seconds(2)), None)
    );
    let (merged, _) = of("polling: {interval: 20s, max_in_flight: 3}", "{interval: 7s}");
    assert_eq!((merged.interval, merged.max_in_flight), (seconds(7), 3));

    cluster(
        "polling: {interval: 20s}",
        "{min_interval: 2s, overrides: [{topics: [a], max_interval: 3s}]}",
        &[
            "k.yml:3:27: clusters[0].polling.min_interval: is of mode adaptive, and polling.interval (line 1) means mode fixed; remove it, or write mode: adaptive and no interval",
            "k.yml:3:42: clusters[0].polling.overrides: is of mode adaptive, and polling.interval (line 1) means mode fixed; remove it, or write mode: adaptive and no interval",
        ],
    );
    cluster(
        "polling: {max_interval: 20s}",
        "{min_interval: 30s}",
        &[
            "k.yml:3:27: clusters[0].polling.min_interval: 30s is longer than the 20s of polling.max_interval; the shortest interval cannot be longer than the longest; change one of them",
        ],
    );
    cluster(
        "polling: {min_interval: 20s}",
        "{max_interval: 10s}",
        &[
            "k.yml:3:27: clusters[0].polling.max_interval: 10s is shorter than the 20s of polling.min_interval; the shortest interval cannot be longer than the longest; change one of them",
        ],
    );
    cluster(
        "",
        "{min_interval: auto}",
        &[
            "k.yml:3:27: clusters[0].polling.min_interval: 'auto' is not a duration; write whole numbers with ms, s, m, h or d, such as 15s or 1m30s",
        ],
    );
    cluster("", "{max_age: 5m}", &["k.yml:3:13: clusters[0].polling.max_age: unknown key; it belongs under polling"]);
}

#[test]
fn errors_in_overrides_have_their_place() {
    // An override by itself starts in column 25.
    let one = |item: &str, at: &str, expected: &str| {
        let column = 25 + item.find(at).unwrap();
        let expected = format!("k.yml:3:{column}: clusters[0].polling.overrides[0]{expected}");
        cluster("", &format!("{{overrides: [{item}]}}"), &[&expected]);
    };
    let at = "clusters[0].polling.overrides[0]";
    one("{topic: [a], max_interval: 5s, groups: [b]}", "topic", ".topic: unknown key; did you mean topics?");
    one(
        "{topics: [a], interval: 5s, min_interval: 1s}",
        "interval",
        ".interval: unknown key; it belongs under clusters[].polling",
    );
    let nothing = ": an override for nothing; give it topics or groups, each a list of regexes";
    one("{max_interval: 5s}", "{", nothing);
    one("{topics: , max_interval: 5s}", "{", nothing);
    let no_change = ": an override that changes nothing; give it min_interval or max_interval, or remove it";
    one("{topics: [a]}", "{", no_change);
    let empty = ".topics: an empty list matches nothing; write regexes, or leave the key out";
    one("{topics: [], max_interval: 5s}", "[", empty);
    one(
        "{groups: ['a('], max_interval: 5s}",
        "'a(",
        ".groups[0]: 'a(' is not a regex: unclosed group; mend it; the syntax is that of Rust's regex crate, close to Go's RE2",
    );
    one("{topics: [[a]], max_interval: 5s}", "[a]", ".topics[0]: must be one text; remove empty and nested items");
    one("{topics: [a], max_interval: 2h}", "2h", ".max_interval: 2h is out of range; write a duration from 1s to 1h");
    one(
        "{topics: [a], min_interval: 9s, max_interval: 8s}",
        "9s",
        &format!(
            ".min_interval: 9s is longer than the 8s of {at}.max_interval (line 3); the shortest interval cannot be longer than the longest; change one of them"
        ),
    );
    one("~", "~", ": an empty override; give it topics or groups, and an interval, or remove it");
    one("'^a'", "'", ": must be a section with keys; its keys are: topics, groups, min_interval, max_interval");
    cluster(
        "",
        "{max_interval: 8s, overrides: [{topics: [a], min_interval: 9s}]}",
        &[&format!(
            "k.yml:3:71: {at}.min_interval: 9s is longer than the 8s of clusters[0].polling.max_interval (line 3); the shortest interval cannot be longer than the longest; change one of them"
        )],
    );
    cluster(
        "",
        "{overrides: {topics: [a], max_interval: 5s}}",
        &[
            "k.yml:3:24: clusters[0].polling.overrides: must be a list; start each override with '- ', such as '- {topics: ['^audit'], max_interval: 5m}'",
        ],
    );
    line(
        "polling: {overrides: []}",
        &["k.yml:1:11: polling.overrides: unknown key; it belongs under clusters[].polling"],
    );
}

#[test]
fn overrides_have_a_bound() {
    let of = |count: usize| {
        with_cluster("", &format!("{{overrides: [{}]}}", vec!["{topics: [a], max_interval: 5s}"; count].join(", ")))
    };
    assert_eq!(good(&of(MAX_POLLING_OVERRIDES)).clusters[0].polling.overrides.len(), MAX_POLLING_OVERRIDES);
    assert_eq!(
        errors(&of(MAX_POLLING_OVERRIDES + 1)),
        ["k.yml:3:24: clusters[0].polling.overrides: 101 overrides, and at most 100 are allowed; use fewer"]
    );
}
