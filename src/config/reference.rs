//! The reference of all settings, made from the schema.

use super::schema::{KEYS, Kind};

/// A markdown table of every key: for the README.
pub fn reference_markdown() -> String {
    let mut out = String::from("| key | default | flag, variable | meaning |\n|---|---|---|---|\n");
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let mut outside: Vec<String> = Vec::new();
        outside.extend(key.flag().map(|flag| format!("`--{flag}`")));
        outside.extend(key.env().map(|env| format!("`{env}`")));
        let kind = match key.kind {
            Kind::Switch => String::new(),
            kind => format!(" ({})", kind.name()),
        };
        let doc = key.doc.replace('|', "\\|");
        out.push_str(&format!("| `{}`{kind} | {default} | {} | {doc} |\n", key.path, outside.join(" ")));
    }
    out
}
