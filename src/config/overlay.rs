//! Lays environment variables and flags over the tree of the file.

use super::error::{Origin, Place, Problems, ValueError};
use super::schema::{Key, Kind};
use super::tree::{Entry, Node, Value};

/// One setting from outside of the file.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What is set.
    pub key: &'static Key,
    /// Who sets it: a flag or a variable.
    pub origin: Origin,
    /// The texts as given: one, or one per repetition of the flag.
    pub values: Vec<String>,
}

/// Applies settings in order of precedence, the lowest first.
pub(crate) fn apply(root: &mut Node, settings: &[Setting], problems: &mut Problems) {
    for setting in settings {
        let place = Place { origin: setting.origin.clone(), path: setting.key.path.to_owned() };
        match value(setting) {
            Ok(node) => put(root, setting, node, place, problems),
            Err(error) => problems.error(place, error),
        }
    }
}

/// The setting's texts as a node of the key's shape.
fn value(setting: &Setting) -> Result<Node, ValueError> {
    let origin = || setting.origin.clone();
    let separator = match (&setting.origin, setting.key.kind) {
        // A flag is repeated instead, and so its values may hold separators.
        (Origin::Env(_), Kind::Properties) => Some(';'),
        (Origin::Env(_), Kind::Labels) => Some(','),
        _ => None,
    };
    let texts = setting.values.iter().flat_map(|text| match separator {
        Some(separator) => text.split(separator).map(str::trim).filter(|part| !part.is_empty()).collect(),
        None => vec![text.as_str()],
    });
    match setting.key.kind {
        Kind::Labels | Kind::Properties => {
            let mut entries: Vec<Entry> = Vec::new();
            for text in texts {
                let (name, value) = text
                    .split_once('=')
                    .ok_or_else(|| ValueError::new(format!("'{text}' has no '='"), "write NAME=VALUE"))?;
                if entries.iter().any(|entry| entry.key == name) {
                    return Err(ValueError::new(format!("'{name}' is given twice"), "keep one of the two"));
                }
                let node = Node::scalar(value, origin());
                entries.push(Entry { key: name.to_owned(), key_origin: origin(), node });
            }
            Ok(Node::new(Value::Map(entries), origin()))
        }
        Kind::List | Kind::Patterns => {
            let items = texts.map(|text| Node::scalar(text, origin())).collect();
            Ok(Node::new(Value::List(items), origin()))
        }
        _ => Ok(Node::scalar(texts.last().unwrap_or_default(), origin())),
    }
}

fn put(root: &mut Node, setting: &Setting, node: Node, place: Place, problems: &mut Problems) {
    let Some(mut section) = top(root, setting, place, problems) else { return };
    let path = setting.key.path.strip_prefix("clusters[].").unwrap_or(setting.key.path);
    let mut parts: Vec<&str> = path.split('.').collect();
    let Some(name) = parts.pop() else { return };
    for part in parts {
        let Some(next) = section.get_or_insert(part, &setting.origin) else { return };
        section = next;
    }
    remove_twin(section, name, &setting.origin);
    match (setting.key.kind, node.value) {
        (Kind::Labels | Kind::Properties, Value::Map(entries)) => {
            let Some(map) = section.get_or_insert(name, &setting.origin) else { return };
            for entry in entries {
                map.set(&entry.key, entry.node);
            }
        }
        // `--tls` beside a file that says more about TLS asks for what is there already.
        (Kind::Switch, Value::Scalar(text))
            if text == "true" && matches!(section.get(name).map(|node| &node.value), Some(Value::Map(_))) => {}
        (_, value) => section.set(name, Node::new(value, node.origin)),
    }
}

/// The root, or the one cluster that a flag can mean; made when the file has none.
fn top<'n>(root: &'n mut Node, setting: &Setting, place: Place, problems: &mut Problems) -> Option<&'n mut Node> {
    if !setting.key.is_of_cluster() {
        return Some(root);
    }
    let clusters = root.get_or_insert("clusters", &setting.origin)?;
    if clusters.value == Value::Null {
        clusters.value = Value::List(Vec::new());
    }
    let Value::List(items) = &mut clusters.value else { return None };
    if items.is_empty() {
        items.push(Node::new(Value::Map(Vec::new()), setting.origin.clone()));
    }
    if items.len() > 1 {
        let what = format!("sets one cluster, and the config file has {}", items.len());
        problems.error(place, ValueError::new(what, format!("set {} in the file instead", setting.key.name())));
        return None;
    }
    items.first_mut()
}

/// A password from a higher layer replaces a password file from a lower one, and the other way round.
fn remove_twin(section: &mut Node, name: &str, origin: &Origin) {
    let twin = match name.strip_suffix("_file") {
        Some(plain) if plain.ends_with("password") => plain.to_owned(),
        _ => format!("{name}_file"),
    };
    if !name.contains("password") {
        return;
    }
    if let Value::Map(entries) = &mut section.value {
        entries.retain(|entry| entry.key != twin || entry.node.origin.layer() >= origin.layer());
    }
}
