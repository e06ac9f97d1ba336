//! A snapshot as a table for a terminal: the groups, worst first.

use std::cmp::Reverse;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::{Roughly, scope_in_words, sentence};
use crate::derive::{Diagnosis, GroupMeaning, Snapshot, Standing, TopicLag, TopicStanding};
use crate::model::{GroupStatus, Messages};
use crate::state::Segment;

/// What stands where a value is not known.
const UNKNOWN: &str = "?";
/// What stands where there is nothing.
const NONE: &str = "-";
/// Columns from this one on hold numbers.
const FIRST_NUMBER: usize = 4;
/// Cells of a row that are about a topic's numbers.
const NUMBERS: usize = 6;
/// Groups whose diagnosis is printed below a table.
const MAX_DIAGNOSES: usize = 50;

/// One cluster: a line about it, a table of its groups and topics, what is wrong with them, and what failed.
#[must_use]
pub fn cluster_table(name: Option<&str>, snapshot: &Snapshot, errors: &[String]) -> String {
    let mut text = summary(name, snapshot);
    let now = snapshot.derived_at.wall;
    let mut groups: Vec<_> = snapshot.standings(now).collect();
    groups.sort_by_cached_key(|standing| (Reverse(worst(standing.group)), standing.group.table.name.clone()));
    if !groups.is_empty() {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header([
            "GROUP",
            "STATE",
            "TOPIC",
            "STATUS",
            "MEMBERS",
            "COMMITTED",
            "LAG",
            "TIME LAG",
            "WORST PARTITION",
            "LOST",
            "UNKNOWN",
        ]);
        groups.iter().flat_map(|standing| rows(snapshot, *standing)).for_each(|row| {
            table.add_row(row);
        });
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if place >= FIRST_NUMBER {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        text.push('\n');
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    write_diagnoses(&mut text, snapshot);
    for error in errors {
        let _ = writeln!(text, "! {error}");
    }
    text
}

/// What is wrong with the groups, the worst first.
fn write_diagnoses(text: &mut String, snapshot: &Snapshot) {
    let now = snapshot.derived_at.wall;
    let mut diagnoses: Vec<_> =
        snapshot.standings(now).filter_map(|standing| Diagnosis::of(snapshot, standing, now)).collect();
    diagnoses.sort_by_cached_key(Diagnosis::order);
    if !diagnoses.is_empty() {
        text.push('\n');
    }
    for diagnosis in diagnoses.iter().take(MAX_DIAGNOSES) {
        let _ = writeln!(text, "{}", printable(&sentence(diagnosis, now)));
    }
    if diagnoses.len() > MAX_DIAGNOSES {
        let more = diagnoses.len() - MAX_DIAGNOSES;
        let _ = writeln!(text, "and {more} more that are not well; --output json has all of them");
    }
}

fn summary(name: Option<&str>, snapshot: &Snapshot) -> String {
    let world = &snapshot.world;
    let (mut topics, mut partitions) = (0_usize, 0_usize);
    for (_, _, shown) in world.shown_topics() {
        topics += 1;
        partitions += shown;
    }
    let up = world.watched_brokers().filter(|broker| broker.answers).count();
    let scope = match world.scope.is_cluster() {
        true => String::new(),
        false => format!("{}\n", printable(&scope_in_words(&world.scope))),
    };
    let id = world.cluster_id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
    let state = if world.up { "" } else { " NOT REACHED" };
    format!(
        "cluster {}{id}{state}: {up} of {} brokers answer, {topics} topics, {partitions} partitions, {} groups\n{scope}",
        name.unwrap_or(NONE),
        world.watched_brokers().count(),
        snapshot.groups.len(),
    )
}

fn rows(snapshot: &Snapshot, standing: Standing<'_>) -> Vec<Vec<String>> {
    let group = standing.group;
    let membership = snapshot.freshness.membership(&group.table);
    let state = membership.map_or(UNKNOWN, |membership| membership.state.as_str());
    let members = membership.map_or_else(|| UNKNOWN.to_owned(), |membership| membership.members.to_string());
    let name = printable(&group.table.name);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for on in standing.topics() {
        let (status, time_lag) = (status(standing, &on), time_lag(standing, &on));
        let mut row = vec![name.clone(), state.to_owned(), topic(snapshot, on.segment), status, members.clone()];
        let [committed, lag, rest @ ..] = numbers(on.segment, on.lag);
        row.extend([committed, lag, time_lag]);
        row.extend(rest);
        rows.push(row);
    }
    if rows.is_empty() {
        let mut row = vec![name, state.to_owned(), NONE.to_owned(), NONE.to_owned(), members];
        row.extend(std::iter::repeat_n(NONE.to_owned(), NUMBERS));
        rows.push(row);
    }
    rows
}

/// A topic's name; of a sampled one also which part of it the numbers are about.
fn topic(snapshot: &Snapshot, segment: &Segment) -> String {
    let name = snapshot.world.names.name(segment.topic).map_or_else(String::new, |topic| printable(topic));
    let Some(sample) = segment.sample else { return name };
    let all = snapshot.world.topic(segment.topic).map(|table| format!(" of {}", table.partitions()));
    format!("{name} (first {}{} partitions)", sample.partitions(), all.unwrap_or_default())
}

/// What a group's commits on a topic add up to: committed, lag, worst partition, lost, unknown partitions.
fn numbers(segment: &Segment, sums: &TopicLag) -> [String; 5] {
    let known = |value: Option<u64>| value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string());
    let messages = |value: Option<Messages>| known(value.map(|value| value.0));
    let unknown = sums.unknown.to_string();
    if segment.sample.is_some() {
        // Of a topic's worst partition, and of what it lost, a sample tells nothing.
        let nothing = sums.lag_sampled_sum.is_none() && sums.unknown == 0;
        let lag = if nothing { NONE.to_owned() } else { messages(sums.lag_sampled_sum) };
        let committed = if segment.rows.is_empty() { NONE.to_owned() } else { known(sums.committed_sampled_sum) };
        return [committed, lag, NONE.to_owned(), NONE.to_owned(), unknown];
    }
    // Commits on partitions that do not exist have no lag: that is nothing, not unknown.
    let nothing = sums.lag_sum.is_none() && sums.unknown == 0;
    let lag = |value| if nothing { NONE.to_owned() } else { messages(value) };
    [known(sums.committed_sum), lag(sums.lag_sum), lag(sums.max_lag), lag(sums.lost_sum), unknown]
}

/// The worst verdict on a partition of a topic.
fn status(standing: Standing<'_>, on: &TopicStanding<'_>) -> String {
    let known = on.segment.rows.clone().filter_map(|row| standing.partition_status(row));
    let nothing = if on.lag.unknown == 0 && on.lag.lag_sum.is_none() { NONE } else { UNKNOWN };
    known.max_by_key(|status| status.badness()).map_or(nothing, GroupStatus::as_str).to_owned()
}

/// The longest time lag on a topic; while one that counts is unknown, so is the longest.
fn time_lag(standing: Standing<'_>, on: &TopicStanding<'_>) -> String {
    if on.segment.sample.is_some() {
        return NONE.to_owned();
    }
    let mut behind = on.segment.rows.clone().filter(|row| standing.group.lag(*row).is_some()).peekable();
    if behind.peek().is_none() {
        return if on.lag.unknown == 0 { NONE } else { UNKNOWN }.to_owned();
    }
    let all: Option<Vec<_>> = behind.map(|row| standing.time_lag(row)).collect();
    let longest = all.and_then(|all| all.into_iter().max());
    longest.map_or_else(|| UNKNOWN.to_owned(), |longest| Roughly(longest).to_string())
}

/// The largest lag that is known of a group, in a sample too.
fn worst(group: &GroupMeaning) -> Option<Messages> {
    let rows = group.table.commits.as_ref().map_or(0, |commits| commits.partitions.len());
    (0..rows).filter_map(|row| group.lag(row)).max()
}

/// A name with its control characters escaped: a group's name may hold anything, and a terminal obeys some of it.
#[must_use]
pub fn printable(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
