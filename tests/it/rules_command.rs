//! `kafkascope rules` as people run it, and Prometheus's word on what it prints.

use std::time::Duration;

use crate::exporter::Exporter;
use crate::process::mortal;
use crate::tools::{installed, scratch};

/// How long a command may take that asks nobody.
const COMMAND: Duration = Duration::from_secs(30);

#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let outcome = Exporter::builder().args(["rules"]).args(arguments.iter().copied()).run(COMMAND);
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}: {outcome:?}");
    outcome.stdout
}

#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let outcome = Exporter::builder().args(["rules"]).args(arguments.iter().copied()).run(COMMAND);
    assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(2), ""), "{arguments:?}: {outcome:?}");
    outcome.stderr
}

/// What promtool says of a rule file, which it accepts: how many rules it has.
#[track_caller]
fn rules_that_promtool_finds(text: &str) -> usize {
    let dir = scratch("rules");
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, text).unwrap();
    let mut promtool = mortal(installed("KAFKASCOPE_TEST_PROMTOOL"));
    let output = promtool.args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{text}");
    let count = said.split_once("SUCCESS: ").and_then(|(_, rest)| rest.split_once(" rules found"));
    count.unwrap_or_else(|| panic!("no count: {said}")).0.parse().unwrap()
}

/// A `PrometheusRule`'s groups, as a rule file.
fn spec_of(object: &str) -> serde_yaml::Value {
    serde_yaml::from_str::<serde_yaml::Value>(object).unwrap()["spec"].clone()
}

#[test]
fn rules_both_forms_are_the_same_to_prometheus() {
    let shipped = |file: &str| std::fs::read_to_string(crate::rule_files::alerts(file)).unwrap();
    let parts = ["thresholds", "recording", "consumer-groups", "topics-and-brokers", "exporter"];
    let of_parts: usize =
        parts.iter().map(|part| rules_that_promtool_finds(&shipped(&format!("rules/{part}.yml")))).sum();
    let by_choice = rules_that_promtool_finds(&shipped("optional/service-levels.yml"));
    for (flags, expected) in [(vec![], of_parts), (vec!["--service-levels"], of_parts + by_choice)] {
        let file = printed(&flags);
        assert_eq!(rules_that_promtool_finds(&file), expected);
        let object = printed(&[flags.as_slice(), &["--output", "prometheusrule"]].concat());
        let spec = spec_of(&object);
        assert_eq!(spec, serde_yaml::from_str::<serde_yaml::Value>(&file).unwrap());
        assert_eq!(rules_that_promtool_finds(&serde_yaml::to_string(&spec).unwrap()), expected);
    }
}

#[test]
fn rules_go_by_the_thresholds_that_are_given() {
    let dir = scratch("rules");
    let file = dir.path().join("mine.yml");
    let path = file.to_string_lossy();
    let thresholds = printed(&["--output", "thresholds"]);
    std::fs::write(&file, &thresholds).unwrap();
    let with_name = printed(&["--thresholds", &path]);
    assert_eq!(with_name.replace(path.as_ref(), "alerts/rules/thresholds.yml"), printed(&[]));

    let limit = "kafkascope:consumergroup_lag_seconds:limit";
    std::fs::write(&file, thresholds.replace(&format!("record: {limit}"), "record: kafkascope:mine")).unwrap();
    let said = refused(&["--thresholds", &path]);
    assert!(said.contains(&format!("{path} does not record {limit}, which the alerts need")), "{said}");

    let said = refused(&["--thresholds", &dir.path().join("none.yml").to_string_lossy()]);
    assert!(said.contains("cannot read the thresholds") && said.contains("none.yml"), "{said}");
}

#[test]
fn rules_carry_the_names_that_are_given() {
    let arguments = ["--output", "prometheusrule", "--name", "kafka-alerts", "--namespace", "monitoring"];
    let object = printed(&[&arguments[..], &["--label", "release=prometheus", "--label", "team="]].concat());
    let object: serde_yaml::Value = serde_yaml::from_str(&object).unwrap();
    assert_eq!(object["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(object["kind"], "PrometheusRule");
    let metadata: serde_yaml::Value =
        serde_yaml::from_str("{name: kafka-alerts, namespace: monitoring, labels: {release: prometheus, team: ''}}")
            .unwrap();
    assert_eq!(object["metadata"], metadata);

    let text = printed(&["--runbooks", "https://wiki.example/kafka"]);
    assert!(text.contains("https://wiki.example/kafka/KafkaConsumerGroupStopped.md"), "{text}");
    assert!(!text.contains(kafkascope::rules::RUNBOOKS), "{text}");
}

#[test]
fn rules_refuse_what_would_mean_nothing() {
    for (arguments, expected) in [
        (vec!["--name", "x"], "--name means something only with --output prometheusrule"),
        (vec!["--label", "a=b"], "--label means something only with --output prometheusrule"),
        (vec!["--output", "thresholds", "--service-levels"], "--service-levels means something only with"),
        (vec!["--output", "prometheusrule", "--label", "a=b", "--label", "a=c"], "--label a is given twice"),
        (vec!["--output", "prometheusrule", "--name", "Upper"], "lower case"),
        (vec!["--runbooks", "wiki"], "http://"),
        (vec!["--runbooks", "https://wiki/{{ x }}"], "http://"),
    ] {
        let said = refused(&arguments);
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
}
