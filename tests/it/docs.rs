//! README says what the program says: its reference sections are made from the tables that the program runs on.

use std::path::Path;

use kafkascope::metrics::reference;
use kafkascope::{cli, config};

#[test]
fn readmes_metric_reference_is_the_catalogue() {
    check("metrics", &reference::markdown());
}

#[test]
fn readmes_config_reference_is_the_table_of_keys() {
    check("config", &config::reference_markdown());
}

#[test]
fn readmes_flags_of_kafka_exporter_are_those_that_are_taken() {
    check("kafka_exporter-flags", &cli::kafka_exporter::markdown());
}

/// Compares a section of the README with its text.
#[track_caller]
fn check(section: &str, text: &str) {
    check_section(&Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), section, text);
}

/// Compares a section of a file, between its marks, with its text; with `UPDATE_GOLDEN=1` writes it anew.
#[track_caller]
pub(crate) fn check_section(path: &Path, section: &str, text: &str) {
    let shown = path.display();
    let (begin, end) = (format!("<!-- {section}:begin -->"), format!("<!-- {section}:end -->"));
    let file = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let (before, rest) = file.split_once(&begin).unwrap_or_else(|| panic!("{shown} has no {begin}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{shown} has no {end} after {begin}"));
    let expected = format!("\n{text}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{before}{begin}{expected}{end}{after}")).expect("a file that can be written");
        return;
    }
    assert!(found == expected, "section {section} of {shown} is out of date: UPDATE_GOLDEN=1 writes it anew");
}
