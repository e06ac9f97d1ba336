//! Diagnoses in words, over groups in every condition; and what the table and the JSON say of them.

use super::testing::{Group, NOW, Told, Topic, row, snapshot};
use super::*;
use crate::derive::Diagnosis;
use crate::model::{GroupState, GroupStatus};

/// The sentence about the only group; empty when it is well.
fn said(group: Group) -> String {
    let snapshot = snapshot(&[group]);
    let standing = snapshot.standings(NOW).next().unwrap();
    Diagnosis::of(&snapshot, standing, NOW).map(|diagnosis| sentence(&diagnosis, NOW)).unwrap_or_default()
}

fn orders(rows: Vec<testing::Row>) -> Topic {
    Topic::new("orders", rows)
}

fn told(ago: u64, members: u32, state: GroupState) -> Told {
    Told { ago, members, state }
}

/// Stopped at 14:02 of the same day, 3.1 M messages and 41 min behind.
fn billing() -> Group {
    let eight_hours = 8 * 3600 + 11 * 60 + 20;
    let told = vec![told(90_000, 2, GroupState::Stable), told(eight_hours, 0, GroupState::Empty)];
    let rows = vec![row(1_600_000, 2_460, GroupStatus::Stop), row(1_500_000, 2_400, GroupStatus::Stop)];
    Group::told("billing", told, vec![Topic { headroom: Some(6 * 3600), ..orders(rows) }])
}

const OK: GroupStatus = GroupStatus::Ok;
const WARN: GroupStatus = GroupStatus::Warn;
const STOP: GroupStatus = GroupStatus::Stop;
const STALL: GroupStatus = GroupStatus::Stall;
const REWIND: GroupStatus = GroupStatus::Rewind;

#[test]
fn a_group_that_is_well_has_no_diagnosis() {
    let growing = |behind| Topic { velocity: Some(5.0), ..orders(vec![row(100, behind, OK)]) };
    let short = |left, behind, velocity| Topic { headroom: Some(left), velocity, ..orders(vec![row(100, behind, OK)]) };
    let empty = vec![told(500, 1, GroupState::Stable), told(100, 0, GroupState::Empty)];
    let rebalancing = vec![told(299, 1, GroupState::PreparingRebalance), told(0, 1, GroupState::PreparingRebalance)];
    let abandoned = testing::Row { start: 1500, is_abandoned: true, ..row(5000, 90_000, STOP) };
    let well = [
        ("no commits", Group::stable("g", Vec::new())),
        ("caught up", Group::stable("g", vec![orders(vec![row(0, 0, OK)])])),
        ("some lag", Group::stable("g", vec![orders(vec![row(100, 5, OK)])])),
        ("a burst", Group::stable("g", vec![growing(899)])),
        ("stopped with nothing left to read", Group::told("g", empty.clone(), vec![orders(vec![row(0, 0, OK)])])),
        ("works now and then", Group::told("g", empty.clone(), vec![orders(vec![row(10, 5, OK)])])),
        ("a short rebalance", Group::told("g", rebalancing, vec![orders(vec![row(10, 5, OK)])])),
        ("abandoned", Group::told("g", empty, vec![Topic { headroom: Some(0), ..orders(vec![abandoned]) }])),
        ("records are kept for minutes", Group::stable("g", vec![short(590, 10, None)])),
        ("done before deletion", Group::stable("g", vec![short(3000, 4000, Some(-1.0))])),
        ("all held", Group::stable("g", vec![Topic { held: Some(1), ..orders(vec![row(0, 0, OK)]) }])),
    ];
    for (name, group) in well {
        assert_eq!(said(group), "", "{name}");
    }
}

