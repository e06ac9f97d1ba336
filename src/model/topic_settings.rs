//! The settings of a topic that its numbers are judged by, read from what DescribeConfigs tells.

use std::sync::Arc;
use std::time::Duration;

use super::KafkaCode;

/// How long a topic keeps its records by age (`retention.ms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Nothing is deleted for its age (−1).
    Forever,
    /// What is older may be deleted.
    For(Duration),
}

/// What happens to old records (`cleanup.policy`): both may be on, or neither (KIP-1161).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleanup {
    /// Old segments are deleted, by age and by size.
    pub delete: bool,
    /// Of each key only the newest record is sure to stay.
    pub compact: bool,
}

/// The settings of one topic, as they are in force: its own or the broker's defaults.
/// Source of names and meanings: Kafka's documentation, "Topic Configs".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// `retention.ms`.
    pub retention: Retention,
    /// `retention.bytes`, per partition; `None`: unlimited.
    pub retention_bytes: Option<u64>,
    /// `min.insync.replicas`: with fewer in sync, producers that wait for all of them are refused.
    pub min_insync_replicas: u16,
    /// `cleanup.policy`.
    pub cleanup: Cleanup,
    /// `remote.storage.enable` (KIP-405): old segments lie in a remote store, the log on the brokers starts later.
    pub is_tiered: bool,
}

/// Why a setting makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicSettingError {
    /// The broker's answer lacks it.
    #[error("the broker does not tell {name}")]
    Missing {
        /// The setting, as Kafka names it.
        name: &'static str,
    },
    /// Its value is not one that Kafka documents.
    #[error("{name} is {value:?}, which is not {expected}")]
    Invalid {
        /// The setting, as Kafka names it.
        name: &'static str,
        /// What the broker said, cut to a readable length.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
}

/// What DescribeConfigs told of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedSettings {
    /// The topic.
    pub topic: Arc<str>,
    /// Its settings, or why there are none.
    pub settings: Result<TopicSettings, NoSettings>,
}

/// Why a topic's settings are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSettings {
    /// The broker did not tell them.
    #[error("{0}")]
    Code(KafkaCode),
    /// What it told makes no sense.
    #[error(transparent)]
    Nonsense(#[from] TopicSettingError),
}

/// How much of a value that makes no sense is shown.
const SHOWN_CHARACTERS: usize = 80;

impl TopicSettings {
    /// `retention.ms`, in Kafka's name.
    pub const RETENTION_MS: &'static str = "retention.ms";
    /// `retention.bytes`, in Kafka's name.
    pub const RETENTION_BYTES: &'static str = "retention.bytes";
    /// `min.insync.replicas`, in Kafka's name.
    pub const MIN_INSYNC_REPLICAS: &'static str = "min.insync.replicas";
    /// `cleanup.policy`, in Kafka's name.
    pub const CLEANUP_POLICY: &'static str = "cleanup.policy";
    /// `remote.storage.enable`, in Kafka's name.
    pub const REMOTE_STORAGE_ENABLE: &'static str = "remote.storage.enable";

    /// All of them, in Kafka's names: what DescribeConfigs is asked for.
    pub const NAMES: [&'static str; 5] = [
        Self::RETENTION_MS,
        Self::RETENTION_BYTES,
        Self::MIN_INSYNC_REPLICAS,
        Self::CLEANUP_POLICY,
        Self::REMOTE_STORAGE_ENABLE,
    ];

    /// Reads the settings from a topic's configuration; `value_of` tells a value by its name.
    ///
    /// # Errors
    /// When one is missing or makes no sense. Brokers before Kafka 3.6 know no `remote.storage.enable`: then it is off.
    pub fn parse<'a>(value_of: impl Fn(&str) -> Option<&'a str>) -> Result<Self, TopicSettingError> {
        let told = |name: &'static str| value_of(name).ok_or(TopicSettingError::Missing { name });
        let retention = limit(Self::RETENTION_MS, told(Self::RETENTION_MS)?)?;
        Ok(Self {
            retention: retention.map_or(Retention::Forever, |ms| Retention::For(Duration::from_millis(ms))),
            retention_bytes: limit(Self::RETENTION_BYTES, told(Self::RETENTION_BYTES)?)?,
            min_insync_replicas: at_least_one(Self::MIN_INSYNC_REPLICAS, told(Self::MIN_INSYNC_REPLICAS)?)?,
            cleanup: Cleanup::parse(told(Self::CLEANUP_POLICY)?)?,
            is_tiered: flag(Self::REMOTE_STORAGE_ENABLE, value_of(Self::REMOTE_STORAGE_ENABLE).unwrap_or("false"))?,
        })
    }

    /// After which age records are deleted; `None`: age deletes none, because `retention.ms` says so or because the topic
    /// is only compacted, which leaves `retention.ms` without effect.
    #[must_use]
    pub fn deletes_after(&self) -> Option<Duration> {
        match self.retention {
            Retention::For(age) if self.cleanup.delete => Some(age),
            Retention::For(_) | Retention::Forever => None,
        }
    }

    /// Whether the brokers delete old segments by themselves, by age or by size.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.deletes_after().is_some() || (self.cleanup.delete && self.retention_bytes.is_some())
    }
}

