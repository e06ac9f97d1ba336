//! `kafkascope record`: observations of live clusters as a file that can be replayed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::flags::{AskingKafka, SettingFlags};
use super::{Exit, Request, resolve};
use super::{logging, output};
use crate::app::{self, RecordError, RecordLimits};
use crate::config::{self, ConfigError, Resolved, Surroundings};
use crate::kafka::{Cause, KafkaError};

/// A recording is as large as this at most, unless told otherwise, in MiB.
const DEFAULT_MEBIBYTES: u64 = 1024;
/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

const AFTER_LONG_HELP: &str = "\
Example:
  kafkascope record --bootstrap-servers kafka:9092 --duration 10m --output recording.jsonl
  kafkascope replay recording.jsonl
      Ten minutes of a cluster. Lines with \"print\": true, put in between, say what is to be printed when.

The names of topics and groups stand in a recording, and offsets; no records, no addresses, no passwords.
It holds what the filters let through, and is polled as the daemon would poll it.";

/// Arguments of `record`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct RecordArgs {
    /// Config file (YAML) [env: KAFKASCOPE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The recording; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// How long to record, such as 10m [default: until SIGINT or SIGTERM]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How large the recording may become, in MiB; then recording ends with code 1
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_MEBIBYTES, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub max_size: u64,
    /// Flags of single settings.
    #[command(flatten)]
    pub settings: SettingFlags<AskingKafka>,
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text, Duration::from_secs(1)..=LONGEST)
}

impl RecordArgs {
    /// The configuration from flags, environment and file.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn resolve(&self, surroundings: &dyn Surroundings) -> Result<Resolved, Vec<ConfigError>> {
        let settings = self.settings.settings(surroundings);
        resolve(Request { config: self.config.clone(), settings, kafka_exporter: None }, surroundings)
    }

    fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        if self.output == Path::new("-") {
            return Ok(Box::new(output::Results));
        }
        Ok(Box::new(BufWriter::new(File::create(&self.output)?)))
    }
}

/// Records.
pub(super) fn run(args: &RecordArgs, surroundings: &dyn Surroundings) -> Exit {
    let (config, warnings) = match args.resolve(surroundings) {
        Ok(resolved) => resolved,
        Err(errors) => {
            output::config_errors(&errors);
            return Exit::Usage;
        }
    };
    output::config_warnings(&warnings);
    logging::init(&config.log);
    let out = match args.open() {
        Ok(out) => out,
        Err(error) => {
            output::failure(&format!("{} cannot be written: {error}", args.output.display()));
            return Exit::Usage;
        }
    };
    let limits = RecordLimits { duration: args.duration, bytes: args.max_size << 20 };
    let runtime = match app::polling_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::failure(&error.to_string());
            return Exit::Failed;
        }
    };
    let outcome = runtime.block_on(app::record(&config, out, limits));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => Exit::Stopped,
        // Whoever reads it has seen enough.
        Err(RecordError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Stopped,
        Err(error) => {
            output::failure(&error.to_string());
            let is_usage =
                matches!(error, RecordError::Client { error: KafkaError { cause: Cause::Property(_), .. }, .. });
            if is_usage { Exit::Usage } else { Exit::Failed }
        }
    }
}
