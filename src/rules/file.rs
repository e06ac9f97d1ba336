//! A rule file: its groups as data, and its text as it was written, comments included.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RulesError;

/// The text of a file, and what it is called in messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path, as the reader of a message would look for it.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// A group of rules that are evaluated one after the other.
///
/// The fields are those of <https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/>; a
/// `PrometheusRule` has the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Unique in a file.
    pub name: String,
    /// How often it is evaluated; Prometheus's `evaluation_interval` where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// How many alerts or series a rule may have; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How far back in time the expressions are evaluated (Prometheus 2.53 and newer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_offset: Option<String>,
    /// Labels of all its rules (Prometheus 3 and newer).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The rules, in the order of their evaluation.
    pub rules: Vec<Rule>,
}

/// A recording rule, or an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name of the series that it records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The name of the alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// What is evaluated, in PromQL.
    pub expr: String,
    /// How long the expression has to hold before the alert fires.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub pending_for: Option<String>,
    /// How long the alert fires on when the expression holds no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<String>,
    /// Labels that are added, or replaced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Texts of the alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    /// The names that begin with `kafkascope:` in its expression: what other rules have to record for it. Of a regex of names
    /// it knows those that are whole.
    pub fn uses(&self) -> BTreeSet<&str> {
        self.expr.lines().map(without_comment).flat_map(recorded_names).collect()
    }
}

fn recorded_names(line: &str) -> impl Iterator<Item = &str> {
    line.split_inclusive(|char| !is_of_name(char)).filter_map(|part| {
        let name = part.trim_end_matches(|char| !is_of_name(char));
        // No series is called like a function: what precedes a parenthesis is the beginning of a regex.
        (name.starts_with("kafkascope:") && !part.ends_with('(')).then_some(name)
    })
}

/// What precedes a `#` that begins a word.
fn without_comment(line: &str) -> &str {
    let begins_word = |at: &usize| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').map(|(at, _)| at).find(begins_word).map_or(line, |at| &line[..at])
}

fn is_of_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | ':')
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    groups: Vec<Group>,
}

/// A rule file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleFile {
    /// What it is called in messages.
    pub name: String,
    /// Its groups, in their order.
    pub groups: Vec<Group>,
    text: String,
}

impl RuleFile {
    /// Reads a rule file.
    ///
    /// # Errors
    /// When it is no YAML, has other fields than a rule file, or a rule that neither records nor alerts, or both.
    pub fn read(source: Source<'_>) -> Result<Self, RulesError> {
        let Content { groups } = serde_yaml::from_str(source.text)
            .map_err(|cause| RulesError::NoRuleFile { file: source.name.to_owned(), cause })?;
        for group in &groups {
            if let Some(at) = group.rules.iter().position(|rule| rule.record.is_some() == rule.alert.is_some()) {
                let (file, group) = (source.name.to_owned(), group.name.clone());
                return Err(RulesError::NeitherNor { file, group, number: at + 1 });
            }
        }
        Ok(Self { name: source.name.to_owned(), groups, text: source.text.to_owned() })
    }

    /// Every rule of every group.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }

    /// The file as part of a larger one: what follows its line `groups:`, with the comments before that on top. As it was written
    /// where that can stand in a list with others, otherwise written anew, without comments.
    ///
    /// # Errors
    /// When it has to be written anew and cannot be.
    pub(super) fn as_items(&self) -> Result<String, RulesError> {
        let written = items_of(&self.text);
        let means_the_same = |items: &String| {
            serde_yaml::from_str::<Content>(&format!("groups:\n{items}")).is_ok_and(|read| read.groups == self.groups)
        };
        if let Some(items) = written.filter(means_the_same) {
            return Ok(items);
        }
        let anew = serde_yaml::to_string(&Content { groups: self.groups.clone() }).map_err(RulesError::Unwritable)?;
        Ok(items_of(&anew).unwrap_or_default())
    }
}

/// Comments, and the items of `groups:` indented by two, unless the text is of another form.
fn items_of(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let groups = lines.iter().position(|line| line.split('#').next().is_some_and(|key| key.trim_end() == "groups:"))?;
    let (before, after) = (lines.get(..groups)?, lines.get(groups + 1..)?);
    let comments = before.iter().copied().filter(|line| *line != "---");
    if comments.clone().any(|line| !line.is_empty() && !line.starts_with('#')) {
        return None;
    }
    let first = after.iter().find(|line| line.trim_start().starts_with('-'))?;
    let indent = first.len() - first.trim_start().len();
    let mut items = String::new();
    for line in comments.map(str::to_owned).chain(after.iter().map(|line| indented(line, indent))) {
        items.push_str(&line);
        items.push('\n');
    }
    Some(items)
}

/// A line of a list that was indented by `from`, indented by two.
fn indented(line: &str, from: usize) -> String {
    const TO: usize = 2;
    if line.is_empty() {
        return String::new();
    }
    let own = line.len() - line.trim_start_matches(' ').len();
    let spaces = if from > TO { own - own.min(from - TO) } else { own + TO - from };
    format!("{:spaces$}{}", "", line.trim_start_matches(' '))
}
