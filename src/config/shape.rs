//! Compares a tree with the schema: unknown keys, values of the wrong shape, values of later versions.

use super::error::{Place, Problems, ValueError};
use super::schema::{self, Kind};
use super::tree::{Node, Value, join};

/// A list whose items are sections: in the table of keys its path ends in `[]`.
struct List {
    path: &'static str,
    /// What one item is called.
    noun: &'static str,
    /// The least that an item needs.
    needs: &'static str,
    example: &'static str,
}

const LISTS: &[List] = &[
    List { path: "clusters", noun: "cluster", needs: "bootstrap_servers", example: "bootstrap_servers: [b1:9092]" },
    List {
        path: "clusters[].polling.overrides",
        noun: "override",
        needs: "topics or groups, and an interval",
        example: "{topics: ['^audit'], max_interval: 5m}",
    },
    List {
        path: "clusters[].topics.overrides",
        noun: "override",
        needs: "topics, and time_lag or granularity",
        example: "{topics: ['^mirror'], time_lag: history}",
    },
    List {
        path: "clusters[].groups.overrides",
        noun: "override",
        needs: "groups, and isolation or granularity",
        example: "{groups: ['^billing'], isolation: read_committed}",
    },
];

/// Reports everything below `node` that the schema does not allow.
pub(crate) fn check(root: &Node, problems: &mut Problems) {
    section(root, "", "", problems);
}

fn section(node: &Node, schema_path: &str, path: &str, problems: &mut Problems) {
    let place = || Place { origin: node.origin.clone(), path: path.to_owned() };
    match &node.value {
        Value::Null | Value::Invalid => return,
        Value::Map(_) => {}
        Value::Scalar(_) | Value::List(_) => {
            let advice = format!("its keys are: {}", schema::children(schema_path).join(", "));
            return problems.error(place(), ValueError::new("must be a section with keys", advice));
        }
    }
    let known = schema::children(schema_path);
    for entry in node.entries() {
        let child_path = join(path, &entry.key);
        if !known.contains(&entry.key.as_str()) {
            let place = Place { origin: entry.key_origin.clone(), path: child_path };
            let advice = advice_for_unknown(schema_path, &entry.key);
            problems.error(place, ValueError::new("unknown key", advice));
            continue;
        }
        let child_schema = join(schema_path, &entry.key);
        match schema::find(&child_schema) {
            Some(key) if key.kind == Kind::Switch && !matches!(entry.node.value, Value::Map(_)) => {
                value(&entry.node, key, &child_path, problems);
            }
            Some(key) if key.kind != Kind::Switch => value(&entry.node, key, &child_path, problems),
            _ => match LISTS.iter().find(|list| list.path == child_schema) {
                Some(list) => sections(&entry.node, list, &child_path, problems),
                None => section(&entry.node, &child_schema, &child_path, problems),
            },
        }
    }
}

/// Collectors that cannot be switched are asked for often enough to deserve their own answer.
fn advice_for_unknown(schema_path: &str, key: &str) -> String {
    if schema_path == "clusters[].collectors" && matches!(key, "brokers" | "topics") {
        return format!("remove it: the {key} collector always runs");
    }
    schema::advice_for_unknown(schema_path, key)
}

fn sections(node: &Node, list: &List, path: &str, problems: &mut Problems) {
    let place = |node: &Node, path: &str| Place { origin: node.origin.clone(), path: path.to_owned() };
    match &node.value {
        Value::Null | Value::Invalid => {}
        Value::Scalar(_) | Value::Map(_) => {
            let advice = format!("start each {} with '- ', such as '- {}'", list.noun, list.example);
            problems.error(place(node, path), ValueError::new("must be a list", advice));
        }
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                let path = format!("{path}[{at}]");
                if item.value == Value::Null {
                    let advice = format!("give it {}, or remove it", list.needs);
                    problems.error(place(item, &path), ValueError::new(format!("an empty {}", list.noun), advice));
                }
                section(item, &format!("{}[]", list.path), &path, problems);
            }
        }
    }
}

fn value(node: &Node, key: &schema::Key, path: &str, problems: &mut Problems) {
    let place = |node: &Node, path: String| Place { origin: node.origin.clone(), path };
    let wrong = |found: &str| {
        ValueError::new(format!("wrong type: a {found}, expected {}", key.kind.name()), example(key.kind))
    };
    match (&node.value, key.kind) {
        (Value::Null | Value::Invalid, _) => {}
        (Value::Scalar(text), kind) if !matches!(kind, Kind::Labels | Kind::Properties) => {
            if let Some(known) = key.only
                && !known.contains(&text.as_str())
            {
                problems.error(place(node, path.to_owned()), not_supported(text, known));
            }
        }
        (Value::List(items), Kind::List | Kind::Patterns) => {
            for (at, item) in items.iter().enumerate() {
                if !matches!(item.value, Value::Scalar(_) | Value::Invalid) {
                    let error = ValueError::new("must be one text", "remove empty and nested items");
                    problems.error(place(item, format!("{path}[{at}]")), error);
                }
            }
        }
        (Value::Map(entries), Kind::Labels | Kind::Properties) => {
            for entry in entries {
                if !matches!(entry.node.value, Value::Scalar(_) | Value::Invalid) {
                    let error = ValueError::new("must be one text", "give it a value, or remove it");
                    problems.error(place(&entry.node, join(path, &entry.key)), error);
                }
            }
        }
        (Value::Scalar(_), _) => problems.error(place(node, path.to_owned()), wrong("text")),
        (Value::List(_), _) => problems.error(place(node, path.to_owned()), wrong("list")),
        (Value::Map(_), _) => problems.error(place(node, path.to_owned()), wrong("section")),
    }
}

fn not_supported(text: &str, known: &[&str]) -> ValueError {
    match known.first() {
        Some(value) => ValueError::new(
            format!("'{text}' is not supported in this version"),
            format!("write {value}, or leave it out"),
        ),
        None => ValueError::new("not supported in this version", "leave it out"),
    }
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Secret => "write one text",
        Kind::Boolean => "write true or false",
        Kind::Number | Kind::Decimal => "write a number such as 20",
        Kind::Percent => "write a percentage such as 1%",
        Kind::Duration => "write a duration such as 15s",
        Kind::Path => "write the path of a file",
        Kind::List => "write it as [a, b]",
        Kind::Patterns => "write it as ['^a', 'b$']",
        Kind::Labels | Kind::Properties => "write it as {name: value}",
        Kind::Switch => "write true or false, or its keys",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_of_sections_is_described() {
        for key in schema::KEYS {
            for (at, _) in key.path.match_indices("[]") {
                let list = &key.path[..at];
                assert!(LISTS.iter().any(|known| known.path == list), "{list} is not described");
            }
        }
    }
}
