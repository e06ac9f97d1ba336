//! A diagnosis in one sentence: for the page, the JSON and the terminal, to be understood at three in the morning.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::human::{Count, MessageCount, Roughly, TimeOfDay};
use crate::derive::{Behind, Diagnosis, Finding, Place};
use crate::model::{GroupStatus, WallTime};

/// More time than this until unread records may be deleted is not worth a word.
const HEADROOM_WORTH_SAYING: Duration = Duration::from_secs(72 * 3600);
/// Findings that fit into a sentence.
const MAX_FINDINGS: usize = 3;

/// The sentence of a diagnosis, without a full stop, as of a time.
///
/// Names stand in it as they are: whoever prints it escapes what the place of printing obeys.
#[must_use]
pub fn sentence(diagnosis: &Diagnosis<'_>, now: WallTime) -> String {
    let mut text = format!("`{}` ", diagnosis.group);
    // Writing into a string cannot fail.
    let _ = write_sentence(&mut text, diagnosis, now);
    text
}

fn write_sentence(out: &mut String, diagnosis: &Diagnosis<'_>, now: WallTime) -> fmt::Result {
    let said = &diagnosis.findings[..diagnosis.findings.len().min(MAX_FINDINGS)];
    for (place, finding) in said.iter().enumerate() {
        if place > 0 {
            out.push_str("; it ");
        }
        write_finding(out, finding, now)?;
    }
    if let Some(behind) = &diagnosis.behind {
        out.push_str(if said.is_empty() { "is " } else { " and is " });
        write_behind(out, behind, said.last())?;
    }
    write_forecast(out, diagnosis)?;
    match diagnosis.more_topics {
        0 => Ok(()),
        1 => out.write_str("; 1 more topic is affected"),
        more => write!(out, "; {more} more topics are affected"),
    }
}

fn write_finding(out: &mut String, finding: &Finding<'_>, now: WallTime) -> fmt::Result {
    match finding {
        Finding::Lost { topic, messages } => {
            let were = if messages.0 == 1 { "was" } else { "were" };
            write!(out, "has lost {} of `{topic}` that {were} deleted unread", MessageCount(*messages))
        }
        Finding::NoMembers { since: Some(at) } => {
            write!(out, "has no members since {}", TimeOfDay { at: *at, now })
        }
        Finding::NoMembers { since: None } => out.write_str("has no members"),
        Finding::Rebalancing { lasting } => write!(out, "has been rebalancing for {}", Roughly(*lasting)),
        Finding::Verdict { status, place, moved_at } => write_verdict(out, *status, place, *moved_at, now),
        Finding::Unassigned { topic, partitions, of } => {
            write!(out, "has no member for {} of {} of `{topic}`", partitions, Partitions(*of))
        }
        Finding::FallingBehind { topic } => write!(out, "does not keep up with `{topic}`"),
    }
}

fn write_verdict(
    out: &mut String,
    status: GroupStatus,
    place: &Place<'_>,
    moved_at: Option<WallTime>,
    now: WallTime,
) -> fmt::Result {
    let place = Where(place);
    let since = moved_at.map(|at| TimeOfDay { at, now });
    match (status, since) {
        (GroupStatus::Stop, Some(since)) => write!(out, "has committed nothing new on {place} since {since}"),
        (GroupStatus::Stop, None) => write!(out, "does not commit on {place} any more"),
        (GroupStatus::Stall, Some(since)) => write!(out, "has been stuck on {place} since {since}"),
        (GroupStatus::Stall, None) => write!(out, "is stuck on {place}"),
        (GroupStatus::Rewind, _) => write!(out, "has gone back on {place}"),
        _ => write!(out, "does not keep up with {place}"),
    }
}

/// `partitions` or `partition`, with the number.
struct Partitions(usize);

impl fmt::Display for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partition{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// Which partitions of a topic.
struct Where<'a>(&'a Place<'a>);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { topic, partition, partitions, of } = self.0;
        match partition {
            Some(partition) => write!(f, "partition {} of `{topic}`", partition.0),
            None if partitions == of => write!(f, "`{topic}`"),
            None => write!(f, "{partitions} of {} of `{topic}`", Partitions(*of)),
        }
    }
}

fn write_behind(out: &mut String, behind: &Behind<'_>, after: Option<&Finding<'_>>) -> fmt::Result {
    if behind.is_at_least {
        out.push_str("at least ");
    }
    write!(out, "{}", MessageCount(behind.messages))?;
    if let Some(time) = behind.time {
        write!(out, ", {}", Roughly(time))?;
    }
    out.push_str(" behind ");
    match (after.and_then(Finding::topic), behind.partition) {
        (Some(topic), _) if topic == behind.topic && is_about(after, behind) => out.write_str("there"),
        (_, Some(partition)) => write!(out, "on partition {} of `{}`", partition.0, behind.topic),
        (_, None) => write!(out, "on `{}`", behind.topic),
    }
}

/// Whether a finding is about the very partitions that the group is behind on.
fn is_about(finding: Option<&Finding<'_>>, behind: &Behind<'_>) -> bool {
    match finding {
        Some(Finding::Verdict { place, .. }) => {
            place.partition == behind.partition && (place.partition.is_some() || place.partitions == place.of)
        }
        Some(Finding::Lost { .. } | Finding::FallingBehind { .. }) => behind.partition.is_none(),
        _ => false,
    }
}

fn write_forecast(out: &mut String, diagnosis: &Diagnosis<'_>) -> fmt::Result {
    if let Some(left) = diagnosis.headroom.filter(|left| *left <= HEADROOM_WORTH_SAYING) {
        if left.is_zero() {
            return out.write_str("; the first unread record may be deleted at any moment");
        }
        return write!(out, "; at this rate the first unread record is deleted in {}", Roughly(left));
    }
    if diagnosis.behind.is_none() {
        return Ok(());
    }
    match (diagnosis.growth, diagnosis.catch_up) {
        (Some(growth), _) => write!(out, "; the lag grows by {}", Rate(growth)),
        (_, Some(needed)) if !needed.is_zero() => write!(out, "; it catches up in {} at this rate", Roughly(needed)),
        _ => Ok(()),
    }
}

/// Messages a second; below ten with a decimal.
struct Rate(f64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10.0 {
            return write!(f, "{:.1} messages/s", self.0);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, for people")]
        let whole = self.0.round() as u64;
        write!(f, "{} messages/s", Count(whole))
    }
}