#[test]
fn a_group_without_members_says_since_when_and_until_when() {
    assert_eq!(
        said(billing()),
        "`billing` has no members since 14:02 UTC and is 3.1 M messages, 41 min behind on `orders`; at this rate the \
         first unread record is deleted in 6 h"
    );
    let first_seen_empty = |topic| Group::told("g", vec![told(50, 0, GroupState::Empty)], vec![topic]);
    assert_eq!(
        said(first_seen_empty(orders(vec![row(1, 61, STOP)]))),
        "`g` has no members and is 1 message, 61 s behind on `orders`"
    );
    let growing = Topic { velocity: Some(250.4), headroom: Some(300_000), ..orders(vec![row(20_000, 61, STOP)]) };
    assert_eq!(
        said(first_seen_empty(growing)),
        "`g` has no members and is 20 k messages, 61 s behind on `orders`; the lag grows by 250 messages/s"
    );
    let yesterday = vec![told(200_000, 1, GroupState::Stable), told(100_000, 0, GroupState::Empty)];
    assert_eq!(
        said(Group::told("g", yesterday, vec![orders(vec![row(2, 99_000, STOP)])])),
        "`g` has no members since 2023-11-13 18:26 UTC and is 2 messages, 27 h behind on `orders`"
    );
    let partly = orders(vec![row(30, 61, STOP), row(8, 5, OK)]);
    assert_eq!(
        said(first_seen_empty(partly)),
        "`g` has no members and is 38 messages, 61 s behind on `orders`",
        "no partition is to blame alone when nobody reads any"
    );
    let unevaluated = Group { has_outlook: false, ..first_seen_empty(orders(vec![row(7, 5, OK)])) };
    assert_eq!(said(unevaluated), "`g` has no members and is 7 messages behind on `orders`");
}

#[test]
fn verdicts_name_the_partitions_to_blame() {
    let one = |status| vec![row(0, 0, OK), row(5_000, 2_460, status), row(3, 1, OK)];
    let some = |status| vec![row(10, 60, status), row(5_000, 2_460, status), row(3, 1, OK)];
    let all = |status| vec![row(10, 60, status), row(5_000, 2_460, status)];
    let there = "5000 messages, 41 min behind there";
    let cases = [
        (one(STOP), format!("does not commit on partition 1 of `orders` any more and is {there}")),
        (
            some(STOP),
            "does not commit on 2 of 3 partitions of `orders` any more and is 5013 messages, 41 min behind on `orders`"
                .to_owned(),
        ),
        (one(STALL), format!("is stuck on partition 1 of `orders` and is {there}")),
        (one(REWIND), format!("has gone back on partition 1 of `orders` and is {there}")),
        (one(WARN), format!("does not keep up with partition 1 of `orders` and is {there}")),
        (all(REWIND), "has gone back on `orders` and is 5010 messages, 41 min behind there".to_owned()),
        (all(STALL), "is stuck on `orders` and is 5010 messages, 41 min behind there".to_owned()),
        (vec![row(1, 60, WARN)], "does not keep up with `orders` and is 1 message, 60 s behind there".to_owned()),
        // Stop is worse than the codes that are larger.
        (
            vec![row(9, 6, REWIND), row(5_000, 2_460, STOP)],
            format!("does not commit on partition 1 of `orders` any more and is {there}"),
        ),
    ];
    for (rows, expected) in cases {
        assert_eq!(said(Group::stable("g", vec![orders(rows)])), format!("`g` {expected}"));
    }
}

#[test]
fn groups_that_assign_for_themselves_are_judged_by_their_commits() {
    let told = vec![told(500, 0, GroupState::Empty)];
    let simple = |rows| Group { is_simple: true, ..Group::told("flink", told.clone(), vec![orders(rows)]) };
    assert_eq!(said(simple(vec![row(50, 10, OK)])), "");
    assert_eq!(
        said(simple(vec![row(50, 400, STOP)])),
        "`flink` does not commit on `orders` any more and is 50 messages, 6 min behind there"
    );
}

