//! README says what the program says: its reference sections are made from the tables that the program runs on.

use std::path::{Path, PathBuf};

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

/// Compares a section with its text; with `UPDATE_GOLDEN=1` writes it anew.
fn check(section: &str, text: &str) {
    let (begin, end) = (format!("<!-- {section}:begin -->"), format!("<!-- {section}:end -->"));
    let readme = std::fs::read_to_string(path()).expect("README.md");
    let (before, rest) = readme.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no {end} after {begin}"));
    let expected = format!("\n{text}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path(), format!("{before}{begin}{expected}{end}{after}"))
            .expect("a README.md that can be written");
        return;
    }
    assert!(found == expected, "README.md's section {section} is out of date: UPDATE_GOLDEN=1 writes it anew");
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}
