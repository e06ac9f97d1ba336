//! The shipped alerts with their waiting times shortened: what takes a minute takes a second, nothing else differs.

use crate::rule_files::{alerts, files};

/// The fields that say how long something waits. Of rules: how long a condition holds before it is an alert, and how
/// long the alert outlives it (<https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>). Of
/// Alertmanager's routes: how long notifications are gathered and when they are repeated
/// (<https://prometheus.io/docs/alerting/latest/configuration/#route>). Ranges inside of expressions and limits are
/// none of them: these stay as they are shipped.
const WAITS: [&str; 5] = ["for", "keep_firing_for", "group_wait", "group_interval", "repeat_interval"];

/// How many times quicker it goes.
const QUICKER: u64 = 60;

/// The shipped rule files that everybody installs, by name, with times shortened.
#[track_caller]
pub(crate) fn rules() -> Vec<(String, String)> {
    shipped_rules().into_iter().map(|(name, text)| (name, hurry(&text))).collect()
}

/// The shipped configuration of Alertmanager, with times shortened.
#[track_caller]
pub(crate) fn alertmanager() -> String {
    hurry(&shipped_alertmanager())
}

fn shipped_rules() -> Vec<(String, String)> {
    let paths = files("rules", "yml").into_iter();
    paths
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a rule file"))
        })
        .collect()
}

fn shipped_alertmanager() -> String {
    std::fs::read_to_string(alerts("alertmanager.yml")).expect("alerts/alertmanager.yml")
}

/// Divides the durations of [`WAITS`] by [`QUICKER`], line by line; every other byte stays.
fn hurry(text: &str) -> String {
    text.split_inclusive('\n').map(|line| hurried(line).unwrap_or_else(|| line.to_owned())).collect()
}

/// A line that is one of [`WAITS`] with a duration.
fn hurried(line: &str) -> Option<String> {
    let (key, rest) = line.split_once(':')?;
    let name = key.trim_start().trim_start_matches("- ");
    if !WAITS.contains(&name) {
        return None;
    }
    let value = rest.split('#').next()?.trim().trim_matches(['"', '\'']);
    let shorter = milliseconds(value).unwrap_or_else(|| panic!("not a duration: {line:?}")) / QUICKER;
    Some(line.replacen(value, &format!("{shorter}ms"), 1))
}

/// A duration as Prometheus writes it, such as 1h30m or 15s.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0;
    while !rest.is_empty() {
        let digits = rest.find(|byte: char| !byte.is_ascii_digit())?;
        let unit_end = rest[digits..].find(|byte: char| byte.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let unit = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        sum += rest[..digits].parse::<u64>().ok()? * unit;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{QUICKER, WAITS, hurry, milliseconds, shipped_alertmanager, shipped_rules};

    #[test]
    fn only_waits_change() {
        let text = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: rate(x[5m]) > 10 # for: 5m\n    \
                    for: 5m # so long\n    keep_firing_for: \"1h30m\"\n    labels: {severity: info}\n";
        let hurried = hurry(text);
        let changed = text.replace("    for: 5m", "    for: 5000ms").replace("1h30m", "90000ms");
        assert_eq!(hurried, changed);
        assert_eq!(hurry("  group_wait: 30s\n"), "  group_wait: 500ms\n");
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("15s"), Some(15_000));
        assert_eq!(milliseconds("250ms"), Some(250));
        assert_eq!(milliseconds("2d"), Some(172_800_000));
        for none in ["", "5", "5x", "m"] {
            assert_eq!(milliseconds(none), None, "{none}");
        }
    }

    /// Both with every wait taken out: the same. And the waits are a sixtieth.
    #[track_caller]
    fn differ_in_waits_alone(name: &str, text: &str) {
        let mut before = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut after = serde_yaml::from_str(&hurry(text)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (long, short) = (waits(&mut before), waits(&mut after));
        assert_eq!(before, after, "{name}");
        assert_eq!(long.iter().map(|wait| wait / QUICKER).collect::<Vec<_>>(), short, "{name}");
    }

    /// Takes the waits out of a document, in the order in which they stand there.
    fn waits(node: &mut Value) -> Vec<u64> {
        match node {
            Value::Object(fields) => {
                let own: Vec<_> = WAITS.iter().filter_map(|name| fields.remove(*name)).collect();
                let own = own.iter().map(|wait| wait.as_str().and_then(milliseconds).expect("a duration"));
                own.chain(fields.values_mut().flat_map(waits).collect::<Vec<_>>()).collect()
            }
            Value::Array(items) => items.iter_mut().flat_map(waits).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn what_is_shipped_keeps_everything_but_its_waits() {
        let files = shipped_rules();
        assert!(files.len() >= 2, "{files:?}");
        for (name, text) in files {
            differ_in_waits_alone(&name, &text);
        }
        differ_in_waits_alone("alertmanager.yml", &shipped_alertmanager());
    }
}
