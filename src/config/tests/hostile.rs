//! Inputs that no person writes: nothing panics, and nothing grows without a bound.

use proptest::prelude::*;

use super::*;

#[test]
fn aliases_cannot_multiply_without_a_bound() {
    let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        yaml.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    let [error] = &errors(&yaml)[..] else { panic!("one error") };
    assert!(error.contains("more than 100000 values or 16 levels"), "{error}");
}

#[test]
fn nesting_has_a_bound() {
    for open in ["[", "{a: ", "- "] {
        let [error] = &errors(&open.repeat(50_000))[..] else { panic!("one error") };
        assert!(error.contains("nested too deeply") || error.contains("not valid YAML"), "{error}");
    }
}

#[test]
fn errors_and_files_have_a_bound() {
    let yaml: String = (0..5_000).map(|at| format!("key{at}: 1\n")).collect();
    assert_eq!(errors(&yaml).len(), MAX_ERRORS);
    let [error] = &errors(&"#".repeat(2_000_000))[..] else { panic!("one error") };
    assert_eq!(error, "k.yml: the config file is larger than 1048576 bytes; check the path and who may read it");
}

#[test]
fn sections_have_bounds() {
    let many = |count: usize, item: &str| vec![item; count].join(", ");
    let yaml = format!(
        "clusters: [{{bootstrap_servers: [{}], topics: {{exclude: [{}]}}}}]",
        many(101, "'b:1'"),
        many(201, "x")
    );
    let errors = errors(&yaml);
    assert!(
        errors[0].contains("clusters[0].bootstrap_servers: 101 servers, and at most 100 are allowed"),
        "{errors:?}"
    );
    assert!(errors[1].contains("clusters[0].topics.exclude: 201 regexes, and at most 200 are allowed"), "{errors:?}");
    let clusters: String = (0..101).map(|at| format!("- {{name: c{at}, bootstrap_servers: ['b:1']}}\n")).collect();
    let yaml = format!("clusters:\n{clusters}");
    assert_eq!(super::errors(&yaml).len(), 1);
}

/// Pieces that make texts near to config files.
const PIECES: &[&str] = &[
    "clusters:",
    "\n",
    "  ",
    "- ",
    "bootstrap_servers: ",
    "[",
    "]",
    "{",
    "}",
    "b1:9092",
    ": ",
    ", ",
    "name: ",
    "'",
    "\"",
    "${X}",
    "$$",
    "${",
    "tls: ",
    "sasl: ",
    "&a ",
    "*a",
    "web: ",
    "listen: ",
    "polling: {interval: ",
    "15s",
    "-1",
    "999h",
    "topics: {include: ['",
    "(",
    "\\",
    "|",
    "#",
    "? ",
    "!x ",
    "<<: ",
    "\t",
    "\u{feff}",
    "é",
    "\0",
    "---",
    "...",
    "%",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = resolve_in(Fake::default(), &text);
    }

    #[test]
    fn no_mixture_makes_it_panic(picks in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = picks.into_iter().map(|at| PIECES[at]).collect();
        let _ = resolve_in(Fake::default().var("X", "x: ["), &text);
    }

    #[test]
    fn no_value_makes_it_panic(key in 0..schema::KEYS.len(), value in any::<String>()) {
        let setting = Setting { key: &schema::KEYS[key], origin: Origin::Flag("--x".to_owned()), values: vec![value] };
        let _ = resolve(None, &[setting], &Fake::default());
    }

    #[test]
    fn durations_survive_being_shown(milliseconds in 1_000u64..3_600_000) {
        let shown = values::show_duration(std::time::Duration::from_millis(milliseconds));
        let yaml = format!("polling: {{interval: {shown}}}\nclusters: [{{bootstrap_servers: ['b:1']}}]");
        prop_assert_eq!(good(&yaml).polling.interval.as_millis(), u128::from(milliseconds));
    }
}
