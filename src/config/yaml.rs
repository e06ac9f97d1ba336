//! YAML text to a tree with positions, within bounds.
//!
//! The tree is built from the parser's events rather than from its loaded documents: those
//! expand aliases without a bound and keep only one of two equal keys.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::error::{Origin, Place, Problems, ValueError};
use super::tree::{Entry, Node, Value, join};

/// The most values (scalars, lists and maps, aliases expanded) that a file may hold.
pub const MAX_NODES: usize = 100_000;

/// How deep lists and maps may nest; the schema needs seven levels.
pub const MAX_DEPTH: usize = 16;

/// Parses one YAML document; `None` when it cannot be used, with the reason in `problems`.
pub(crate) fn parse(file: &Arc<str>, text: &str, problems: &mut Problems) -> Option<Node> {
    let mut builder = Builder::new(file.clone(), problems);
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let origin = builder.origin_at(error.marker().line(), error.marker().col());
                let what = format!("not valid YAML: {}", error.info());
                let advice = "mend the syntax there or just above; inside [ ] and { } write '${NAME}' in quotes";
                let place = Place { origin, path: String::new() };
                problems.error(place, ValueError::new(what, advice));
                return None;
            }
        }
    }
    Some(builder.finish())
}

/// A list or map that is not closed yet.
struct Frame {
    origin: Origin,
    anchor: usize,
    depth_below: usize,
    nodes: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashSet<String>, key: Option<(String, Origin)> },
}

/// A finished subtree with what it costs to repeat it.
struct Sized {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Builder<'p> {
    file: Arc<str>,
    problems: &'p mut Problems,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize, usize)>,
    documents: usize,
    nodes: usize,
    root: Option<Node>,
}

impl<'p> Builder<'p> {
    fn new(file: Arc<str>, problems: &'p mut Problems) -> Self {
        Self { file, problems, stack: Vec::new(), anchors: HashMap::new(), documents: 0, nodes: 0, root: None }
    }

    fn origin_at(&self, line: usize, column_from_0: usize) -> Origin {
        Origin::File { file: self.file.clone(), line, column: column_from_0 + 1 }
    }

    fn finish(self) -> Node {
        let origin = self.origin_at(1, 0);
        self.root.unwrap_or(Node::new(Value::Null, origin))
    }

    /// Takes one event; `None` ends the parse, with the reason reported.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let origin = self.origin_at(span.start.line(), span.start.col());
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
            Event::DocumentStart(_) => self.document(origin),
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(&origin, tag.as_deref())?;
                let value = if style == ScalarStyle::Plain && tag.is_none() && is_null(&text) {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                self.nodes += 1;
                self.value(Sized { node: Node::new(value, origin), nodes: 1, depth: 0 }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(&origin, tag.as_deref())?;
                self.open(origin, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(&origin, tag.as_deref())?;
                let content = Content::Map { entries: Vec::new(), seen: HashSet::new(), key: None };
                self.open(origin, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((mut node, nodes, depth)) => {
                    node.origin = origin;
                    self.nodes += nodes;
                    self.value(Sized { node, nodes, depth }, 0)
                }
                None => self.refuse(origin, "an alias inside its own anchor", "write the value out"),
            },
        }
    }

    fn document(&mut self, origin: Origin) -> Option<()> {
        self.documents += 1;
        if self.documents > 1 {
            return self.refuse(origin, "a second YAML document starts here", "keep one document in the file");
        }
        Some(())
    }

    /// Tags of YAML's own schema say what the settings know already; others would need to be understood.
    fn tag(&mut self, origin: &Origin, tag: Option<&Tag>) -> Option<()> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                self.refuse(origin.clone(), "YAML tags (!name) are not supported", "remove the tag")
            }
            _ => Some(()),
        }
    }

    fn open(&mut self, origin: Origin, anchor: usize, content: Content) -> Option<()> {
        if let Some(Frame { content: Content::Map { key: None, .. }, .. }) = self.stack.last() {
            return self.refuse(origin, "a list or map stands where a key belongs", "use a plain word as the key");
        }
        if self.stack.len() >= MAX_DEPTH {
            return self.refuse(origin, "lists and maps are nested too deeply", "compare it with the documented keys");
        }
        self.nodes += 1;
        self.stack.push(Frame { origin, anchor, depth_below: 0, nodes: 1, content });
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let frame = self.stack.pop()?;
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        let node = Node::new(value, frame.origin);
        self.value(Sized { node, nodes: frame.nodes, depth: frame.depth_below + 1 }, frame.anchor)
    }

    /// Puts a finished value where it belongs: as a key, as an entry, as an item, or as the root.
    fn value(&mut self, value: Sized, anchor: usize) -> Option<()> {
        let Sized { node, nodes, depth } = value;
        if self.nodes > MAX_NODES || self.stack.len() + depth > MAX_DEPTH {
            let what = format!("more than {MAX_NODES} values or {MAX_DEPTH} levels");
            return self.refuse(node.origin, &what, "use fewer aliases, or split the clusters over several exporters");
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), nodes, depth));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        frame.nodes += nodes;
        frame.depth_below = frame.depth_below.max(depth);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, seen, key } => match key.take() {
                Some((name, key_origin)) => {
                    if seen.insert(name.clone()) {
                        entries.push(Entry { key: name, key_origin, node });
                    } else {
                        self.duplicate(&name, key_origin);
                    }
                }
                None => return self.key(node),
            },
        }
        Some(())
    }

    fn key(&mut self, node: Node) -> Option<()> {
        let name = match node.value {
            Value::Scalar(text) => text,
            _ => String::new(),
        };
        if name == "<<" {
            return self.refuse(
                node.origin,
                "merge keys (<<) are not supported",
                "write the settings out, or alias a whole section such as `tls: *tls`",
            );
        }
        if let Some(Frame { content: Content::Map { key, .. }, .. }) = self.stack.last_mut() {
            *key = Some((name, node.origin));
        }
        Some(())
    }

    /// Reports a key that stands twice in a map; the first one is kept.
    fn duplicate(&mut self, name: &str, origin: Origin) {
        let first = self.stack.last().and_then(|frame| match &frame.content {
            Content::Map { entries, .. } => entries.iter().find(|entry| entry.key == name),
            Content::List(_) => None,
        });
        let what = match first.map(|entry| &entry.key_origin) {
            Some(Origin::File { line, .. }) => format!("given twice in the same section, first on line {line}"),
            _ => "given twice in the same section".to_owned(),
        };
        let place = Place { origin, path: join(&self.path(), name) };
        self.problems.error(place, ValueError::new(what, "keep one of the two"));
    }

    /// The path of the section that is open.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.stack {
            match &frame.content {
                Content::List(items) => path = format!("{path}[{}]", items.len()),
                Content::Map { key: Some((name, _)), .. } => path = join(&path, name),
                Content::Map { key: None, .. } => {}
            }
        }
        path
    }

    fn refuse(&mut self, origin: Origin, what: &str, advice: &str) -> Option<()> {
        let place = Place { origin, path: self.path() };
        self.problems.error(place, ValueError::new(what, advice));
        None
    }
}

/// The words that mean "nothing" in YAML's core schema, section 10.3.2 of YAML 1.2.2.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
