//! The part of the status page about groups that are not well: what is wrong with each, the worst on top.

use std::fmt::{self, Write};

use super::page::Escaped;
use crate::derive::{Diagnosis, Finding, Snapshot};
use crate::model::{GroupStatus, WallTime};
use crate::report::sentence;

/// Groups that are shown of a cluster; the JSON has all of them.
const MAX_GROUPS: usize = 20;

/// What is wrong with the groups of a cluster at a time, the worst first.
pub(super) fn diagnoses(snapshot: &Snapshot, now: WallTime) -> Vec<Diagnosis<'_>> {
    let mut found: Vec<_> =
        snapshot.standings(now).filter_map(|standing| Diagnosis::of(snapshot, standing, now)).collect();
    found.sort_by_cached_key(Diagnosis::order);
    found
}

/// Writes the table of them; nothing when all are well.
pub(super) fn write_unwell(
    out: &mut String,
    snapshot: &Snapshot,
    diagnoses: &[Diagnosis<'_>],
    now: WallTime,
) -> fmt::Result {
    if diagnoses.is_empty() {
        return Ok(());
    }
    out.push_str(
        "<table class=\"unwell\">\n<thead><tr><th>status</th><th>groups that are not well</th></tr></thead>\n",
    );
    out.push_str("<tbody>\n");
    for diagnosis in diagnoses.iter().take(MAX_GROUPS) {
        let (class, word) = in_a_word(snapshot, diagnosis, now);
        write!(out, "<tr class=\"{class}\"><td class=\"word\">{word}</td><td>")?;
        writeln!(out, "{}</td></tr>", Marked(&sentence(diagnosis, now)))?;
    }
    out.push_str("</tbody>\n</table>\n");
    if let Some(more) = diagnoses.len().checked_sub(MAX_GROUPS).filter(|more| *more > 0) {
        writeln!(out, "<p class=\"servers\">and {more} more: <a href=\"/api/v1/groups\">as JSON</a></p>")?;
    }
    Ok(())
}

/// The worst about a group: that it loses messages, or its verdict. A good verdict beside a diagnosis would confuse.
fn in_a_word(snapshot: &Snapshot, diagnosis: &Diagnosis<'_>, now: WallTime) -> (&'static str, &'static str) {
    if matches!(diagnosis.findings.first(), Some(Finding::Lost { .. })) {
        return ("down", "LOSS");
    }
    match snapshot.standing(diagnosis.group, now).and_then(|standing| standing.status()) {
        Some(status @ GroupStatus::Error) => ("down", status.as_str()),
        Some(status @ GroupStatus::Warn) => ("warn", status.as_str()),
        _ => ("warn", "–"),
    }
}

/// A sentence in HTML, what is between backticks set as code. A backtick within a name only moves where code ends.
struct Marked<'a>(&'a str);

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.0.split('`').enumerate() {
            match place % 2 {
                0 => write!(f, "{}", Escaped(part))?,
                _ => write!(f, "<code>{}</code>", Escaped(part))?,
            }
        }
        Ok(())
    }
}
