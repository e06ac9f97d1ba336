//! Time lag, isolation, where commits come from, the state file, and the rules of the status.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// A file with one sound cluster and this line as its first.
#[track_caller]
fn line(line: &str, expected: &str) {
    assert_eq!(errors(&format!("{line}\nclusters: [{{bootstrap_servers: [b1:9092]}}]\n")), [expected], "{line}");
}

fn with_cluster(line: &str) -> String {
    format!("clusters:\n- bootstrap_servers: [b1:9092]\n  {line}\n")
}

/// One cluster with this as its third line.
#[track_caller]
fn cluster(line: &str, expected: &str) {
    assert_eq!(errors(&with_cluster(line)), [expected], "{line}");
}

#[test]
fn what_the_status_goes_by_has_bounds() {
    // The section's first key starts in column 10.
    let of = |field: &str, value: &str, what: &str| {
        let column = 12 + field.len();
        let expected = format!("k.yml:1:{column}: status.{field}: {what}");
        line(&format!("status: {{{field}: {value}}}"), &expected);
    };
    for value in ["1", "101", "-3"] {
        of("intervals", value, &format!("{value} is out of range; write a number from 2 to 100"));
    }
    of("intervals", "ten", "'ten' is not a whole number; write a number from 2 to 100");
    of("allowed_lag", "-1", "-1 is out of range; write a number from 0 to 1000000000000");
    of("marker_slack", "1001", "1001 is out of range; write a number from 0 to 1000");
    of("min_distance", "60", "'60' has no unit; write 60s if seconds are meant");
    of("min_distance", "2h", "2h is out of range; write a duration from 0s to 1h");
    of("abandoned_after", "59s", "59s is out of range; write a duration from 1m to 365d");
    line("status: {interval: 5}", "k.yml:1:10: status.interval: unknown key; did you mean intervals?");
    let text = "status: {intervals: 100, allowed_lag: 5000, marker_slack: 0, min_distance: 0s, abandoned_after: 365d}\nclusters: [{bootstrap_servers: [b:1]}]";
    let expected = Status {
        intervals: 100,
        allowed_lag: 5000,
        marker_slack: 0,
        min_distance: Duration::ZERO,
        abandoned_after: Duration::from_secs(365 * 86_400),
    };
    assert_eq!(good(text).status, expected);
}

#[test]
fn the_first_override_that_matches_holds() {
    let text = with_cluster(
        "topics: {time_lag: broker, overrides: [{topics: ['^a', b], time_lag: off}, {topics: ^ab, time_lag: history}, {topics: z, time_lag: auto}]}
  groups: {isolation: read_committed, overrides: [{groups: ['^x$'], isolation: read_uncommitted}, {groups: x, isolation: read_committed}]}
  commits: stream",
    );
    let config = good(&text);
    let [cluster] = config.clusters.as_slice() else { panic!("one cluster") };
    for (topic, expected) in
        [("abc", TimeLag::Off), ("cab", TimeLag::Off), ("zz", TimeLag::Auto), ("other", TimeLag::Broker)]
    {
        assert_eq!(cluster.topics.time_lag_of(topic), expected, "{topic}");
    }
    assert_eq!(cluster.groups.isolation_of("x"), Isolation::ReadUncommitted);
    assert_eq!(cluster.groups.isolation_of("xx"), Isolation::ReadCommitted);
    assert_eq!(cluster.groups.isolation_of("y"), Isolation::ReadCommitted);
    assert_eq!(cluster.commits, CommitSource::Stream);
    assert_eq!(good(&effective_yaml(&config).unwrap()), config);
}

