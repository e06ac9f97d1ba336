//! What promtool's unit tests of the rules observe: which alert fires at what time, and which does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

/// An alert's name and severity.
pub(crate) type Named = (String, String);

/// What one test observes, all of it of the same input.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    looks: Vec<Look>,
    /// Alerts whose texts were compared.
    pub(crate) worded: BTreeSet<String>,
}

/// A moment of a test, in seconds of its time.
#[derive(Debug)]
struct Look {
    at: u64,
    /// The alert that was looked for; `None`: every one.
    only: Option<String>,
    firing: BTreeSet<Named>,
}

impl Observed {
    fn looks_at<'a>(&'a self, alert: &'a Named) -> impl Iterator<Item = (u64, bool)> + 'a {
        let looks = self.looks.iter().filter(|look| look.only.as_ref().is_none_or(|only| *only == alert.0));
        looks.map(|look| (look.at, look.firing.contains(alert)))
    }

    /// Whether the alert is seen to fire.
    pub(crate) fn fires(&self, alert: &Named) -> bool {
        self.looks_at(alert).any(|(_, is_firing)| is_firing)
    }

    /// Whether the alert is seen not to fire, and later to fire.
    pub(crate) fn begins(&self, alert: &Named) -> bool {
        let first_silent = self.looks_at(alert).filter(|(_, is_firing)| !is_firing).map(|(at, _)| at).min();
        self.looks_at(alert).any(|(at, is_firing)| is_firing && first_silent.is_some_and(|silent| silent < at))
    }

    /// Whether the alert is seen to fire, and later not to.
    pub(crate) fn resolves(&self, alert: &Named) -> bool {
        let first_firing = self.looks_at(alert).filter(|(_, is_firing)| *is_firing).map(|(at, _)| at).min();
        self.looks_at(alert).any(|(at, is_firing)| !is_firing && first_firing.is_some_and(|firing| firing < at))
    }
}

#[derive(Deserialize)]
struct File {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<ExpressionTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    eval_time: String,
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Deserialize)]
struct ExpectedAlert {
    #[serde(default)]
    exp_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ExpressionTest {
    expr: String,
    eval_time: String,
    #[serde(default)]
    exp_samples: Vec<ExpectedSample>,
}

#[derive(Deserialize)]
struct ExpectedSample {
    labels: String,
}

/// Reads a file of unit tests.
#[track_caller]
pub(crate) fn observed(path: &Path) -> Vec<Observed> {
    let text = std::fs::read_to_string(path).expect("a file of unit tests");
    let file: File = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.tests.into_iter().map(observed_by).collect()
}

fn observed_by(test: Test) -> Observed {
    let mut observed = Observed::default();
    for check in test.alert_rule_test {
        if !check.exp_alerts.is_empty() {
            observed.worded.insert(check.alertname.clone());
        }
        let severity = |alert: &ExpectedAlert| alert.exp_labels.get("severity").cloned().unwrap_or_default();
        let firing = check.exp_alerts.iter().map(|alert| (check.alertname.clone(), severity(alert))).collect();
        observed.looks.push(Look { at: seconds(&check.eval_time), only: Some(check.alertname), firing });
    }
    for check in test.promql_expr_test.into_iter().filter(|check| lists_all_that_fires(&check.expr)) {
        let named = |sample: &ExpectedSample| (label(&sample.labels, "alertname"), label(&sample.labels, "severity"));
        let firing = check.exp_samples.iter().map(named).collect();
        observed.looks.push(Look { at: seconds(&check.eval_time), only: None, firing });
    }
    observed
}

/// Whether an expression is all firing alerts, told apart by name and severity at least.
fn lists_all_that_fires(expression: &str) -> bool {
    let grouped = expression.strip_prefix("sum by (").or_else(|| expression.strip_prefix("count by ("));
    let parts = grouped.and_then(|rest| rest.split_once(") (ALERTS{alertstate=\"firing\"})"));
    parts.is_some_and(|(labels, rest)| {
        let labels: Vec<&str> = labels.split(',').map(str::trim).collect();
        rest.is_empty() && labels.contains(&"alertname") && labels.contains(&"severity")
    })
}

/// A label's value in a series as it is written; empty where it has none.
fn label(series: &str, name: &str) -> String {
    let value = series.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    value.map_or_else(String::new, |(value, _)| value.to_owned())
}

/// Prometheus's durations, such as `1h30m`.
#[track_caller]
fn seconds(duration: &str) -> u64 {
    let (mut total, mut digits) = (0, String::new());
    for char in duration.chars() {
        let unit = match char {
            '0'..='9' => {
                digits.push(char);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => panic!("{duration} is no duration that is known here"),
        };
        total += unit * digits.parse::<u64>().unwrap_or_else(|_| panic!("{duration} is no duration"));
        digits.clear();
    }
    total
}

#[test]
fn rule_tests_tell_what_fires_from_what_does_not() {
    let dir = crate::tools::scratch("rule-tests");
    let path = dir.path().join("tests.yml");
    let text = r#"
tests:
  - alert_rule_test:
      - {eval_time: 1h1m, alertname: A, exp_alerts: [{exp_labels: {severity: warning}}]}
      - {eval_time: 3659s, alertname: A}
      - {eval_time: 1m, alertname: B, exp_alerts: [{exp_labels: {severity: info}}]}
  - promql_expr_test:
      - expr: 'sum by (alertname, severity) (ALERTS{alertstate="firing"})'
        eval_time: 5m
        exp_samples: [{labels: '{alertname="B", severity="info"}', value: 1}]
      - {expr: 'sum by (alertname, severity) (ALERTS{alertstate="firing"})', eval_time: 6m}
      - {expr: 'sum by (alertname, severity) (ALERTS{alertstate="firing", x="y"})', eval_time: 1m}
"#;
    std::fs::write(&path, text).unwrap();
    let observed = observed(&path);
    let said = |alert: &str, severity: &str| -> Vec<(bool, bool, bool)> {
        let alert = (alert.to_owned(), severity.to_owned());
        observed.iter().map(|one| (one.fires(&alert), one.begins(&alert), one.resolves(&alert))).collect()
    };
    assert_eq!(said("A", "warning"), [(true, true, false), (false, false, false)]);
    assert_eq!(said("A", "critical"), [(false, false, false), (false, false, false)]);
    assert_eq!(said("B", "info"), [(true, false, false), (true, false, true)]);
    assert_eq!(observed[0].worded, BTreeSet::from(["A".to_owned(), "B".to_owned()]));
}
