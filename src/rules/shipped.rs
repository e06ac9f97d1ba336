//! The rule files as they are in the repository, in the order in which they are printed.

use super::Source;

/// Where the runbooks are that annotations of the shipped alerts point to; a page's name follows.
pub const RUNBOOKS: &str = "https://github.com/kafkascope/kafkascope/blob/main/alerts/runbooks/";

/// The limits of all alerts: the file that a user replaces by their own.
pub const THRESHOLDS: Source<'static> =
    Source { name: "alerts/rules/thresholds.yml", text: include_str!("../../alerts/rules/thresholds.yml") };

/// What the limits are held against, and the alerts.
pub(super) const RULES: [Source<'static>; 4] = [
    Source { name: "alerts/rules/recording.yml", text: include_str!("../../alerts/rules/recording.yml") },
    Source { name: "alerts/rules/consumer-groups.yml", text: include_str!("../../alerts/rules/consumer-groups.yml") },
    Source {
        name: "alerts/rules/topics-and-brokers.yml",
        text: include_str!("../../alerts/rules/topics-and-brokers.yml"),
    },
    Source { name: "alerts/rules/exporter.yml", text: include_str!("../../alerts/rules/exporter.yml") },
];

/// What is switched on by choice.
pub(super) const SERVICE_LEVELS: Source<'static> = Source {
    name: "alerts/optional/service-levels.yml",
    text: include_str!("../../alerts/optional/service-levels.yml"),
};