#[test]
fn lost_messages_come_first() {
    let lossy = |status, lost: i64| testing::Row { start: 1000 + lost, ..row(lost + 500, 7_300, status) };
    let cases = [
        (
            Group::stable("g", vec![orders(vec![lossy(OK, 2_000_000)])]),
            "has lost 2.0 M messages of `orders` that were deleted unread and is 500 messages, 2 h behind there",
        ),
        (
            Group::stable("g", vec![Topic { velocity: Some(-1.0), ..orders(vec![lossy(OK, 1)]) }]),
            "has lost 1 message of `orders` that was deleted unread and is 500 messages, 2 h behind there",
        ),
        (
            Group::told(
                "g",
                vec![told(5, 0, GroupState::Empty)],
                vec![Topic { headroom: Some(0), ..orders(vec![lossy(STOP, 20)]) }],
            ),
            "has lost 20 messages of `orders` that were deleted unread; it has no members and is 500 messages, 2 h behind on `orders`",
        ),
    ];
    for (group, expected) in cases {
        assert_eq!(said(group), format!("`g` {expected}"));
    }
}

#[test]
fn time_that_runs_out_is_a_finding_of_its_own() {
    let short = |left| Topic { headroom: Some(left), ..orders(vec![row(100, 30_000, OK)]) };
    let at = |left| said(Group::stable("g", vec![short(left)]));
    assert_eq!(
        at(5 * 3600),
        "`g` is 100 messages, 8 h behind on `orders`; at this rate the first unread record is deleted in 5 h"
    );
    assert_eq!(
        at(0),
        "`g` is 100 messages, 8 h behind on `orders`; the first unread record may be deleted at any moment"
    );
    assert_eq!(at(6 * 3600), "");
}

#[test]
fn rebalances_and_partitions_that_nobody_holds_are_told() {
    let rebalancing = vec![told(900, 1, GroupState::PreparingRebalance), told(0, 1, GroupState::CompletingRebalance)];
    assert_eq!(
        said(Group::told("g", rebalancing.clone(), vec![orders(vec![row(40, 800, STALL)])])),
        "`g` has been rebalancing for 15 min and is 40 messages, 13 min behind on `orders`"
    );
    assert_eq!(
        said(Group::told("g", rebalancing, vec![orders(vec![row(0, 0, OK)])])),
        "`g` has been rebalancing for 15 min"
    );
    let unheld = |held| Topic { held: Some(held), more_partitions: 3, ..orders(vec![row(0, 0, OK)]) };
    assert_eq!(said(Group::stable("g", vec![unheld(1)])), "`g` has no member for 3 of 4 partitions of `orders`");
    assert_eq!(said(Group::stable("g", vec![unheld(3)])), "`g` has no member for 1 of 4 partitions of `orders`");
}

#[test]
fn a_lag_that_grows_for_long_is_told_with_its_pace() {
    let growing = |velocity| Topic { velocity: Some(velocity), ..orders(vec![row(40_000, 900, OK)]) };
    assert_eq!(
        said(Group::stable("g", vec![growing(1.25)])),
        "`g` does not keep up with `orders` and is 40 k messages, 15 min behind there; the lag grows by 1.2 messages/s"
    );
    assert_eq!(said(Group::stable("g", vec![growing(0.01)])), "");
    let recovering = Topic { velocity: Some(-10.0), ..orders(vec![row(36_000, 900, WARN)]) };
    assert_eq!(
        said(Group::stable("g", vec![recovering])),
        "`g` does not keep up with `orders` and is 36 k messages, 15 min behind there; it catches up in 60 min at this rate"
    );
}

#[test]
fn the_worst_topic_is_named_and_the_others_counted() {
    let on = |name, lag, behind, status| Topic::new(name, vec![row(lag, behind, status)]);
    let two = vec![on("a", 1_000_000, 50, WARN), on("b", 5, 500, STALL), on("c", 0, 0, OK)];
    assert_eq!(
        said(Group::stable("g", two.clone())),
        "`g` is stuck on `b` and is 5 messages, 8 min behind there; 1 more topic is affected"
    );
    let three = [two, vec![on("d", 5, 600, WARN)]].concat();
    assert!(said(Group::stable("g", three)).ends_with("behind there; 2 more topics are affected"));
}

