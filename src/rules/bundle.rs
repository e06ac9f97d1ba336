//! Which rules go together, what has to fit, and how they are written.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::shipped::{RULES, RUNBOOKS, SERVICE_LEVELS, THRESHOLDS};
use super::{Group, Metadata, Rule, RuleFile, Source, kubernetes};

/// Why there are no rules to print.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It is no YAML, or not that of a rule file.
    #[error("{file} is no Prometheus rule file: {cause}")]
    NoRuleFile {
        /// The file.
        file: String,
        /// What is wrong with it, and where.
        cause: serde_yaml::Error,
    },
    /// A rule that neither records nor alerts, or both.
    #[error("{file}: rule {number} of group {group} must have either `record` or `alert`")]
    NeitherNor {
        /// The file.
        file: String,
        /// The group's name.
        group: String,
        /// The rule's place in the group, from 1.
        number: usize,
    },
    /// Prometheus refuses two groups of one name.
    #[error("{file}: there is another group named {group}; give it another name")]
    RepeatedGroup {
        /// The file with the second one.
        file: String,
        /// The group's name.
        group: String,
    },
    /// Rules go by a series that nothing records.
    #[error(
        "{file} does not record {}, which the alerts need; `kafkascope rules --output thresholds` prints a file that \
         has all, to begin with",
        missing.join(", ")
    )]
    NotRecorded {
        /// The file that should record them.
        file: String,
        /// The series, by name.
        missing: Vec<String>,
    },
    /// Something cannot be written as YAML.
    #[error("the rules cannot be written as YAML: {0}")]
    Unwritable(serde_yaml::Error),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// A user's own limits in place of the shipped ones.
    pub thresholds: Option<Source<'a>>,
    /// The rules that are switched on by choice, too.
    pub service_levels: bool,
    /// Where a user's copies of the runbooks are.
    pub runbooks: Option<&'a str>,
}

/// Rules that fit together.
#[derive(Clone, Debug)]
pub struct Bundle {
    files: Vec<RuleFile>,
}

impl Bundle {
    /// Puts together what is asked for.
    ///
    /// # Errors
    /// When a user's thresholds are no rule file, do not record all that the others use, or repeat the name of a group.
    pub fn new(choice: Choice<'_>) -> Result<Self, RulesError> {
        let thresholds = choice.thresholds.unwrap_or(THRESHOLDS);
        let service_levels = choice.service_levels.then_some(SERVICE_LEVELS);
        Self::of([thresholds].into_iter().chain(RULES).chain(service_levels), choice.runbooks)
    }

    /// The first file is the one that has to record what the others lack.
    pub(super) fn of<'a>(
        sources: impl IntoIterator<Item = Source<'a>>,
        runbooks: Option<&str>,
    ) -> Result<Self, RulesError> {
        let runbooks = runbooks.map(|base| format!("{}/", base.trim_end_matches('/')));
        let mut files = Vec::new();
        for Source { name, text } in sources {
            let text = runbooks.as_ref().map_or_else(|| text.to_owned(), |base| text.replace(RUNBOOKS, base));
            files.push(RuleFile::read(Source { name, text: &text })?);
        }
        let bundle = Self { files };
        bundle.check_groups()?;
        bundle.check_recorded()?;
        Ok(bundle)
    }

    /// Its files.
    #[must_use]
    pub fn files(&self) -> &[RuleFile] {
        &self.files
    }

    /// Every rule of every file.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.files.iter().flat_map(RuleFile::rules)
    }

    fn check_groups(&self) -> Result<(), RulesError> {
        let mut seen = BTreeSet::new();
        // A user's file is the first and the one to be mended, so it is the one that is named.
        for file in self.files.iter().rev() {
            for group in &file.groups {
                if !seen.insert(&group.name) {
                    let (file, group) = (file.name.clone(), group.name.clone());
                    return Err(RulesError::RepeatedGroup { file, group });
                }
            }
        }
        Ok(())
    }

    fn check_recorded(&self) -> Result<(), RulesError> {
        let recorded: BTreeSet<&str> = self.rules().filter_map(|rule| rule.record.as_deref()).collect();
        let used: BTreeSet<&str> = self.rules().flat_map(Rule::uses).collect();
        let missing: Vec<String> = used.difference(&recorded).map(|name| (*name).to_owned()).collect();
        match self.files.first() {
            Some(first) if !missing.is_empty() => Err(RulesError::NotRecorded { file: first.name.clone(), missing }),
            _ => Ok(()),
        }
    }

    /// One rule file for Prometheus, with the comments of its parts.
    ///
    /// # Errors
    /// When a part has to be written anew and cannot be.
    pub fn rule_file(&self) -> Result<String, RulesError> {
        let mut text = format!(
            "# The alerting and recording rules of kafkascope {}, printed by `kafkascope rules`. For rule_files of \
             prometheus.yml.\ngroups:\n",
            env!("CARGO_PKG_VERSION")
        );
        for file in &self.files {
            // Writing into a string cannot fail.
            let _ = write!(text, "\n# ---- {} ----\n{}", file.name, file.as_items()?);
        }
        Ok(text)
    }

    /// The same groups as a `PrometheusRule` (monitoring.coreos.com/v1) for the Prometheus operator, without comments.
    ///
    /// # Errors
    /// When it cannot be written as YAML.
    pub fn prometheus_rule(&self, metadata: &Metadata) -> Result<String, RulesError> {
        let groups: Vec<&Group> = self.files.iter().flat_map(|file| &file.groups).collect();
        kubernetes::prometheus_rule(metadata, &groups)
    }
}
