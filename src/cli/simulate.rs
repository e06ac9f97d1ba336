//! `kafkascope simulate`: a simulated cluster of any size, to size a deployment and to measure against.

use std::time::Duration;

use super::Exit;
use super::output::{self, Progress};
use crate::app::{Simulation, SimulationError};
use crate::config;
use crate::sim::scale::{Behind, Scale, WHOLE};
use crate::sim::{SimError, Spec};

/// Bounds of the numbers: far above what one machine serves.
const MAX_BROKERS: u64 = 1_000;
const MAX_PARTITIONS: u64 = 1_000_000;
const MAX_GROUPS: u64 = 100_000;
const MAX_GROUP_PARTITIONS: u64 = 10_000_000;
const MAX_MEMBERS: u64 = 1_000;
const MAX_LATENCY: Duration = Duration::from_secs(60);

const AFTER_LONG_HELP: &str = "\
Every partition of a moving topic gets 1 to 50 records a second all the time, or, in a tenth of the moving topics, for 10 s of
every minute. Into the other topics nothing comes any more; an hour of records is there. A group reads some topics; it commits
every 5 s, what came until a quarter of a second before, and one group in twenty every 30 s. What is behind was left 1000
records before the end and stays there. Nothing but numbers is kept: no record can be read or written.

Example:
  kafkascope simulate --brokers 100 --topics 10000 --partitions 100000 --groups 5000 --group-partitions 1000000
  kafkascope --bootstrap-servers ADDRESS      (in another terminal; ADDRESS is what simulate has printed)
      What the exporter takes for a million group-partitions, in CPU and in memory, before it meets them.";

/// Arguments of `simulate`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct SimulateArgs {
    /// Brokers, each on a free port of 127.0.0.1
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=MAX_BROKERS))]
    pub brokers: u64,
    /// Topics
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=MAX_PARTITIONS))]
    pub topics: u64,
    /// Partitions of all topics together; each topic has one at least
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=MAX_PARTITIONS))]
    pub partitions: u64,
    /// Consumer groups
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(..=MAX_GROUPS))]
    pub groups: u64,
    /// Committed offsets of all groups together
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(..=MAX_GROUP_PARTITIONS))]
    pub group_partitions: u64,
    /// Members of each group; with 0, groups assign partitions for themselves
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u64).range(..=MAX_MEMBERS))]
    pub members: u64,
    /// Share of the topics into which records come
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = per_mille)]
    pub moving: u32,
    /// Share of what groups have committed on that they do not read any more
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = per_mille)]
    pub behind: u32,
    /// What is behind as one: topics of a group, so that nearly every group is behind somewhere, or whole groups
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = BehindBy::Topics)]
    pub behind_by: BehindBy,
    /// From the arrival of a request to the departure of its answer, such as 5ms; it holds up no other request
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = latency)]
    pub latency: Duration,
    /// The same seed gives the same topics, groups and rates
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// What is behind as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BehindBy {
    /// Topics of a group.
    Topics,
    /// Whole groups.
    Groups,
}

/// A percentage to a tenth, as thousandths.
fn per_mille(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    let parsed = match (digits(whole), digits(tenths), tenths.len()) {
        (true, true, 1) => format!("{whole}{tenths}").parse().ok(),
        _ => None,
    };
    parsed.filter(|share| *share <= WHOLE).ok_or_else(|| "write a percentage from 0% to 100%, such as 12.5%".to_owned())
}

fn latency(text: &str) -> Result<Duration, String> {
    config::duration(text, Duration::ZERO..=MAX_LATENCY)
}

impl SimulateArgs {
    /// The size that is asked for.
    ///
    /// # Errors
    /// When the numbers contradict one another: what is wrong, and what to write.
    pub fn scale(&self) -> Result<Scale, String> {
        if self.partitions < self.topics {
            return Err(format!(
                "{} partitions are too few for {} topics: each has one at least",
                self.partitions, self.topics
            ));
        }
        if self.group_partitions > self.groups.saturating_mul(self.partitions) {
            return Err(format!(
                "{} groups on {} partitions cannot have {} committed offsets",
                self.groups, self.partitions, self.group_partitions
            ));
        }
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Scale {
            brokers: count(self.brokers),
            topics: count(self.topics),
            partitions: count(self.partitions),
            groups: count(self.groups),
            group_partitions: count(self.group_partitions),
            members: count(self.members),
            moving_per_mille: self.moving,
            behind_per_mille: self.behind,
            behind: match self.behind_by {
                BehindBy::Topics => Behind::Topics,
                BehindBy::Groups => Behind::Groups,
            },
        })
    }
}

/// Starts the cluster, prints its address and serves until asked to stop.
pub(super) fn run(args: &SimulateArgs) -> Exit {
    let scale = match args.scale() {
        Ok(scale) => scale,
        Err(error) => {
            output::failure(&error);
            return Exit::Usage;
        }
    };
    let progress = Progress::new("starting the simulated cluster");
    let simulation = match Simulation::start(Spec::scaled(args.seed, scale), args.latency) {
        Ok(simulation) => simulation,
        Err(error) => {
            output::failure(&error.to_string());
            let is_usage = matches!(error, SimulationError::Cluster(SimError::Spec(_)));
            return if is_usage { Exit::Usage } else { Exit::Failed };
        }
    };
    drop(progress);
    let line = format!("{}\n", simulation.bootstrap_servers().join(","));
    if let Err(error) = output::result(line.as_bytes()) {
        output::failure(&error.to_string());
        return Exit::Failed;
    }
    simulation.run();
    Exit::Stopped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact_to_a_tenth() {
        let good = [("0%", 0), ("10%", 100), ("10", 100), ("12.5%", 125), ("0.1", 1), ("100%", 1_000)];
        for (text, share) in good {
            assert_eq!(per_mille(text), Ok(share), "{text}");
        }
        for bad in ["", "%", "-1%", "101%", "100.1%", "1.25%", "1.", ".5", "ten", "+5", "99999999999"] {
            assert!(per_mille(bad).is_err(), "{bad}");
        }
    }
}
