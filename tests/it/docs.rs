//! README says what the program says.

use std::path::Path;

use kafkascope::metrics::reference;

const BEGIN: &str = "<!-- metrics:begin -->";
const END: &str = "<!-- metrics:end -->";

/// `UPDATE_GOLDEN=1` writes the section anew.
#[test]
fn readmes_metric_reference_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let (before, rest) = readme.split_once(BEGIN).unwrap_or_else(|| panic!("README.md has no {BEGIN}"));
    let (section, after) = rest.split_once(END).unwrap_or_else(|| panic!("README.md has no {END} after {BEGIN}"));
    let expected = format!("\n{}", reference::markdown());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let updated = format!("{before}{BEGIN}{expected}{END}{after}");
        std::fs::write(&path, updated).expect("a README.md that can be written");
        return;
    }
    assert!(section == expected, "README.md's metrics are not the catalogue's: UPDATE_GOLDEN=1 writes them anew");
}