#[test]
fn an_override_says_only_what_it_has() {
    let text = with_cluster(
        "topics: {granularity: topic, overrides: [{topics: ^a, time_lag: off}, {topics: ['^ab', c], granularity: partition}, {topics: a, time_lag: broker, granularity: topic}]}
  groups: {isolation: read_committed, drop_zero_lag_partitions: true, overrides: [{groups: x, granularity: topic}, {groups: xx, isolation: read_uncommitted}]}
  max_series: 100000",
    );
    let config = good(&text);
    let [cluster] = config.clusters.as_slice() else { panic!("one cluster") };
    let topics =
        ["ab", "ax", "ca", "d"].map(|topic| (cluster.topics.time_lag_of(topic), cluster.topics.granularity_of(topic)));
    let (partition, topic) = (Granularity::Partition, Granularity::Topic);
    let expected =
        [(TimeLag::Off, partition), (TimeLag::Off, topic), (TimeLag::Broker, partition), (TimeLag::Auto, topic)];
    assert_eq!(topics, expected);
    let groups =
        ["xx", "x", "y"].map(|group| (cluster.groups.isolation_of(group), cluster.groups.granularity_of(group)));
    let committed = Isolation::ReadCommitted;
    assert_eq!(groups, [(Isolation::ReadUncommitted, topic), (committed, topic), (committed, partition)]);
    assert!(cluster.groups.drop_zero_lag_partitions);
    assert_eq!(cluster.max_series.map(std::num::NonZeroU64::get), Some(100_000));
    assert_eq!(good(&effective_yaml(&config).unwrap()), config);
    let least = good(&with_cluster("max_series: 0"));
    assert_eq!(least.clusters[0].max_series, None);
    assert_eq!(good(&effective_yaml(&least).unwrap()), least);
}

#[test]
fn how_many_series_has_bounds_and_sense() {
    cluster(
        "max_series: -1",
        "k.yml:3:15: clusters[0].max_series: -1 is out of range; write a number from 0 to 1000000000",
    );
    cluster(
        "groups: {overrides: [{groups: a, granularity: group}]}",
        "k.yml:3:49: clusters[0].groups.overrides[0].granularity: 'group' is not a granularity; write partition or topic",
    );
    cluster(
        "groups: {drop_zero_lag_partitions: 0}",
        "k.yml:3:38: clusters[0].groups.drop_zero_lag_partitions: '0' is not true or false; write true or false",
    );
    line("max_series: 5", "k.yml:1:1: max_series: unknown key; it belongs under clusters[]");
    let warned =
        |line: &str, expected: &[&str]| assert_eq!(good_in(Fake::default(), &with_cluster(line)).1, expected, "{line}");
    warned(
        "groups: {drop_zero_lag_partitions: true, granularity: topic}",
        &[
            "k.yml:3:38: clusters[0].groups.drop_zero_lag_partitions: no effect: with granularity topic groups have no series by partition",
        ],
    );
    warned(
        "groups: {drop_zero_lag_partitions: true, granularity: topic, overrides: [{groups: a, granularity: partition}]}",
        &[],
    );
    warned(
        "topics: {overrides: [{topics: a, granularity: partition}]}",
        &[
            "k.yml:3:23: clusters[0].topics.overrides: overrides say the granularity that holds anyway, for none says another",
        ],
    );
    warned("topics: {granularity: topic, overrides: [{topics: a, granularity: partition}]}", &[]);
}

#[test]
fn choices_name_what_can_be_chosen() {
    cluster(
        "topics: {time_lag: histroy}",
        "k.yml:3:22: clusters[0].topics.time_lag: 'histroy' is not a way to tell the time lag; write auto, history, broker or off",
    );
    cluster(
        "groups: {isolation: committed}",
        "k.yml:3:23: clusters[0].groups.isolation: 'committed' is not an isolation level; write read_uncommitted or read_committed, as the consumers' isolation.level is",
    );
    cluster(
        "commits: topic",
        "k.yml:3:12: clusters[0].commits: 'topic' is not a source of commits; write poll or stream",
    );
    cluster(
        "commits: true",
        "k.yml:3:12: clusters[0].commits: 'true' is not a source of commits; write poll or stream; if the collector is meant, write collectors: {commits: true}",
    );
    cluster(
        "commits: {source: stream}",
        "k.yml:3:12: clusters[0].commits: wrong type: a section, expected text; write one text",
    );
    for collectors in ["{commits: false}", "{groups: false, commits: false}"] {
        cluster(
            &format!("commits: stream\n  collectors: {collectors}"),
            "k.yml:3:12: clusters[0].commits: there are no commits to stream: their collector is false; set collectors.commits to true, or leave this out",
        );
    }
    cluster(
        "collectors: {configs: maybe}",
        "k.yml:3:25: clusters[0].collectors.configs: 'maybe' is not true or false; write true or false",
    );
    assert!(!good(&with_cluster("collectors: {configs: false}")).clusters[0].collectors.configs);
    line("time_lag: auto", "k.yml:1:1: time_lag: unknown key; it belongs under clusters[].topics");
}

