//! Replays a recording: line after line through the clusters that it tells of, printing where a line wishes it.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::cluster::ReplayedCluster;
use super::error::{LineFault, MAX_CLUSTERS, MAX_FACTS, ReplayError};
use super::input::Lines;
use super::line::Line;
use super::print::Printed;
use crate::derive::Snapshot;
use crate::metrics::ClusterSource;
use crate::metrics::exposition::{ClusterView, Exposition, Format, Selection, View};
use crate::model::WallTime;
use crate::state::CollectorName;
use crate::track::TrackSettings;

/// The cluster of lines that name none.
pub const NAMELESS: &str = "default";

/// How the clusters are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// An exposition in Prometheus's text format, and an empty line after it.
    Prometheus,
}

/// Everything that a recording has told so far.
#[derive(Debug)]
struct Replay {
    settings: TrackSettings,
    clusters: BTreeMap<Arc<str>, ReplayedCluster>,
    facts: usize,
}

/// Replays a recording to its end. `print` is given what is to be printed, and says whether anybody still reads it.
///
/// # Errors
/// At the first line that is wrong, or when reading or writing fails. What stood before it has been printed.
pub fn replay(
    input: impl BufRead,
    settings: TrackSettings,
    form: Form,
    mut print: impl FnMut(&[u8]) -> io::Result<ControlFlow<()>>,
) -> Result<(), ReplayError> {
    let mut replay = Replay { settings, clusters: BTreeMap::new(), facts: 0 };
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next_line()? {
        let (t, is_print) = (line.t, line.print);
        if line.is_observation() {
            replay.observe(line).map_err(|fault| lines.refuse(fault))?;
        }
        if is_print {
            let text = replay.printed(t, form).map_err(|error| ReplayError::Write(error.into()))?;
            if print(&text).map_err(ReplayError::Write)?.is_break() {
                break;
            }
        }
    }
    Ok(())
}

impl Replay {
    fn observe(&mut self, line: Line) -> Result<(), LineFault> {
        let name = line.cluster.as_deref().unwrap_or(NAMELESS);
        if !self.clusters.contains_key(name) {
            if self.clusters.len() >= MAX_CLUSTERS {
                return Err(LineFault::TooManyClusters);
            }
            let cluster = ReplayedCluster::new(self.settings.clone(), line.t);
            self.clusters.insert(Arc::from(name), cluster);
        }
        let name = name.to_owned();
        let Some(cluster) = self.clusters.get_mut(name.as_str()) else { return Ok(()) };
        let before = cluster.facts();
        let touched = cluster.take_in(line);
        self.facts = (self.facts + cluster.facts()).saturating_sub(before);
        if self.facts > MAX_FACTS {
            return Err(LineFault::TooMuch);
        }
        cluster.apply(&touched);
        Ok(())
    }

    fn printed(&self, t: i64, form: Form) -> Result<Vec<u8>, serde_json::Error> {
        match form {
            Form::Json => {
                let clusters = self.clusters.iter();
                let snapshots = clusters.map(|(name, cluster)| -> (&str, &Snapshot) { (name, cluster.snapshot()) });
                let mut text = serde_json::to_vec(&Printed::new(t, snapshots))?;
                text.push(b'\n');
                Ok(text)
            }
            Form::Prometheus => Ok(self.exposition(t)),
        }
    }

    /// What `/metrics` would say of what a recording tells. Where partitions lie, who the brokers are and how the exporter
    /// itself fares is not recorded, so nothing is said of it.
    fn exposition(&self, t: i64) -> Vec<u8> {
        let is_nameless = |name: &str| self.clusters.len() == 1 && name == NAMELESS;
        let views = self.clusters.iter().map(|(name, cluster)| {
            let source = ClusterSource::new(Some(name.as_ref()).filter(|name| !is_nameless(name)), Vec::new());
            source.snapshot.store(Some(cluster.at(t)));
            source.tick(WallTime(t));
            ClusterView::of(&Arc::new(source))
        });
        let is_told = |name: &CollectorName| !matches!(name, CollectorName::Brokers | CollectorName::Topics);
        let collectors = CollectorName::ALL.into_iter().filter(is_told).map(CollectorName::as_str).collect();
        let view = View { clusters: views.collect(), selection: Selection { collectors }, ..View::default() };
        let mut text = Exposition::new(view, Format::Text).into_bytes();
        text.push(b'\n');
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::track::{TimeLag, TimeLagRule};

    #[test]
    fn where_no_time_lag_is_wanted_there_is_none_not_even_of_a_group_that_has_caught_up() {
        let time_lag = TimeLagRule::new(|topic| if topic == "off" { TimeLag::Off } else { TimeLag::History });
        let settings = TrackSettings { time_lag, ..TrackSettings::default() };
        let ends = |end: u32| format!(r#"{{"partitions": {{"0": {{"end": {end}}}}}}}"#);
        let commits = r#"{"off": {"0": {"offset": 5}}, "on": {"0": {"offset": 5}}}"#;
        let line = |t: u32, end: u32| {
            let (topic, print) = (ends(end), format!(r#"{{"t": {t}, "print": true}}"#));
            let topics = format!(r#"{{"off": {topic}, "on": {topic}}}"#);
            format!(
                "{{\"t\": {t}, \"topics\": {topics}, \"groups\": {{\"g\": {{\"commits\": {commits}}}}}}}\n{print}\n"
            )
        };
        let mut printed = Vec::new();
        replay(format!("{}{}", line(1000, 5), line(2000, 7)).as_bytes(), settings, Form::Json, |text| {
            printed.push(serde_json::from_slice::<serde_json::Value>(text).unwrap());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        for (line, on) in printed.iter().zip([0.0, 1.0]) {
            let topics = &line["clusters"]["default"]["groups"]["g"]["topics"];
            assert_eq!(topics["on"]["0"]["lag_seconds"].as_f64(), Some(on));
            assert!(topics["off"]["0"]["lag"].is_u64() && topics["off"]["0"]["lag_seconds"].is_null(), "{topics}");
        }
        assert_eq!(printed.len(), 2);
    }
}