#[test]
fn what_is_not_known_is_not_said() {
    let unknown = testing::Row { end: None, ..row(10, 5, STOP) };
    let rows = vec![row(30, 300, STOP), unknown];
    assert_eq!(
        said(Group::stable("g", vec![orders(rows)])),
        "`g` does not commit on `orders` any more and is at least 30 messages, 5 min behind there"
    );
    assert_eq!(said(Group::stable("g", vec![orders(vec![unknown])])), "");
    let timeless = testing::Row { behind: None, ..row(30, 0, STOP) };
    assert_eq!(
        said(Group::stable("g", vec![orders(vec![timeless])])),
        "`g` does not commit on `orders` any more and is 30 messages behind there"
    );
}

#[test]
fn the_worst_group_comes_first() {
    let on = |group: &'static str, topic: &'static str, row| Group::stable(group, vec![Topic::new(topic, vec![row])]);
    let lossy = testing::Row { start: 1001, ..row(2, 5, OK) };
    let groups = [
        on("slow", "a", row(1_000_000, 90_000, WARN)),
        on("stuck", "b", row(5, 50, STALL)),
        on("stuck-longer", "c", row(1, 500, STALL)),
        on("lossy", "d", lossy),
        on("well", "e", row(9, 9, OK)),
    ];
    let text = cluster_table(None, &snapshot(&groups), &[]);
    let diagnoses: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('`')?.split('`').next()).collect();
    assert_eq!(diagnoses, ["lossy", "stuck-longer", "stuck", "slow"]);
}

#[test]
fn the_table_has_status_and_time_lag_where_they_are_known() {
    let unevaluated = Group { has_outlook: false, ..Group::stable("z", vec![Topic::new("t", vec![row(7, 5, OK)])]) };
    let caught_up = Group::stable("c", vec![Topic::new("u", vec![row(0, 0, OK)])]);
    let text = cluster_table(Some("prod"), &snapshot(&[billing(), unevaluated, caught_up]), &["b2 away".to_owned()]);
    let expected = "\
cluster prod (test-cluster): 0 of 1 brokers answer, 3 topics, 4 partitions, 3 groups

GROUP    STATE   TOPIC   STATUS  MEMBERS  COMMITTED      LAG  TIME LAG  WORST PARTITION  LOST  UNKNOWN
billing  Empty   orders  STOP          0       2000  3100000    41 min          1600000     0        0
z        Stable  t       ?             2       1000        7         ?                7     0        0
c        Stable  u       OK            2       1000        0       0 s                0     0        0

`billing` has no members since 14:02 UTC and is 3.1 M messages, 41 min behind on `orders`; at this rate the first unread record is deleted in 6 h
! b2 away
";
    assert_eq!(text, expected);
}

#[test]
fn a_terminal_obeys_nothing_in_a_diagnosis() {
    let hostile = Group::stable("a\u{1b}[2J\nb", vec![orders(vec![row(5, 5, STALL)])]);
    let text = cluster_table(None, &snapshot(&[hostile]), &[]);
    assert!(!text.contains('\u{1b}') && text.contains("`a\\u{1b}[2J\\nb` is stuck"), "{text}");
}

#[test]
fn the_json_of_a_group_leaves_out_what_is_not_known() {
    let snapshot = snapshot(&[
        billing(),
        Group { has_outlook: false, ..Group::stable("z", vec![Topic::new("t", vec![row(7, 5, OK)])]) },
    ]);
    let json = |name| {
        let standing = snapshot.standing(name, NOW).unwrap();
        serde_json::to_string_pretty(&GroupReport::new(&snapshot, standing, NOW)).unwrap()
    };
    let golden = include_str!("../../tests/golden/group.json");
    assert_eq!(json("billing"), golden.trim_end());
    let unknown = json("z");
    for field in ["status", "lag_seconds", "method", "complete", "velocity", "catch_up", "headroom", "diagnosis"] {
        assert!(!unknown.contains(field), "{field}: {unknown}");
    }
}
