//! The rules that come with kafkascope, as Prometheus reads them from a file or its operator from Kubernetes.
//!
//! The files of `alerts/` are built in as they are: who has the program has the rules that fit its metrics. Nothing here
//! reads a file or prints; the command is `cli::rules`.

mod bundle;
mod file;
mod kubernetes;
mod shipped;
#[cfg(test)]
mod tests;

pub use bundle::{Bundle, Choice, RulesError};
pub use file::{Group, Rule, RuleFile, Source};
pub use kubernetes::{Metadata, NameFault, dns_label, dns_subdomain, label};
pub use shipped::{RUNBOOKS, THRESHOLDS};
