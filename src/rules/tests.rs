//! Rules that fit together, and those that do not; texts that survive, and those that are written anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first thing that is not as it should be")]

use std::collections::BTreeMap;

use super::*;

const LIMITS: &str = "\
# How to set limits.
groups:
  - name: limits
    interval: 1m
    rules:
      # The limit of a.
      - record: kafkascope:a:limit
        expr: |2
            # 7 * kafkascope:x:known   <- overrides above
            # or
            5 * kafkascope:known
      - {record: 'kafkascope:known', expr: group(kafka_up)}
";

/// Another indentation, a comment that has none, a text in braces, a runbook.
const ALERTS: &str = "\
---
groups: # of alerts
- name: alerts
  limit: 10
  rules:
# Not indented.
  - alert: KafkaA
    expr: kafkascope:a > on (job) kafkascope:a:limit # kafkascope:b
    for: 5m
    keep_firing_for: 10m
    labels: {severity: warning}
    annotations:
      summary: 'a{{ with $labels.cluster_name }} on {{ . }}{{ end }}'
      description: |
        One line: with a colon.

          # This is text.
      runbook_url: https://github.com/kafkascope/kafkascope/blob/main/alerts/runbooks/KafkaA.md
- name: more
  rules:
  - record: kafkascope:a
    expr: max(kafka_brokers)
";

fn bundle(limits: &str, alerts: &str) -> Result<Bundle, RulesError> {
    let sources = [Source { name: "limits.yml", text: limits }, Source { name: "alerts.yml", text: alerts }];
    Bundle::of(sources, None)
}

fn metadata() -> Metadata {
    let labels = BTreeMap::from([("release".to_owned(), "prometheus".to_owned())]);
    Metadata { name: "kafkascope".to_owned(), namespace: Some("monitoring".to_owned()), labels }
}

/// The groups of a YAML text below some keys.
fn groups_in(yaml: &str, keys: &[&str]) -> Vec<Group> {
    let mut value: serde_yaml::Value = serde_yaml::from_str(yaml).unwrap();
    for key in keys {
        value = value.get(*key).unwrap().clone();
    }
    serde_yaml::from_value(value).unwrap()
}

fn all_groups(bundle: &Bundle) -> Vec<Group> {
    bundle.files().iter().flat_map(|file| file.groups.clone()).collect()
}

#[test]
fn both_forms_hold_the_groups_that_were_read() {
    let shipped = |service_levels| Bundle::new(Choice { service_levels, ..Choice::default() }).unwrap();
    for bundle in [bundle(LIMITS, ALERTS).unwrap(), shipped(false), shipped(true)] {
        let groups = all_groups(&bundle);
        assert_eq!(groups_in(&bundle.rule_file().unwrap(), &["groups"]), groups);
        let object = bundle.prometheus_rule(&metadata()).unwrap();
        assert_eq!(groups_in(&object, &["spec", "groups"]), groups);
    }
}

