//! What a key of the configuration is, and what the table of all keys says about a name.

use std::cmp::Reverse;

pub use super::keys::KEYS;

/// The shape of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// A number that may have a fraction.
    Decimal,
    /// A percentage such as `1%`.
    Percent,
    /// A time such as `15s` or `1m30s`.
    Duration,
    /// A path of a file.
    Path,
    /// A text that is never shown.
    Secret,
    /// A list of texts; as one text, separated by commas.
    List,
    /// A list of regular expressions; as one text, one expression.
    Patterns,
    /// Pairs of name and value; as one text, `name=value` separated by commas.
    Labels,
    /// Pairs of librdkafka property and value; as one text, `property=value` separated by semicolons.
    Properties,
    /// A section that `true` or `false` can stand for.
    Switch,
}

impl Kind {
    /// What the reference and the help call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "true or false",
            Self::Number | Self::Decimal => "number",
            Self::Percent => "percentage",
            Self::Duration => "duration",
            Self::Path => "path",
            Self::Secret => "secret",
            Self::List => "list",
            Self::Patterns => "list of regexes",
            Self::Labels | Self::Properties => "map",
            Self::Switch => "section, true or false",
        }
    }

    /// What stands for the value in the help of a flag.
    pub fn value_name(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "TEXT",
            Self::Boolean | Self::Switch => "BOOL",
            Self::Number | Self::Decimal => "N",
            Self::Percent => "PERCENT",
            Self::Duration => "DURATION",
            Self::Path => "FILE",
            Self::List => "LIST",
            Self::Patterns => "REGEX",
            Self::Labels => "NAME=VALUE",
            Self::Properties => "PROP=VALUE",
        }
    }
}

/// How a setting can be given outside of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// In the file only.
    No,
    /// As a flag `--NAME` and as the variable `KAFKASCOPE_NAME`.
    FlagAndEnv(&'static str),
    /// As the variable `KAFKASCOPE_NAME` only: a flag would show a secret in the process list.
    EnvOnly(&'static str),
}

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The path, with `clusters[]` for each cluster.
    pub path: &'static str,
    /// The shape of its value.
    pub kind: Kind,
    /// The default as it would be written; empty when there is none.
    pub default: &'static str,
    /// What it means, in one sentence or two.
    pub doc: &'static str,
    /// The flag and the variable that set it.
    pub outside: Outside,
    /// The only values that this version knows, for a key whose other values are yet to come.
    pub only: Option<&'static [&'static str]>,
}

impl Key {
    /// The flag without its dashes.
    pub fn flag(&self) -> Option<&'static str> {
        match self.outside {
            Outside::FlagAndEnv(name) => Some(name),
            Outside::No | Outside::EnvOnly(_) => None,
        }
    }

    /// The environment variable.
    pub fn env(&self) -> Option<String> {
        match self.outside {
            Outside::FlagAndEnv(name) | Outside::EnvOnly(name) => Some(env_name(name)),
            Outside::No => None,
        }
    }

    /// The last part of the path.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// Whether it belongs to one cluster.
    pub fn is_of_cluster(&self) -> bool {
        self.path.starts_with("clusters[]")
    }
}