impl Cleanup {
    fn parse(value: &str) -> Result<Self, TopicSettingError> {
        let mut cleanup = Self::default();
        for policy in value.split(',').map(str::trim).filter(|policy| !policy.is_empty()) {
            match policy {
                "delete" => cleanup.delete = true,
                "compact" => cleanup.compact = true,
                _ => return Err(invalid(TopicSettings::CLEANUP_POLICY, value, "a list of delete and compact")),
            }
        }
        Ok(cleanup)
    }
}

/// A limit that −1 switches off.
fn limit(name: &'static str, value: &str) -> Result<Option<u64>, TopicSettingError> {
    match value.trim().parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) if number >= 0 => Ok(Some(number.unsigned_abs())),
        _ => Err(invalid(name, value, "a whole number from -1 on")),
    }
}

fn at_least_one(name: &'static str, value: &str) -> Result<u16, TopicSettingError> {
    let number = value.trim().parse::<u16>().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| invalid(name, value, "a number of replicas from 1 to 65535"))
}

fn flag(name: &'static str, value: &str) -> Result<bool, TopicSettingError> {
    match value.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(name, value, "true or false")),
    }
}

fn invalid(name: &'static str, value: &str, expected: &'static str) -> TopicSettingError {
    TopicSettingError::Invalid { name, value: value.chars().take(SHOWN_CHARACTERS).collect(), expected }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const DEFAULTS: [(&str, &str); 5] = [
        ("retention.ms", "604800000"),
        ("retention.bytes", "-1"),
        ("min.insync.replicas", "1"),
        ("cleanup.policy", "delete"),
        ("remote.storage.enable", "false"),
    ];

    fn parse(changed: &[(&str, Option<&'static str>)]) -> Result<TopicSettings, TopicSettingError> {
        TopicSettings::parse(|name| {
            let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            changed.iter().find(|(known, _)| *known == name).map_or_else(default, |(_, value)| *value)
        })
    }

    #[test]
    fn kafkas_defaults_are_read() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.retention, Retention::For(Duration::from_secs(7 * 86_400)));
        assert_eq!((settings.retention_bytes, settings.min_insync_replicas), (None, 1));
        assert_eq!((settings.cleanup, settings.is_tiered), (Cleanup { delete: true, compact: false }, false));
        assert_eq!(parse(&[("remote.storage.enable", None)]).unwrap(), settings, "as of a broker before Kafka 3.6");
    }

    #[test]
    fn age_deletes_only_where_the_policy_deletes_and_the_age_has_a_limit() {
        let after = |changed: &[(&str, Option<&'static str>)]| parse(changed).unwrap().deletes_after();
        assert_eq!(after(&[]), Some(Duration::from_secs(604_800)));
        assert_eq!(after(&[("retention.ms", Some("-1"))]), None);
        assert_eq!(after(&[("cleanup.policy", Some("compact"))]), None);
        assert_eq!(after(&[("cleanup.policy", Some(""))]), None);
        assert_eq!(after(&[("cleanup.policy", Some("compact, delete"))]), Some(Duration::from_secs(604_800)));
        assert_eq!(after(&[("retention.ms", Some("0"))]), Some(Duration::ZERO));
    }

    #[test]
    fn a_topic_without_limits_keeps_everything() {
        let limited = |changed: &[(&str, Option<&'static str>)]| parse(changed).unwrap().is_limited();
        assert!(limited(&[]));
        assert!(limited(&[("retention.ms", Some("-1")), ("retention.bytes", Some("5"))]));
        assert!(!limited(&[("retention.ms", Some("-1")), ("retention.bytes", Some("-1"))]));
        assert!(!limited(&[("cleanup.policy", Some("compact")), ("retention.bytes", Some("5"))]));
    }

    #[test]
    fn nonsense_is_named_with_its_value() {
        for (name, value) in [
            ("retention.ms", "-2"),
            ("retention.ms", "a week"),
            ("retention.bytes", "99999999999999999999"),
            ("min.insync.replicas", "0"),
            ("min.insync.replicas", "-1"),
            ("cleanup.policy", "delete,shred"),
            ("remote.storage.enable", "yes"),
        ] {
            let error = parse(&[(name, Some(value))]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        let error = parse(&[("cleanup.policy", None)]).unwrap_err();
        assert_eq!(error, TopicSettingError::Missing { name: "cleanup.policy" });
    }
}
