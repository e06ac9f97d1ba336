//! The command line: arguments as written to checked settings, and the way back out to a person.

pub mod check;
pub mod demo;
pub mod flags;
pub mod generate;
pub mod kafka_exporter;
pub mod logging;
pub mod metrics;
pub mod output;
pub mod record;
pub mod replay;
pub mod rules;
pub mod serve;
pub mod simulate;
pub mod snapshot;

mod resolve;
mod run;
#[cfg(test)]
mod tests;

use clap::{Parser, Subcommand};

pub use resolve::{CONFIG_ENV, Request, resolve};
pub use run::run;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to stop, or did what it was asked: 0.
    Stopped,
    /// It failed while running: 1.
    Failed,
    /// The command line or the configuration cannot be used: 2.
    Usage,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Stopped => 0u8,
            Exit::Failed => 1,
            Exit::Usage => 2,
        })
    }
}

const AFTER_HELP: &str = "\
Examples:
  kafkascope --bootstrap-servers kafka:9092
      Export one cluster on http://localhost:9308/metrics.
  kafkascope demo
      The same with a simulated cluster: needs no Kafka.
  kafkascope --config kafkascope.yml
      Several clusters, filters, labels: everything that the reference in the README lists.
  kafkascope check kafkascope.yml --connect
      Every error of a file with its line; then whether each cluster can be reached, and what may be seen of it.
  kafkascope snapshot --bootstrap-servers kafka:9092
      One look at the lag of every group, as a table.
  kafkascope --bootstrap-servers b1:9093 --tls-ca-file ca.pem \\
             --sasl-mechanism SCRAM-SHA-512 --sasl-username exporter --sasl-password-file password
      TLS and SASL. The password also comes from KAFKASCOPE_SASL_PASSWORD.

A flag wins over its environment variable, and that over the config file.

Exit codes:
  0  asked to stop (SIGTERM, SIGINT), or done
  1  failed while running
  2  the command line or the configuration is wrong";

/// A Prometheus exporter for Apache Kafka: true consumer lag, brokers and topics, without JMX.
///
/// Without a command it is `serve`: it polls Kafka and serves what it found on /metrics.
#[derive(Debug, Parser)]
#[command(name = "kafkascope", version, after_long_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
#[command(after_help = "More with --help: examples, exit codes, and kafka_exporter's flags.")]
pub struct Cli {
    /// The command, if one is named.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The arguments of `serve`, which needs no name.
    #[command(flatten)]
    pub serve: serve::ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Poll Kafka and serve the metrics (what happens without a command).
    Serve(Box<serve::ServeArgs>),
    /// Export a simulated cluster with producers and consumers: nothing to install.
    Demo(demo::DemoArgs),
    /// Check a config file; with --connect its clusters too.
    Check(check::CheckArgs),
    /// Ask Kafka once and print what is found.
    Snapshot(snapshot::SnapshotArgs),
    /// Record what is observed of Kafka, for `replay`.
    Record(Box<record::RecordArgs>),
    /// Replay recorded observations: print how every group stood, and when.
    Replay(replay::ReplayArgs),
    /// Run a simulated cluster of any size, to try an exporter's cost on.
    Simulate(simulate::SimulateArgs),
    /// Print every metric with its type, labels and collector; with --estimate how many series a cluster would have.
    Metrics(metrics::MetricsArgs),
    /// Print the alerting and recording rules for Prometheus, as a file or as a PrometheusRule.
    Rules(rules::RulesArgs),
    /// Print a completion script for a shell.
    Completions(generate::CompletionsArgs),
    /// Print the man page.
    Man,
}

impl Cli {
    /// The command that is meant: `serve` if none is named.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or_else(|| Command::Serve(Box::new(self.serve)))
    }
}

/// Parses the process's arguments. For `--help`, `--version` and bad usage it prints and ends the process,
/// with code 2 for bad usage.
pub fn parse() -> Cli {
    Cli::parse()
}
