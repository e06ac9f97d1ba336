//! Runs the command that was asked for: arguments to settings, settings to the app, the outcome to an exit code.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use super::check::CheckArgs;
use super::demo::DemoArgs;
use super::metrics::{MetricsArgs, MetricsOutput};
use super::output::{self, Progress};
use super::serve::ServeArgs;
use super::snapshot::{SnapshotArgs, SnapshotOutput};
use super::{Command, Exit, check, generate, logging, record, replay, rules, simulate};
use crate::app::{self, Estimated, Found, Reread};
use crate::config::{Config, ConfigError, LogFormat, LogSettings, Process, Resolved};
use crate::kafka::{self, KafkaError};
use crate::metrics::exposition::{ClusterView, Exposition, Format, View};
use crate::metrics::reference;
use crate::report::{ClusterReport, EstimateReport, cluster_table, clusters_json};
use crate::sim::demo::GUIDE;

/// This process's environment and files, and the librdkafka that is built in.
const SURROUNDINGS: Process = Process { property_fault: kafka::property_fault };

/// Runs a command to its end.
#[must_use]
pub fn run(command: Command) -> Exit {
    match command {
        Command::Serve(args) => serve(&args),
        Command::Demo(args) => demo(&args),
        Command::Check(args) => checked(&args),
        Command::Snapshot(args) => snapshot(&args),
        Command::Record(args) => record::run(&args, &SURROUNDINGS),
        Command::Replay(args) => replay::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Metrics(args) => metrics(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Completions(args) => print(&generate::completions(args)),
        Command::Man => generate::man().map_or_else(|error| failed(&error), |page| print(&page)),
    }
}

fn serve(args: &ServeArgs) -> Exit {
    let (config, warnings) = match args.resolve(&SURROUNDINGS) {
        Ok(resolved) => resolved,
        Err(errors) => return refused(&errors),
    };
    logging::init(&config.log);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), clusters = config.clusters.len(), "kafkascope starts");
    let args = args.clone();
    let reread: Arc<Reread> = Arc::new(move || args.resolve(&SURROUNDINGS));
    run_daemon(&config, Some(reread), |_| ())
}

fn run_daemon(config: &Config, reread: Option<Arc<Reread>>, listening: impl FnOnce(&[SocketAddr])) -> Exit {
    match app::serve(config, reread, listening) {
        Ok(()) => Exit::Stopped,
        Err(error) => {
            output::failure(&error.to_string());
            if error.is_usage() { Exit::Usage } else { Exit::Failed }
        }
    }
}

fn demo(args: &DemoArgs) -> Exit {
    let progress = Progress::new("starting the simulated cluster");
    let cluster = match app::start_demo_cluster() {
        Ok(cluster) => cluster,
        Err(error) => return failed(&error),
    };
    let config = match args.resolve(&cluster.bootstrap_servers(), &SURROUNDINGS) {
        Ok((config, _)) => config,
        Err(errors) => {
            cluster.stop();
            return refused(&errors);
        }
    };
    logging::init(&config.log);
    drop(progress);
    let exit = run_daemon(&config, None, |addresses| output::note(&guide(addresses, &config.web.telemetry_path)));
    cluster.stop();
    exit
}

/// What the demo tells a person at the terminal.
fn guide(addresses: &[SocketAddr], path: &str) -> String {
    let url = addresses.first().map_or_else(String::new, |address| format!("http://{address}"));
    let mut text = format!(
        "\nA simulated Kafka cluster runs: three brokers, producers, and a cast of consumer groups.\n\
         The exporter polls it over TCP as it would a real one.\n\n  metrics  {url}{path}\n  status   {url}/\n\n"
    );
    for member in GUIDE {
        let _ = writeln!(text, "  {:<20} {}", member.group, member.story);
        let _ = writeln!(text, "  {:<20}   look at {}{{consumergroup=\"{}\"}}", "", member.metric, member.group);
    }
    let first = GUIDE.first().map_or("", |member| member.metric);
    let _ = write!(text, "\nTry:  curl -s {url}{path} | grep ^{first}\nCtrl-C ends it.\n");
    text
}

fn checked(args: &CheckArgs) -> Exit {
    let checked = match check::run(args, &SURROUNDINGS) {
        Ok(checked) => checked,
        Err(errors) => return refused(&errors),
    };
    output::config_warnings(&checked.warnings);
    let printed = print(checked.report.as_bytes());
    if !args.connect || printed != Exit::Stopped {
        return printed;
    }
    quiet_log(&checked.config);
    let progress = Progress::new("connecting");
    let runtime = match app::polling_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let found = runtime.block_on(app::connect(&checked.config, |text| progress.say(text)));
    runtime.shutdown_background();
    drop(progress);
    match print(found.text.as_bytes()) {
        Exit::Stopped if !found.is_well => Exit::Failed,
        exit => exit,
    }
}

