//! The dashboards as files: what they ask Prometheus, with variables as Grafana puts them in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// Of Grafana's own variables those that the queries use, for a look at the last minute with a scrape a second.
const MACROS: [(&str, &str); 2] = [("$__rate_interval", "4s"), ("$__range", "60s")];

/// What is asked for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Values over time.
    Range,
    /// Values of now.
    Instant,
    /// The values of a variable.
    Variable,
    /// What is drawn over all panels.
    Annotation,
}

/// One question of a dashboard.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Dashboard, panel and query, for people.
    pub(crate) place: String,
    /// How it is asked.
    pub(crate) kind: Kind,
    /// As it is in the file.
    pub(crate) text: String,
}

/// What is chosen for each variable: the text that Grafana puts into a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection(BTreeMap<String, String>);

impl Selection {
    /// Chooses values of a variable, as Grafana does for one with several values: escaped for a regex inside of a string.
    pub(crate) fn choose<'a>(mut self, variable: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        let values: Vec<String> = values.into_iter().map(escaped).collect();
        let text = if values.len() == 1 { values[0].clone() } else { format!("({})", values.join("|")) };
        self.0.insert(variable.to_owned(), text);
        self
    }
}

/// <https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/>: what is special in a regex gets a
/// backslash, which itself needs one in a string of PromQL.
fn escaped(value: &str) -> String {
    let special = |sign: char| r"$^*{}[]'+?.()|".contains(sign);
    value.chars().fold(String::new(), |mut text, sign| {
        match sign {
            '\\' => text.push_str(r"\\\\"),
            sign if special(sign) => text.extend(['\\', '\\', sign]),
            sign => text.push(sign),
        }
        text
    })
}

impl Query {
    /// The PromQL that Grafana sends; what is not chosen is All.
    pub(crate) fn promql(&self, variables: &BTreeSet<String>, selection: &Selection) -> String {
        let mut text = MACROS.iter().fold(self.asked(), |text, (name, value)| text.replace(name, value));
        for variable in variables {
            let chosen = selection.0.get(variable).map_or(".*", String::as_str);
            text = text.replace(&format!("${variable}\""), &format!("{chosen}\""));
        }
        text
    }

    /// A variable's query asks for the values of a label.
    fn asked(&self) -> String {
        let inner = self.text.strip_prefix("label_values(").and_then(|text| text.strip_suffix(')'));
        match (self.kind, inner.and_then(|inner| inner.rsplit_once(", "))) {
            (Kind::Variable, Some((series, label))) => format!("group by ({label}) ({series})"),
            (Kind::Variable, None) => panic!("{}: what is {}?", self.place, self.text),
            _ => self.text.clone(),
        }
    }
}

/// A dashboard's questions.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard {
    /// Its uid.
    pub(crate) uid: String,
    /// Names of the variables that queries may use.
    pub(crate) variables: BTreeSet<String>,
    /// All that it asks.
    pub(crate) queries: Vec<Query>,
}

/// The dashboards that are shipped.
pub(crate) fn all() -> Vec<Dashboard> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let entries =
        std::fs::read_dir(&directory).expect("grafana/dashboards").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    paths.sort();
    let texts = paths.iter().map(|path| std::fs::read_to_string(path).expect("a dashboard"));
    texts.map(|text| read(&serde_json::from_str(&text).expect("JSON"))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("no list {path}"))
}

fn read(dashboard: &Value) -> Dashboard {
    let uid = text(&dashboard["uid"]);
    let variables = list(dashboard, "/templating/list").iter().filter(|variable| variable["type"] == "query");
    let mut found = Dashboard { variables: BTreeSet::new(), queries: Vec::new(), uid: uid.clone() };
    for variable in variables {
        let name = text(&variable["name"]);
        let asked = text(&variable["query"]["query"]);
        found.queries.push(Query { place: format!("{uid}: variable {name}"), kind: Kind::Variable, text: asked });
        found.variables.insert(name);
    }
    for annotation in list(dashboard, "/annotations/list") {
        let place = format!("{uid}: annotation {}", annotation["name"]);
        found.queries.push(Query { place, kind: Kind::Annotation, text: text(&annotation["expr"]) });
    }
    for panel in list(dashboard, "/panels").iter().filter(|panel| panel["type"] != "row") {
        for target in list(panel, "/targets") {
            let place = format!("{uid}: panel {}, query {}", panel["title"], target["refId"]);
            let kind = if target["instant"] == true { Kind::Instant } else { Kind::Range };
            found.queries.push(Query { place, kind, text: text(&target["expr"]) });
        }
    }
    found
}

#[test]
fn variables_are_put_in_as_grafana_does() {
    let query = Query {
        place: String::new(),
        kind: Kind::Range,
        text: r#"x{a=~"$a", ab=~"$ab"}[$__rate_interval]"#.to_owned(),
    };
    let variables = BTreeSet::from(["a".to_owned(), "ab".to_owned()]);
    assert_eq!(query.promql(&variables, &Selection::default()), r#"x{a=~".*", ab=~".*"}[4s]"#);
    let chosen = Selection::default().choose("a", ["b.c"]).choose("ab", ["d", "(e)"]);
    assert_eq!(query.promql(&variables, &chosen), r#"x{a=~"b\\.c", ab=~"(d|\\(e\\))"}[4s]"#);
    let values =
        Query { place: String::new(), kind: Kind::Variable, text: r#"label_values(x{a=~"$a"}, b)"#.to_owned() };
    assert_eq!(values.promql(&variables, &Selection::default()), r#"group by (b) (x{a=~".*"})"#);
}