#[test]
fn errors_in_overrides_have_their_place() {
    // An override by itself starts in column 24.
    let one = |section: &str, item: &str, at: &str, expected: &str| {
        let column = 24 + item.find(at).unwrap();
        let expected = format!("k.yml:3:{column}: clusters[0].{section}.overrides[0]{expected}");
        cluster(&format!("{section}: {{overrides: [{item}]}}"), &expected);
    };
    let topics = |item: &str, at: &str, expected: &str| one("topics", item, at, expected);
    topics("{time_lag: off}", "{", ": an override without topics; give it topics, a list of regexes");
    topics("{topics: [a]}", "{", ": an override that changes nothing; give it time_lag or granularity, or remove it");
    topics(
        "{topics: [], time_lag: off}",
        "[",
        ".topics: an empty list matches nothing; write regexes, or leave the key out",
    );
    topics(
        "{topics: ['a('], time_lag: off}",
        "'a(",
        ".topics[0]: 'a(' is not a regex: unclosed group; mend it; the syntax is that of Rust's regex crate, close to Go's RE2",
    );
    topics(
        "{topics: a, time_lag: no}",
        "no",
        ".time_lag: 'no' is not a way to tell the time lag; write auto, history, broker or off",
    );
    topics("{topics: a, time_lag: off, groups: b}", "groups", ".groups: unknown key; it belongs under clusters[]");
    topics("~", "~", ": an empty override; give it topics, and time_lag or granularity, or remove it");
    one(
        "groups",
        "{groups: [a]}",
        "{",
        ": an override that changes nothing; give it isolation or granularity, or remove it",
    );
    one(
        "groups",
        "{isolation: read_committed}",
        "{",
        ": an override without groups; give it groups, a list of regexes",
    );
    one("groups", "'^a'", "'", ": must be a section with keys; its keys are: groups, isolation, granularity");
    cluster(
        "groups: {overrides: {groups: a}}",
        "k.yml:3:23: clusters[0].groups.overrides: must be a list; start each override with '- ', such as '- {groups: ['^billing'], isolation: read_committed}'",
    );
    let many = vec!["{topics: a, time_lag: off}"; MAX_OVERRIDES + 1].join(", ");
    cluster(
        &format!("topics: {{overrides: [{many}]}}"),
        "k.yml:3:23: clusters[0].topics.overrides: 101 overrides, and at most 100 are allowed; use fewer",
    );
}

#[test]
fn the_state_file_has_a_directory() {
    let least = "clusters: [{bootstrap_servers: [b1:9092]}]";
    let path = |fake: Fake, value: &str| {
        let found = resolve_in(fake, &format!("state_file: {value}\n{least}"));
        found.map(|(config, _)| config.state_file)
    };
    let fake = Fake::default().file("/var/lib/scope/other", "").file("sub/k", "");
    assert_eq!(path(fake.clone(), "/var/lib/scope/state"), Ok(Some(PathBuf::from("/var/lib/scope/state"))));
    assert_eq!(path(fake.clone(), "state"), Ok(Some(PathBuf::from("state"))), "beside the config file");
    assert_eq!(path(fake.clone(), "sub/state"), Ok(Some(PathBuf::from("sub/state"))));
    assert_eq!(path(fake.clone(), ""), Ok(None));
    let refused = |value: &str, what: &str| {
        let expected = format!("k.yml:1:13: state_file: {what}");
        assert_eq!(path(fake.clone(), value), Err(vec![expected]));
    };
    refused("''", "the path is empty; write the path of a file, or leave the key out");
    refused(
        "/var/lib/scoop/state",
        "there is no directory /var/lib/scoop; make it, writable for the exporter, or choose another path",
    );
    let in_it = "write the path of a file in it, such as kafkascope.state";
    refused("/var/lib/scope", &format!("/var/lib/scope is a directory, not a file; {in_it}"));
    refused("/var/lib/scope/", &format!("/var/lib/scope/ is a directory, not a file; {in_it}"));
    refused("/", &format!("/ is a directory, not a file; {in_it}"));
    refused("[a]", "wrong type: a list, expected path; write the path of a file");
}
