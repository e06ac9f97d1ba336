//! The part of the status page about groups that are not well: what is wrong with each, the worst on top.

use std::fmt::{self, Write};

use super::page::Escaped;
use crate::derive::{Diagnosis, Snapshot};
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
        let status = snapshot.standing(diagnosis.group, now).and_then(|standing| standing.status());
        let (class, word) = match status {
            Some(status @ (GroupStatus::Ok | GroupStatus::Warn)) => ("warn", status.as_str()),
            Some(status) => ("down", status.as_str()),
            None => ("warn", "–"),
        };
        write!(out, "<tr class=\"{class}\"><td class=\"word\">{word}</td><td>")?;
        writeln!(out, "{}</td></tr>", Marked(&sentence(diagnosis, now)))?;
    }
    out.push_str("</tbody>\n</table>\n");
    if let Some(more) = diagnoses.len().checked_sub(MAX_GROUPS).filter(|more| *more > 0) {
        writeln!(out, "<p class=\"servers\">and {more} more: <a href=\"/api/v1/groups\">as JSON</a></p>")?;
    }
    Ok(())
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