/// The variable of a flag: `max-age` → `KAFKASCOPE_MAX_AGE`.
pub fn env_name(flag: &str) -> String {
    format!("KAFKASCOPE_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// The key with this path, `clusters[]` for any cluster.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names that a section may hold; empty for what is no section.
pub(crate) fn children(section: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS {
        let rest = if section.is_empty() {
            Some(key.path)
        } else {
            key.path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'))
        };
        let name = rest.and_then(|rest| rest.split('.').next()).map(|name| name.trim_end_matches("[]"));
        if let Some(name) = name
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// Advice for a name that a section does not know.
pub(crate) fn advice_for_unknown(section: &str, name: &str) -> String {
    let known = children(section);
    let plain = simplify(name);
    let close = known.iter().map(|known| (distance(&plain, &simplify(known)), known)).min();
    if let Some((steps, known)) = close
        && steps <= (plain.chars().count() / 3).max(1)
    {
        return format!("did you mean {known}?");
    }
    let elsewhere = KEYS.iter().filter_map(|key| {
        let at = key.path.find(&format!(".{name}")).filter(|_| !name.is_empty())?;
        let end = key.path.get(at + 1 + name.len()..)?;
        (end.is_empty() || end.starts_with(['.', '['])).then(|| key.path.get(..at)).flatten()
    });
    // Of several homes the nearest is meant.
    let nearest = elsewhere.min_by_key(|home| (Reverse(shared_parts(home, section)), home.split('.').count()));
    match nearest {
        Some(home) => format!("it belongs under {home}"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// How many parts two paths share from their beginning.
fn shared_parts(one: &str, other: &str) -> usize {
    one.split('.').zip(other.split('.')).take_while(|(one, other)| one == other).count()
}

/// Without case and separators, so that `bootstrap-servers` and `bootstrapServers` are close to `bootstrap_servers`.
fn simplify(name: &str) -> String {
    /// Longer names are compared by their beginning.
    const MAX_COMPARED: usize = 64;
    let kept = name.chars().filter(|c| c.is_alphanumeric()).take(MAX_COMPARED);
    kept.flat_map(char::to_lowercase).collect()
}

/// Edit distance: insertions, deletions and replacements (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, (to, pair)) in b.iter().zip(row.windows(2)).enumerate() {
            let (diagonal, above) = (pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0));
            let left = next.get(j).copied().unwrap_or(0);
            let replaced = diagonal + usize::from(from != *to);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_key_is_described_once() {
        let mut seen = HashSet::new();
        let mut flags = HashSet::new();
        for key in KEYS {
            assert!(seen.insert(key.path), "{} stands twice", key.path);
            assert!(key.doc.ends_with('.') && key.doc.len() > 8, "{} has no sentence", key.path);
            assert!(key.path.matches("clusters").count() <= 1);
            if let Some(flag) = key.flag() {
                assert!(flags.insert(flag), "--{flag} stands twice");
                assert!(flag.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "--{flag}");
            }
        }
    }

    #[test]
    fn knows_the_children_of_sections() {
        assert_eq!(children(""), ["web", "polling", "budget", "log", "state_file", "status", "clusters"]);
        assert_eq!(children("clusters[].collectors"), ["offsets", "groups", "commits", "configs"]);
        assert!(children("clusters[]").contains(&"sasl"));
        assert!(children("web.listen").is_empty());
        assert_eq!(children("clusters[].polling.overrides[]"), ["topics", "groups", "min_interval", "max_interval"]);
    }

    #[test]
    fn suggests_the_name_that_was_meant() {
        assert_eq!(advice_for_unknown("web", "listne"), "did you mean listen?");
        assert_eq!(advice_for_unknown("clusters[]", "bootstrapServers"), "did you mean bootstrap_servers?");
        assert_eq!(advice_for_unknown("", "topics"), "it belongs under clusters[]");
        assert_eq!(advice_for_unknown("clusters[]", "password"), "it belongs under clusters[].sasl");
        assert_eq!(advice_for_unknown("clusters[]", "interval"), "it belongs under clusters[].polling");
        assert_eq!(advice_for_unknown("web", "interval"), "it belongs under polling");
        assert_eq!(
            advice_for_unknown("clusters[].polling.overrides[]", "interval"),
            "it belongs under clusters[].polling"
        );
        assert_eq!(advice_for_unknown("clusters[].polling.overrides[]", "topic"), "did you mean topics?");
        assert_eq!(advice_for_unknown("clusters[]", "overrides"), "it belongs under clusters[].polling");
        assert_eq!(advice_for_unknown("log", "zzz"), "known here: format, level");
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
