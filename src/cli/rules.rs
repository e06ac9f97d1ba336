//! `kafkascope rules`: the alerting and recording rules that fit this version's metrics.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Exit, output};
use crate::rules::{self, Bundle, Choice, Metadata, RulesError, Source};

const AFTER_HELP: &str = "\
Examples:
  kafkascope rules > /etc/prometheus/rules/kafkascope.yml
      For rule_files of prometheus.yml.
  kafkascope rules --output thresholds > thresholds.yml
  kafkascope rules --thresholds thresholds.yml
      The limits of all alerts are in one file. Edit it, and print the rules with it.
  kafkascope rules --output prometheusrule --label release=prometheus | kubectl apply -f -
      For the Prometheus operator. The labels are those that its ruleSelector asks for.

Exit codes:
  0  printed
  1  could not be written
  2  the command line or the thresholds are wrong; nothing was printed";

/// The largest file of thresholds, in bytes: hundreds of times the shipped one.
const MAX_THRESHOLDS: u64 = 1 << 20;

/// The longest base of runbooks, in bytes.
const MAX_URL: usize = 2000;

/// The name of the object where none is given.
const DEFAULT_NAME: &str = "kafkascope";

/// Arguments of `rules`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct RulesArgs {
    /// prometheus (a rule file), prometheusrule (for the Prometheus operator) or thresholds (the limits alone, to edit)
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true, default_value_t = RulesOutput::Prometheus)]
    pub output: RulesOutput,
    /// Take the limits of the alerts from this file instead: thresholds.yml, edited
    #[arg(long, value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// Add the alerts on service levels: throughput, availability, error ratio and the like, which suit not everyone
    #[arg(long)]
    pub service_levels: bool,
    /// Let runbook_url point to your copies of the runbooks: ALERT.md below this URL
    #[arg(long, value_name = "URL", value_parser = url)]
    pub runbooks: Option<String>,
    /// For prometheusrule: the object's name [default: kafkascope]
    #[arg(long, value_name = "NAME", value_parser = rules::dns_subdomain)]
    pub name: Option<String>,
    /// For prometheusrule: the object's namespace [default: the one that it is applied to]
    #[arg(long, value_name = "NAME", value_parser = rules::dns_label)]
    pub namespace: Option<String>,
    /// For prometheusrule: a label of the object; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = rules::label)]
    pub labels: Vec<(String, String)>,
}

/// The forms of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RulesOutput {
    /// A rule file.
    Prometheus,
    /// An object of the Prometheus operator.
    #[value(name = "prometheusrule")]
    PrometheusRule,
    /// The shipped thresholds alone.
    Thresholds,
}

/// Why nothing is printed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("--{0} means something only with --output {1}")]
    OfAnotherForm(&'static str, &'static str),
    #[error("--label {0} is given twice")]
    LabelTwice(String),
    #[error("cannot read the thresholds {}: {cause}", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("{} is larger than {MAX_THRESHOLDS} bytes: these are no thresholds", .0.display())]
    TooLarge(PathBuf),
    #[error(transparent)]
    Rules(#[from] RulesError),
}

/// Prints the rules.
pub(super) fn run(args: &RulesArgs) -> Exit {
    match args.text() {
        Ok(text) => match output::result(text.as_bytes()) {
            Ok(()) => Exit::Stopped,
            Err(error) => {
                output::failure(&error.to_string());
                Exit::Failed
            }
        },
        Err(fault) => {
            output::failure(&fault.to_string());
            Exit::Usage
        }
    }
}

impl RulesArgs {
    fn text(&self) -> Result<String, Fault> {
        self.check()?;
        if self.output == RulesOutput::Thresholds {
            return Ok(rules::THRESHOLDS.text.to_owned());
        }
        let thresholds = self.thresholds.as_deref().map(|file| Ok::<_, Fault>((file.to_string_lossy(), read(file)?)));
        let thresholds = thresholds.transpose()?;
        let bundle = Bundle::new(Choice {
            thresholds: thresholds.as_ref().map(|(name, text)| Source { name, text }),
            service_levels: self.service_levels,
            runbooks: self.runbooks.as_deref(),
        })?;
        Ok(match self.output {
            RulesOutput::PrometheusRule => bundle.prometheus_rule(&self.metadata()?)?,
            _ => bundle.rule_file()?,
        })
    }

    /// A flag that would change nothing is a mistake.
    fn check(&self) -> Result<(), Fault> {
        let of_object = [
            ("name", self.name.is_some()),
            ("namespace", self.namespace.is_some()),
            ("label", !self.labels.is_empty()),
        ];
        let of_rules = [
            ("thresholds", self.thresholds.is_some()),
            ("service-levels", self.service_levels),
            ("runbooks", self.runbooks.is_some()),
        ];
        let given =
            |flags: &[(&'static str, bool)]| flags.iter().find(|(_, is_given)| *is_given).map(|(name, _)| *name);
        match (self.output, given(&of_object), given(&of_rules)) {
            (RulesOutput::Prometheus | RulesOutput::Thresholds, Some(flag), _) => {
                Err(Fault::OfAnotherForm(flag, "prometheusrule"))
            }
            (RulesOutput::Thresholds, None, Some(flag)) => {
                Err(Fault::OfAnotherForm(flag, "prometheus or prometheusrule"))
            }
            _ => Ok(()),
        }
    }

    fn metadata(&self) -> Result<Metadata, Fault> {
        let mut labels = BTreeMap::new();
        for (name, value) in &self.labels {
            if labels.insert(name.clone(), value.clone()).is_some() {
                return Err(Fault::LabelTwice(name.clone()));
            }
        }
        let name = self.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        Ok(Metadata { name, namespace: self.namespace.clone(), labels })
    }
}

fn read(file: &Path) -> Result<String, Fault> {
    let unreadable = |cause| Fault::Unreadable { file: file.to_owned(), cause };
    let mut text = String::new();
    let opened = File::open(file).map_err(unreadable)?;
    let length = opened.take(MAX_THRESHOLDS + 1).read_to_string(&mut text).map_err(unreadable)?;
    if length as u64 > MAX_THRESHOLDS { Err(Fault::TooLarge(file.to_owned())) } else { Ok(text) }
}

/// A URL that can stand in YAML and in Prometheus's templates as it is.
fn url(text: &str) -> Result<String, String> {
    let is_http = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain =
        |char: char| char.is_ascii_graphic() && !matches!(char, '"' | '\'' | '`' | '\\' | '{' | '}' | '<' | '>');
    let is_well = is_http.is_some_and(|rest| !rest.is_empty()) && text.len() <= MAX_URL && text.chars().all(is_plain);
    is_well.then(|| text.to_owned()).ok_or_else(|| {
        format!("must be a URL that begins with http:// or https://, without blanks, quotes and braces, of at most {MAX_URL} bytes")
    })
}
