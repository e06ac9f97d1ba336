//! A snapshot as a table for a terminal: the groups, worst first.

use std::cmp::Reverse;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use crate::derive::{GroupMeaning, Snapshot, TopicLag};
use crate::model::Messages;
use crate::state::Segment;

/// What stands where a value is not known.
const UNKNOWN: &str = "?";
/// What stands where there is nothing.
const NONE: &str = "-";
/// Columns from this one on hold numbers.
const FIRST_NUMBER: usize = 3;

/// One cluster: a line about it, a table of its groups and topics, and what failed.
#[must_use]
pub fn cluster_table(name: Option<&str>, snapshot: &Snapshot, errors: &[String]) -> String {
    let mut text = summary(name, snapshot);
    let mut groups: Vec<_> = snapshot.groups.iter().collect();
    groups.sort_by_cached_key(|group| (Reverse(worst(group)), group.table.name.clone()));
    if !groups.is_empty() {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header([
            "GROUP",
            "STATE",
            "TOPIC",
            "MEMBERS",
            "COMMITTED",
            "LAG",
            "WORST PARTITION",
            "LOST",
            "UNKNOWN",
        ]);
        groups.iter().flat_map(|group| rows(snapshot, group)).for_each(|row| {
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
    for error in errors {
        let _ = writeln!(text, "! {error}");
    }
    text
}

fn summary(name: Option<&str>, snapshot: &Snapshot) -> String {
    let world = &snapshot.world;
    let (mut topics, mut partitions) = (0_usize, 0_usize);
    for (_, table) in world.topics_by_name() {
        topics += 1;
        partitions += table.partitions();
    }
    let up = world.brokers.iter().filter(|broker| broker.answers).count();
    let id = world.cluster_id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
    let state = if world.up { "" } else { " NOT REACHED" };
    format!(
        "cluster {}{id}{state}: {up} of {} brokers answer, {topics} topics, {partitions} partitions, {} groups\n",
        name.unwrap_or(NONE),
        world.brokers.len(),
        snapshot.groups.len(),
    )
}

fn rows(snapshot: &Snapshot, group: &GroupMeaning) -> Vec<Vec<String>> {
    let membership = snapshot.freshness.membership(&group.table);
    let state = membership.map_or(UNKNOWN, |membership| membership.state.as_str());
    let members = membership.map_or_else(|| UNKNOWN.to_owned(), |membership| membership.members.to_string());
    let name = printable(&group.table.name);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (_, segment, sums) in group.segments() {
        let mut row = vec![name.clone(), state.to_owned(), topic(snapshot, segment), members.clone()];
        row.extend(numbers(segment, sums));
        rows.push(row);
    }
    if rows.is_empty() {
        let mut row = vec![name, state.to_owned(), NONE.to_owned(), members];
        row.extend(std::iter::repeat_n(NONE.to_owned(), 5));
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

/// The largest lag that is known of a group, in a sample too.
fn worst(group: &GroupMeaning) -> Option<Messages> {
    let rows = group.table.commits.as_ref().map_or(0, |commits| commits.partitions.len());
    (0..rows).filter_map(|row| group.lag(row)).max()
}

/// A name with its control characters escaped: a group's name may hold anything, and a terminal obeys some of it.
fn printable(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
