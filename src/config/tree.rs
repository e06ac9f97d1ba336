//! The tree that a configuration is before it is checked: text with origins.

use super::error::{Origin, Place};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// Scalars stay text: what they mean is decided where they are used, so that `${PORT}` and `9092` are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Not given; the default holds.
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Given, but wrong in a way that has been reported already.
    Invalid,
}

/// One `key: value` of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_origin: Origin,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(crate) fn scalar(text: impl Into<String>, origin: Origin) -> Self {
        Self::new(Value::Scalar(text.into()), origin)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The value under `key`, made if absent. A node that is not a map becomes one: a layer above
    /// says more about a section than `true` or nothing at all.
    pub(crate) fn get_or_insert(&mut self, key: &str, origin: &Origin) -> Option<&mut Node> {
        if matches!(self.value, Value::Null | Value::Scalar(_)) {
            self.value = Value::Map(Vec::new());
            self.origin = origin.clone();
        }
        let Value::Map(entries) = &mut self.value else { return None };
        let at = match entries.iter().position(|entry| entry.key == key) {
            Some(at) => at,
            None => {
                let node = Node::new(Value::Null, origin.clone());
                entries.push(Entry { key: key.to_owned(), key_origin: origin.clone(), node });
                entries.len() - 1
            }
        };
        entries.get_mut(at).map(|entry| &mut entry.node)
    }

    /// Sets `key`, replacing what was there.
    pub(crate) fn set(&mut self, key: &str, node: Node) {
        let origin = node.origin.clone();
        if let Some(slot) = self.get_or_insert(key, &origin) {
            *slot = node;
        }
    }
}

/// A node with its path, as the checks pass it around.
#[derive(Clone, Debug)]
pub(crate) struct Field<'n> {
    pub(crate) node: Option<&'n Node>,
    pub(crate) path: String,
}

impl<'n> Field<'n> {
    /// The field `name` of this section.
    pub(crate) fn field(&self, name: &str) -> Field<'n> {
        Field { node: self.node.and_then(|node| node.get(name)), path: join(&self.path, name) }
    }

    /// The items of a list; a scalar is a list of one.
    pub(crate) fn items(&self) -> Vec<Field<'n>> {
        let Some(node) = self.node else { return Vec::new() };
        if matches!(node.value, Value::Scalar(_)) {
            return vec![self.clone()];
        }
        let item = |(at, node)| Field { node: Some(node), path: format!("{}[{at}]", self.path) };
        node.items().iter().enumerate().map(item).collect()
    }

    pub(crate) fn text(&self) -> Option<&'n str> {
        match self.node.map(|node| &node.value) {
            Some(Value::Scalar(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether something is written here, right or wrong.
    pub(crate) fn is_given(&self) -> bool {
        self.node.is_some_and(|node| node.value != Value::Null)
    }

    pub(crate) fn place(&self) -> Place {
        let origin = self.node.map_or(Origin::Default, |node| node.origin.clone());
        Place { origin, path: self.path.clone() }
    }
}

/// `section.key`, without a leading dot at the root.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
