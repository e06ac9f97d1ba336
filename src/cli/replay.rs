//! `kafkascope replay`: recorded observations through the real pipeline.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Exit;
use super::output;
use crate::replay::{Form, ReplayError, replay};
use crate::track::{StatusSettings, TimeLag, TimeLagRule, TrackSettings};

const AFTER_LONG_HELP: &str = r#"A recording has one JSON object a line, in the order of time. kafkascope record writes one from a
live cluster; what follows is for writing one by hand, for tests of alerts, bug reports, and tuning
of thresholds. It goes through the same code as in the daemon, on a clock of its own.

  {"t": 0, "topics": {"orders": {"partitions": {"0": {"start": 0, "end": 5000}}}}}
  {"t": 60000, "topics": {"orders": {"partitions": {"0": {"end": 5200}}}},
   "groups": {"billing": {"state": "Stable", "members": 1, "assignment": {"orders": [0]},
                          "commits": {"orders": {"0": {"offset": 5000, "time": 59000}}}}}}
  {"t": 90000, "print": true}
  (each of them on one line, though the second is broken here)

  t        Milliseconds since 1970; required. What else a line leaves out is unchanged;
           null deletes.
  cluster  Whose observation it is: the clusters of a file are apart. Without a name it is that
           of the cluster "default".
  topics   Log start offset (start) and high watermark (end) of partitions. An end counts as
           observed whenever it is named, moved or not. A start that is never told is 0.
           Forecasts of deleted records need the topic's settings: "config": {"retention.ms": …,
           "retention.bytes": …, "min.insync.replicas": …, "cleanup.policy": …}.
  groups   Who holds what is told by state, members, assignment, and protocol_type ("": its
           consumers assign partitions for themselves). Members without an assignment hold all
           that the group has committed on. The time of a commit is its own, as from
           __consumer_offsets; without it, the commit was polled at t.
  print    With true, all clusters are printed as they stand at t, after what the line tells.

Example:
  kafkascope replay recording.jsonl --status-intervals 5 | jq '.clusters[].groups'
      Every verdict, as it would be with a shorter memory.

A line that is not like that ends the replay: its number and what is wrong with it are told, the
exit code is 2. Nothing asks Kafka, so time lag comes from the ends in the recording alone."#;

/// Arguments of `replay`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct ReplayArgs {
    /// The recording; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// json (an object a line) or prometheus (what /metrics would say)
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true, default_value_t = ReplayOutput::Json)]
    pub output: ReplayOutput,
    /// Commits, and ends of logs, that a verdict looks at: the last so many of each
    #[arg(long, value_name = "COUNT", default_value_t = StatusSettings::default().intervals, value_parser = clap::value_parser!(u8).range(1..))]
    pub status_intervals: u8,
    /// Messages behind that are no lag to a verdict
    #[arg(long, value_name = "MESSAGES", default_value_t = StatusSettings::default().allowed_lag)]
    pub allowed_lag: u64,
    /// Messages behind that, left for long by a group that has read everything, are transaction markers
    #[arg(long, value_name = "MESSAGES", default_value_t = StatusSettings::default().marker_slack)]
    pub marker_slack: u64,
    /// Seconds that polled commits must be apart to count towards a verdict; the exporter's own default is 60
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3600))]
    pub min_distance: u64,
}

/// The forms of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReplayOutput {
    /// One JSON object a line.
    Json,
    /// Expositions in Prometheus's text format, each ended by an empty line.
    Prometheus,
}

impl ReplayArgs {
    fn settings(&self) -> TrackSettings {
        let status = StatusSettings {
            intervals: self.status_intervals,
            allowed_lag: self.allowed_lag,
            marker_slack: self.marker_slack,
            poll_distance: Duration::from_secs(self.min_distance),
            ..StatusSettings::default()
        };
        // There is no broker to ask.
        TrackSettings { status, time_lag: TimeLagRule::new(|_| TimeLag::History) }
    }

    fn form(&self) -> Form {
        match self.output {
            ReplayOutput::Json => Form::Json,
            ReplayOutput::Prometheus => Form::Prometheus,
        }
    }
}

/// Replays, and prints.
pub(super) fn run(args: &ReplayArgs) -> Exit {
    let (settings, form) = (args.settings(), args.form());
    let (name, outcome) = if args.file == Path::new("-") {
        ("standard input".to_owned(), replay(io::stdin().lock(), settings, form, output::results))
    } else {
        let name = args.file.display().to_string();
        let file = match File::open(&args.file) {
            Ok(file) => file,
            Err(error) => {
                output::failure(&format!("{name} cannot be read: {error}"));
                return Exit::Usage;
            }
        };
        (name, replay(BufReader::new(file), settings, form, output::results))
    };
    let Err(error) = outcome else { return Exit::Stopped };
    output::failure(&format!("{name}, {error}"));
    match error {
        ReplayError::Line { .. } => Exit::Usage,
        ReplayError::Read { .. } | ReplayError::Write(_) => Exit::Failed,
    }
}