fn snapshot(args: &SnapshotArgs) -> Exit {
    let resolved = args.resolve(&SURROUNDINGS);
    let (config, warnings): Resolved = match resolved {
        Ok(resolved) => resolved,
        Err(errors) => return refused(&errors),
    };
    output::config_warnings(&warnings);
    quiet_log(&config);
    match asked(async |progress| app::snapshot(&config, |text| progress.say(text)).await) {
        Ok(found) => print_found(&found, args.output),
        Err(exit) => exit,
    }
}

/// Runs what asks Kafka, and shows how it gets on.
fn asked<T>(ask: impl AsyncFnOnce(&Progress) -> Result<T, KafkaError>) -> Result<T, Exit> {
    let progress = Progress::new("connecting");
    let runtime = app::polling_runtime().map_err(|error| failed(&error))?;
    let found = runtime.block_on(ask(&progress));
    runtime.shutdown_background();
    drop(progress);
    found.map_err(|error| {
        output::failure(&error.to_string());
        // Nothing was asked yet: the properties are wrong.
        if matches!(error.cause, kafka::Cause::Property(_)) { Exit::Usage } else { Exit::Failed }
    })
}

/// Prints what one pass found. A cluster that was not reached is a failure, whatever else was printed.
fn print_found(found: &[Found], form: SnapshotOutput) -> Exit {
    let text = match form {
        SnapshotOutput::Table => Ok(found.iter().map(table).collect::<Vec<_>>().join("\n").into_bytes()),
        SnapshotOutput::Json => {
            let report =
                |found: &Found| ClusterReport::new(found.source.name.as_deref(), &found.snapshot, found.errors.clone());
            clusters_json(&found.iter().map(report).collect::<Vec<_>>()).map(|text| format!("{text}\n").into_bytes())
        }
        SnapshotOutput::Prometheus => {
            let clusters = found.iter().map(|found| ClusterView::of(&found.source)).collect();
            Ok(Exposition::new(View { clusters, ..View::default() }, Format::Text).into_bytes())
        }
    };
    if form != SnapshotOutput::Table {
        found.iter().flat_map(|found| &found.errors).for_each(|error| output::failure(error));
    }
    match text.map(|text| print(&text)) {
        Ok(Exit::Stopped) if found.iter().any(|found| !found.snapshot.world.up) => Exit::Failed,
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

fn table(found: &Found) -> String {
    cluster_table(found.source.name.as_deref(), &found.snapshot, &found.errors)
}

fn metrics(args: &MetricsArgs) -> Exit {
    if let Some(flag) = args.needs_estimate() {
        output::failure(&format!("--{flag} means something only with --estimate: the catalogue is the same for all"));
        return Exit::Usage;
    }
    if args.estimate {
        return estimate(args);
    }
    match args.output {
        MetricsOutput::Markdown => print(reference::markdown().as_bytes()),
        MetricsOutput::Json => match reference::json() {
            Ok(json) => print(format!("{json}\n").as_bytes()),
            Err(error) => failed(&error),
        },
    }
}

fn estimate(args: &MetricsArgs) -> Exit {
    let (config, warnings) = match args.resolve(&SURROUNDINGS) {
        Ok(resolved) => resolved,
        Err(errors) => return refused(&errors),
    };
    output::config_warnings(&warnings);
    quiet_log(&config);
    let estimated = match asked(async |progress| app::estimate(&config, |text| progress.say(text)).await) {
        Ok(estimated) => estimated,
        Err(exit) => return exit,
    };
    let is_reached = estimated.iter().all(|cluster| cluster.estimate.is_some());
    let reports: Vec<EstimateReport> = estimated.into_iter().map(estimate_report).collect();
    let text = match args.output {
        MetricsOutput::Markdown => reports.iter().map(EstimateReport::table).collect::<Vec<_>>().join("\n"),
        MetricsOutput::Json => match serde_json::to_string_pretty(&reports) {
            Ok(json) => json + "\n",
            Err(error) => return failed(&error),
        },
    };
    match print(text.as_bytes()) {
        Exit::Stopped if !is_reached => Exit::Failed,
        exit => exit,
    }
}

fn estimate_report(Estimated { found, estimate, size }: Estimated) -> EstimateReport {
    let (name, servers) = (found.source.name.as_deref(), &found.source.bootstrap_servers);
    EstimateReport::new(name, servers, estimate.as_ref(), (size.identity, size.gzip), found.errors)
}

/// The log of a command whose result is what it prints: warnings would say the same twice.
fn quiet_log(config: &Config) {
    let asked_for = config.log != LogSettings::default();
    let level = if asked_for { config.log.level.clone() } else { "error".to_owned() };
    let format = if config.log.format == LogFormat::Auto { LogFormat::Human } else { config.log.format };
    logging::init(&LogSettings { format, level });
}

fn print(text: &[u8]) -> Exit {
    output::result(text).map_or_else(|error| failed(&error), |()| Exit::Stopped)
}

fn failed(error: &dyn std::fmt::Display) -> Exit {
    output::failure(&error.to_string());
    Exit::Failed
}

fn refused(errors: &[ConfigError]) -> Exit {
    output::config_errors(errors);
    Exit::Usage
}
