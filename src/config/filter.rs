//! Which topics and groups are exported: regexes to include and to exclude.

use std::fmt;

use regex::RegexSet;
use serde::{Serialize, Serializer, ser::SerializeMap};

/// A filter of names: those that any `include` matches and no `exclude`. Regexes are unanchored.
#[derive(Clone)]
pub struct NameFilter {
    include_patterns: Vec<String>,
    exclude_patterns: Vec<String>,
    include: RegexSet,
    exclude: RegexSet,
    is_match_all: bool,
}

impl NameFilter {
    /// Lets every name through.
    pub fn all() -> Self {
        Self {
            include_patterns: vec![".*".to_owned()],
            exclude_patterns: Vec::new(),
            include: RegexSet::empty(),
            exclude: RegexSet::empty(),
            is_match_all: true,
        }
    }

    /// Compiles a filter.
    ///
    /// # Errors
    /// When a pattern is no regex, or all of them together are too big.
    pub fn new(include: Vec<String>, exclude: Vec<String>) -> Result<Self, regex::Error> {
        let is_match_all = include.iter().any(|pattern| matches_every_name(pattern))
            && exclude.iter().all(|pattern| matches_no_name(pattern));
        Ok(Self {
            include: RegexSet::new(&include)?,
            exclude: RegexSet::new(exclude.iter().filter(|pattern| !matches_no_name(pattern)))?,
            include_patterns: include,
            exclude_patterns: exclude,
            is_match_all,
        })
    }

    /// Whether the topic or group of this name is exported.
    pub fn matches(&self, name: &str) -> bool {
        self.is_match_all || (self.include.is_match(name) && !self.exclude.is_match(name))
    }

    /// The regexes of which one must match, as they were written.
    pub fn include_patterns(&self) -> &[String] {
        &self.include_patterns
    }

    /// Whether every name passes, so that none needs to be looked at.
    pub fn is_match_all(&self) -> bool {
        self.is_match_all
    }
}

/// The usual ways to write "everything"; other patterns that match everything are only slower.
/// `^.*$` is none of them: a group's name may hold a line end, which `.` does not match.
fn matches_every_name(pattern: &str) -> bool {
    matches!(pattern, "" | ".*" | "^.*" | ".*$" | "^" | "$")
}

/// kafka_exporter's default exclusion, the empty name: who wrote it meant to exclude nothing.
fn matches_no_name(pattern: &str) -> bool {
    pattern == "^$"
}

impl PartialEq for NameFilter {
    fn eq(&self, other: &Self) -> bool {
        self.include_patterns == other.include_patterns && self.exclude_patterns == other.exclude_patterns
    }
}

impl fmt::Debug for NameFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "include {:?} exclude {:?}", self.include_patterns, self.exclude_patterns)
    }
}

impl Serialize for NameFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("include", &self.include_patterns)?;
        map.serialize_entry("exclude", &self.exclude_patterns)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> NameFilter {
        let owned = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        NameFilter::new(owned(include), owned(exclude)).unwrap()
    }

    #[test]
    fn regexes_are_unanchored_and_exclusion_wins() {
        let filter = filter(&["order", "^pay"], &["\\.dlq$", "^$"]);
        assert!(filter.matches("eu-orders") && filter.matches("payments"));
        assert!(!filter.matches("prepay") && !filter.matches("orders.dlq"));
        assert!(!filter.is_match_all());
    }

    #[test]
    fn knows_when_everything_matches() {
        assert!(filter(&[".*"], &["^$"]).is_match_all());
        assert!(filter(&["x", ""], &[]).is_match_all());
        assert!(!filter(&[".*"], &["x"]).is_match_all());
        assert!(NameFilter::all().matches("__consumer_offsets"));
        assert_eq!(filter(&[".*"], &[]), NameFilter::all());
    }
}
