//! Rules as an object of Kubernetes: the names that it takes, and the YAML.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Group, RulesError};

/// The names under which the object is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its name, a DNS subdomain.
    pub name: String,
    /// Its namespace, a DNS label; `None`: the one that it is applied to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels: a Prometheus selects its rules by them (`ruleSelector`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Why Kubernetes would not take a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Not as RFC 1123 wants it.
    #[error(
        "must be lower case letters, digits and `-`, beginning and ending with a letter or digit, at most 63 of them"
    )]
    Label,
    /// Not as RFC 1123 wants it, with dots.
    #[error(
        "must be lower case letters, digits, `-` and `.`, each part beginning and ending with a letter or digit, at \
         most 253 of them"
    )]
    Subdomain,
    /// No `=`.
    #[error("must be NAME=VALUE")]
    NoPair,
    /// No name of a label.
    #[error(
        "the name must be at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit; a \
         DNS name and `/` may precede it"
    )]
    LabelName,
    /// No value of a label.
    #[error(
        "the value must be empty or at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter \
         or digit"
    )]
    LabelValue,
}

/// The longest label of a DNS name, and the longest name or value of a label of Kubernetes, in bytes.
const MAX_LABEL: usize = 63;

/// The longest DNS name that Kubernetes takes, in bytes.
const MAX_SUBDOMAIN: usize = 253;

/// Checks a namespace: an RFC 1123 label
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>).
///
/// # Errors
/// When Kubernetes would refuse it.
pub fn dns_label(text: &str) -> Result<String, NameFault> {
    let is_well = text.len() <= MAX_LABEL && is_dns_part(text);
    is_well.then(|| text.to_owned()).ok_or(NameFault::Label)
}

/// Checks an object's name: an RFC 1123 subdomain.
///
/// # Errors
/// When Kubernetes would refuse it.
pub fn dns_subdomain(text: &str) -> Result<String, NameFault> {
    let is_well = text.len() <= MAX_SUBDOMAIN && text.split('.').all(is_dns_part);
    is_well.then(|| text.to_owned()).ok_or(NameFault::Subdomain)
}

/// Reads a label, `NAME=VALUE`
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).
///
/// # Errors
/// When Kubernetes would refuse it.
pub fn label(text: &str) -> Result<(String, String), NameFault> {
    let (key, value) = text.split_once('=').ok_or(NameFault::NoPair)?;
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if prefix.is_some_and(|prefix| dns_subdomain(prefix).is_err()) || !is_label_text(name) {
        return Err(NameFault::LabelName);
    }
    if !value.is_empty() && !is_label_text(value) {
        return Err(NameFault::LabelValue);
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn is_dns_part(text: &str) -> bool {
    let is_lower = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    text.starts_with(is_lower) && text.ends_with(is_lower) && text.chars().all(|char| is_lower(char) || char == '-')
}

fn is_label_text(text: &str) -> bool {
    let is_alphanumeric = |char: char| char.is_ascii_alphanumeric();
    text.len() <= MAX_LABEL
        && text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.chars().all(|char| is_alphanumeric(char) || matches!(char, '-' | '_' | '.'))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PrometheusRule<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: &'a Metadata,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    groups: &'a [&'a Group],
}

/// The object's YAML; its fields are those of
/// <https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule>.
pub(super) fn prometheus_rule(metadata: &Metadata, groups: &[&Group]) -> Result<String, RulesError> {
    let object = PrometheusRule {
        api_version: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata,
        spec: Spec { groups },
    };
    let yaml = serde_yaml::to_string(&object).map_err(RulesError::Unwritable)?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!("# The rules of kafkascope {version}, printed by `kafkascope rules --output prometheusrule`.\n{yaml}"))
}
