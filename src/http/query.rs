//! Queries: `?collect[]=`, `?cluster=` and `?group=` narrow what is shown; what is unknown is refused.

use std::sync::Arc;

use crate::metrics::ClusterSource;
use crate::metrics::catalogue::EXPORTER_COLLECTOR;
use crate::metrics::exposition::Selection;
use crate::state::CollectorName;

/// Parameters that are looked at: there are fewer collectors and clusters than this.
const MAX_PARAMETERS: usize = 256;

/// What a query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Narrowed {
    /// Which families.
    pub(super) selection: Selection,
    /// Names of clusters; empty: all.
    pub(super) clusters: Vec<Arc<str>>,
}

/// Why a query is refused, in words for the one who wrote the scrape config.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// A parameter that does not exist.
    #[error("unknown parameter {0:?}; there are {1}")]
    Parameter(String, &'static str),
    /// A collector that does not exist.
    #[error("collect[]={0:?} is no collector; there are {1}")]
    Collector(String, String),
    /// A cluster that is not configured.
    #[error("cluster={0:?} is not configured; there are {1}")]
    Cluster(String, String),
    /// The only cluster has no name to ask for.
    #[error("cluster={0:?}: the only cluster has no name; leave the parameter out")]
    Nameless(String),
    /// More than anyone has reason to ask for.
    #[error("more than {MAX_PARAMETERS} parameters")]
    TooMany,
}

/// Reads a query.
pub(super) fn parse(query: &str, clusters: &[Arc<ClusterSource>]) -> Result<Narrowed, QueryError> {
    let mut narrowed = Narrowed::default();
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "collect[]" => narrowed.selection.collectors.push(collector(value)?),
            "cluster" => narrowed.clusters.push(cluster(value, clusters)?),
            _ => return Err(QueryError::Parameter(name, "collect[] and cluster")),
        }
    }
    Ok(narrowed)
}

/// Which groups a query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GroupQuery {
    /// Names of clusters; empty: all.
    pub(super) clusters: Vec<Arc<str>>,
    /// Names of groups; empty: all. One that is not there is not in the answer: groups come and go.
    groups: Vec<String>,
}

impl GroupQuery {
    /// Whether it asks for a group.
    pub(super) fn asks_for(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|asked| asked == group)
    }
}

/// Reads a query about groups.
pub(super) fn parse_groups(query: &str, clusters: &[Arc<ClusterSource>]) -> Result<GroupQuery, QueryError> {
    let mut asked = GroupQuery::default();
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "cluster" => asked.clusters.push(cluster(value, clusters)?),
            "group" => asked.groups.push(value),
            _ => return Err(QueryError::Parameter(name, "cluster and group")),
        }
    }
    Ok(asked)
}

/// The names and values of a query.
fn pairs(query: &str) -> Result<Vec<(String, String)>, QueryError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs: Vec<_> =
        pairs.take(MAX_PARAMETERS + 1).map(|(name, value)| (form_decoded(name), form_decoded(value))).collect();
    if pairs.len() > MAX_PARAMETERS { Err(QueryError::TooMany) } else { Ok(pairs) }
}

fn collector(value: String) -> Result<&'static str, QueryError> {
    let names = || CollectorName::ALL.iter().map(|name| name.as_str()).chain([EXPORTER_COLLECTOR]);
    names()
        .find(|name| *name == value)
        .ok_or_else(|| QueryError::Collector(value, names().collect::<Vec<_>>().join(", ")))
}

fn cluster(value: String, clusters: &[Arc<ClusterSource>]) -> Result<Arc<str>, QueryError> {
    let names = || clusters.iter().filter_map(|cluster| cluster.name.as_ref());
    if let Some(name) = names().find(|name| name.as_ref() == value) {
        return Ok(name.clone());
    }
    let known: Vec<&str> = names().map(AsRef::as_ref).collect();
    Err(if known.is_empty() { QueryError::Nameless(value) } else { QueryError::Cluster(value, known.join(", ")) })
}

/// Takes the percent-encoding of a form away, where `+` is a space.
fn form_decoded(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

/// Takes a percent-encoding away. What is no valid encoding stands as it is.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|digit| char::from(*digit).to_digit(16));
        let encoded = (*byte == b'%').then(|| Some(hex(1)? * 16 + hex(2)?)).flatten();
        match encoded.and_then(|value| u8::try_from(value).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(names: &[Option<&str>]) -> Vec<Arc<ClusterSource>> {
        names.iter().map(|name| Arc::new(ClusterSource::new(*name, Vec::new()))).collect()
    }

    #[test]
    fn known_values_narrow() {
        let clusters = clusters(&[Some("prod"), Some("test äö")]);
        let narrowed = parse("collect[]=groups&collect%5B%5D=exporter&cluster=test+%C3%A4%c3%b6", &clusters);
        let narrowed = narrowed.unwrap_or_default();
        assert_eq!(narrowed.selection.collectors, ["groups", "exporter"]);
        assert_eq!(narrowed.clusters, [Arc::from("test äö")]);
        assert_eq!(parse("", &clusters), Ok(Narrowed::default()));
        assert_eq!(parse("&&", &clusters), Ok(Narrowed::default()));
    }

    #[test]
    fn unknown_values_are_refused_with_what_there_is() {
        let named = clusters(&[Some("prod"), Some("test")]);
        let message = |query: &str, clusters| parse(query, clusters).map_err(|error| error.to_string());
        let cases = [
            (
                "collect[]=disks",
                "collect[]=\"disks\" is no collector; there are brokers, topics, offsets, groups, commits, configs, exporter",
            ),
            ("cluster=dev", "cluster=\"dev\" is not configured; there are prod, test"),
            ("cluster=%", "cluster=\"%\" is not configured; there are prod, test"),
            ("name[]=x", "unknown parameter \"name[]\"; there are collect[] and cluster"),
            (
                "collect[]",
                "collect[]=\"\" is no collector; there are brokers, topics, offsets, groups, commits, configs, exporter",
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(message(query, &named), Err(expected.to_owned()), "{query}");
        }
        let nameless = clusters(&[None]);
        let expected = "cluster=\"prod\": the only cluster has no name; leave the parameter out";
        assert_eq!(message("cluster=prod", &nameless), Err(expected.to_owned()));
        let many = "cluster=prod&".repeat(MAX_PARAMETERS + 1);
        assert_eq!(parse(&many, &named), Err(QueryError::TooMany));
    }
}