#[test]
fn what_was_written_for_people_is_in_the_rule_file() {
    let text = bundle(LIMITS, ALERTS).unwrap().rule_file().unwrap();
    for part in [
        "# ---- limits.yml ----\n# How to set limits.\n",
        "\n  - name: limits\n    interval: 1m\n    rules:\n      # The limit of a.\n      - record: kafkascope:a:limit\n",
        "\n            # 7 * kafkascope:x:known   <- overrides above\n",
        "      - {record: 'kafkascope:known', expr: group(kafka_up)}\n",
        "\n  # Not indented.\n    - alert: KafkaA\n",
        "\n          One line: with a colon.\n\n            # This is text.\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let shipped = Bundle::new(Choice { service_levels: true, ..Choice::default() }).unwrap();
    let text = shipped.rule_file().unwrap();
    for file in shipped.files() {
        assert!(text.contains(&file.name), "{}", file.name);
    }
    let comments = THRESHOLDS.text.lines().filter(|line| line.starts_with('#'));
    for comment in comments {
        assert!(text.contains(&format!("\n{comment}\n")), "{comment}");
    }
}

#[test]
fn a_file_of_another_form_is_written_anew() {
    let limits = "groups: [{name: limits, rules: [{record: 'kafkascope:a:limit', expr: \"# one\\n5 * up\"}]}]";
    let text = bundle(limits, ALERTS).unwrap().rule_file().unwrap();
    assert!(text.contains("# ---- limits.yml ----\n  - name: limits\n"), "{text}");
    let read = groups_in(&text, &["groups"]);
    assert_eq!(read.first().unwrap().rules.first().unwrap().expr, "# one\n5 * up");
    let of_anchors = "x: &x 5m\ngroups:\n- name: limits\n  rules: []\n";
    assert!(matches!(bundle(of_anchors, ALERTS), Err(RulesError::NoRuleFile { .. })));
}

#[test]
fn an_object_is_one_that_kubernetes_takes() {
    let object = bundle(LIMITS, ALERTS).unwrap().prometheus_rule(&metadata()).unwrap();
    let head = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: kafkascope\n  \
                namespace: monitoring\n  labels:\n    release: prometheus\nspec:\n  groups:\n";
    assert!(object.split_once('\n').unwrap().1.starts_with(head), "{object}");
    // `kubectl apply` keeps the whole object in an annotation, and those end at 256 KiB.
    let shipped = Bundle::new(Choice { service_levels: true, ..Choice::default() }).unwrap();
    let size = shipped.prometheus_rule(&metadata()).unwrap().len();
    assert!(size < 200 * 1024, "{size} bytes");
}

#[test]
fn limits_that_are_missing_are_named() {
    let limits = LIMITS.replace("kafkascope:a:limit", "kafkascope:a:limits");
    let error = bundle(&limits, ALERTS).unwrap_err();
    assert!(
        matches!(&error, RulesError::NotRecorded { file, missing } if file == "limits.yml" && missing == &["kafkascope:a:limit"])
    );
    let error = bundle(&LIMITS.replace("'kafkascope:known'", "'kafkascope:unknown'"), ALERTS).unwrap_err();
    assert!(error.to_string().starts_with("limits.yml does not record kafkascope:known, which"), "{error}");
    let none = Source { name: "mine.yml", text: "groups: []" };
    match Bundle::new(Choice { thresholds: Some(none), ..Choice::default() }) {
        Err(RulesError::NotRecorded { missing, .. }) => {
            let recorded = RuleFile::read(THRESHOLDS).unwrap();
            assert!(missing.iter().any(|name| name == "kafkascope:consumergroup_lag_seconds:limit"), "{missing:?}");
            assert!(missing.iter().all(|name| recorded.rules().any(|rule| rule.record.as_ref() == Some(name))));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_of_a_user_stand_for_the_shipped_ones() {
    let edited = THRESHOLDS.text.replace("vector(600)", "vector(1234)");
    assert_ne!(edited, THRESHOLDS.text);
    let mine = Source { name: "/etc/mine.yml", text: &edited };
    let text = Bundle::new(Choice { thresholds: Some(mine), ..Choice::default() }).unwrap().rule_file().unwrap();
    assert!(text.contains("# ---- /etc/mine.yml ----") && text.contains("\n          vector(1234)\n"), "{text}");
    assert!(!text.contains("vector(600)"), "{text}");
}

#[test]
fn what_is_no_rule_file_is_refused_with_its_place() {
    let cases = [
        (LIMITS.replace("interval", "intervall"), "unknown field `intervall`"),
        (LIMITS.replace("interval", "intervall"), "line 4"),
        (LIMITS.replace("- record", "- alert: B\n        record"), "rule 1 of group limits must have either"),
        (LIMITS.replace("record: kafkascope:a:limit", "for: 5m"), "rule 1 of group limits must have either"),
        (LIMITS.replace("name: limits", "name: more"), "limits.yml: there is another group named more"),
        ("- a\n- b".to_owned(), "limits.yml is no Prometheus rule file"),
        (String::new(), "limits.yml is no Prometheus rule file"),
        ("groups:\n  - name: \"open".to_owned(), "limits.yml is no Prometheus rule file"),
    ];
    for (limits, expected) in cases {
        let error = bundle(&limits, ALERTS).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    }
}

#[test]
fn runbooks_are_where_they_are_said_to_be() {
    for base in ["https://wiki.example/kafka", "https://wiki.example/kafka/"] {
        let bundle =
            Bundle::of([Source { name: "alerts.yml", text: LIMITS }, Source { name: "b", text: ALERTS }], Some(base));
        let bundle = bundle.unwrap();
        let alert = bundle.rules().find(|rule| rule.alert.is_some()).unwrap();
        assert_eq!(alert.annotations["runbook_url"], "https://wiki.example/kafka/KafkaA.md");
        assert!(!bundle.rule_file().unwrap().contains(RUNBOOKS));
    }
    let shipped = Bundle::new(Choice { service_levels: true, ..Choice::default() }).unwrap();
    for rule in shipped.rules() {
        if let Some(alert) = &rule.alert {
            assert_eq!(rule.annotations["runbook_url"], format!("{RUNBOOKS}{alert}.md"));
        }
    }
}

#[test]
fn names_that_kubernetes_refuses_are_refused() {
    assert_eq!(dns_subdomain("kafka-scope.v1").as_deref(), Ok("kafka-scope.v1"));
    for bad in ["", "Kafka", "-a", "a-", "a..b", "a_b", &"a".repeat(254)] {
        assert_eq!(dns_subdomain(bad), Err(NameFault::Subdomain), "{bad}");
    }
    assert_eq!(dns_label("monitoring").as_deref(), Ok("monitoring"));
    for bad in ["", "a.b", &"a".repeat(64)] {
        assert_eq!(dns_label(bad), Err(NameFault::Label), "{bad}");
    }
    let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
    assert_eq!(label("app.kubernetes.io/name=Kafka_scope"), pair("app.kubernetes.io/name", "Kafka_scope"));
    assert_eq!(label("role="), pair("role", ""));
    for (bad, fault) in [
        ("role", NameFault::NoPair),
        ("=x", NameFault::LabelName),
        ("A.b/=x", NameFault::LabelName),
        ("UPPER/a=x", NameFault::LabelName),
        ("a/b/c=x", NameFault::LabelName),
        ("a=-", NameFault::LabelValue),
        ("a=x=y", NameFault::LabelValue),
    ] {
        assert_eq!(label(bad), Err(fault), "{bad}");
    }
}

#[test]
fn what_a_rule_needs_is_told_from_comments_and_other_metrics() {
    let rule = |expr: &str| Rule {
        record: Some("kafkascope:x".to_owned()),
        alert: None,
        expr: expr.to_owned(),
        pending_for: None,
        keep_firing_for: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    };
    for (expr, expected) in [
        ("kafkascope:a:max[5m]>on(job)kafkascope:a:limit", vec!["kafkascope:a:limit", "kafkascope:a:max"]),
        ("# kafkascope:a\nup # or kafkascope:b\nor kafkascope:c", vec!["kafkascope:c"]),
        ("kafkascope_up + my_kafkascope:a", vec![]),
        ("{__name__=~\"kafkascope:a_(b|c):d|kafkascope:e\"}", vec!["kafkascope:e"]),
        ("{__name__=\"kafkascope:e\"} * kafkascope:f{x=\"#\"}", vec!["kafkascope:e", "kafkascope:f"]),
    ] {
        assert_eq!(rule(expr).uses().into_iter().collect::<Vec<_>>(), expected, "{expr}");
    }
}
