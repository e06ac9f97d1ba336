//! A strict reader of Prometheus's text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>): what a lenient parser would let
//! through, and what the exporter promises never to say, is an error here.

use std::collections::{BTreeMap, HashSet};
use std::iter::Peekable;
use std::str::Chars;

/// The one family of Kafka's that has a sign: a lag that shrinks has a negative velocity.
const MAY_BE_NEGATIVE: &str = "kafka_consumergroup_lag_velocity";

/// A scrape.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exposition {
    pub(crate) families: BTreeMap<String, Family>,
    pub(crate) samples: Vec<Sample>,
}

/// What HELP and TYPE say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) help: String,
    pub(crate) kind: String,
}

/// One series and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Sample {
    /// A label's value; "" as Prometheus sees an absent one.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|own| own == value))
    }
}

impl Exposition {
    /// Reads a body, or says what is wrong with it in which line.
    ///
    /// Errors are: what the format forbids, series that come twice, families that do not stand together,
    /// samples without HELP and TYPE before them, timestamps, NaN anywhere, and negative values in a
    /// `kafka_` family (nothing in Kafka could be less than zero, but for how fast a lag grows).
    pub(crate) fn parse(body: &str) -> Result<Self, String> {
        if !body.is_empty() && !body.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        let mut reader = Reader::default();
        for (number, line) in body.lines().enumerate() {
            reader.line(line).map_err(|fault| format!("line {}: {fault}: {line}", number + 1))?;
        }
        reader.finish()
    }

    /// The series of a name that carry (at least) these labels.
    pub(crate) fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.name == name && sample.has(labels)).collect()
    }

    /// The value of the one series of a name that carries these labels; panics if several do.
    #[track_caller]
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.all(name, labels);
        assert!(found.len() <= 1, "{name}{labels:?} fits {} series: {found:?}", found.len());
        found.first().map(|sample| sample.value)
    }

    /// As [`Exposition::get`] for a series that must be there.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        match self.get(name, labels) {
            Some(value) => value,
            None => panic!("there is no {name}{labels:?}; of that name are: {:#?}", self.all(name, &[])),
        }
    }
}

#[derive(Default)]
struct Reader {
    result: Exposition,
    seen: HashSet<(String, Vec<(String, String)>)>,
    help: BTreeMap<String, String>,
    /// The family whose lines are being read.
    current: Option<String>,
    closed: HashSet<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("HELP without a text")?;
            self.open(name)?;
            let again = self.help.insert(name.to_owned(), help.to_owned());
            return again.map_or(Ok(()), |_| Err("a second HELP".to_owned()));
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            return self.kind(rest);
        }
        if line.is_empty() || line.starts_with('#') {
            return Err("neither HELP, TYPE nor a sample".to_owned());
        }
        let sample = sample(line)?;
        self.check(&sample)?;
        self.result.samples.push(sample);
        Ok(())
    }

    /// A comment of another family ends the one before.
    fn open(&mut self, name: &str) -> Result<(), String> {
        if !is_name(name, true) {
            return Err("not a metric name".to_owned());
        }
        if self.current.as_deref() == Some(name) {
            return Ok(());
        }
        if self.closed.contains(name) {
            return Err("the family does not stand together".to_owned());
        }
        if let Some(before) = self.current.replace(name.to_owned()) {
            self.closed.insert(before);
        }
        Ok(())
    }

    fn kind(&mut self, rest: &str) -> Result<(), String> {
        let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
        self.open(name)?;
        if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind) {
            return Err("an unknown type".to_owned());
        }
        let help = self.help.get(name).ok_or("TYPE before HELP")?.clone();
        let family = Family { help, kind: kind.to_owned() };
        let again = self.result.families.insert(name.to_owned(), family);
        again.map_or(Ok(()), |_| Err("a second TYPE".to_owned()))
    }

    fn check(&mut self, sample: &Sample) -> Result<(), String> {
        let family = self.current.as_deref().ok_or("a sample before any HELP")?;
        let kind = &self.result.families.get(family).ok_or("a sample before its TYPE")?.kind;
        if !belongs(&sample.name, family, kind) {
            return Err(format!("the sample is not of the family {family}"));
        }
        if sample.value.is_nan() {
            return Err("NaN".to_owned());
        }
        let negative = sample.value.is_sign_negative() && sample.value != 0.0;
        let may_fall = sample.name == MAY_BE_NEGATIVE;
        if negative && !may_fall && (sample.name.starts_with("kafka_") || kind == "counter") {
            return Err("a negative value".to_owned());
        }
        let labels = sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        if !self.seen.insert((sample.name.clone(), labels)) {
            return Err("the series comes twice".to_owned());
        }
        Ok(())
    }

    fn finish(self) -> Result<Exposition, String> {
        match self.help.keys().find(|name| !self.result.families.contains_key(*name)) {
            Some(name) => Err(format!("{name} has a HELP and no TYPE")),
            None => Ok(self.result),
        }
    }
}

fn belongs(name: &str, family: &str, kind: &str) -> bool {
    let suffixes: &[&str] = match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        "summary" => &["", "_sum", "_count"],
        _ => &[""],
    };
    name.strip_prefix(family).is_some_and(|suffix| suffixes.contains(&suffix))
}

fn is_name(name: &str, colons: bool) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || (colons && letter == ':');
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|letter: char| letter.is_ascii_digit())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err("not a metric name".to_owned());
    }
    let mut chars = rest.chars().peekable();
    let labels = if chars.next_if_eq(&'{').is_some() { labels(&mut chars)? } else { BTreeMap::new() };
    let rest: String = chars.collect();
    let value = rest.strip_prefix(' ').ok_or("no single space before the value")?;
    if value.contains(' ') {
        return Err("a timestamp, or a space too many".to_owned());
    }
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number if number.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
            number.parse().map_err(|_| "the value is not a number")?
        }
        _ => return Err("the value is not a number".to_owned()),
    };
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Reads `name="value",…}` after the opening brace.
fn labels(chars: &mut Peekable<Chars<'_>>) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    loop {
        let mut name = String::new();
        while let Some(letter) = chars.next_if(|letter| *letter != '=') {
            name.push(letter);
        }
        if !is_name(&name, false) {
            return Err(format!("not a label name: {name}"));
        }
        if chars.next() != Some('=') || chars.next() != Some('"') {
            return Err("a label without a quoted value".to_owned());
        }
        let value = quoted(chars)?;
        if labels.insert(name, value).is_some() {
            return Err("a label comes twice".to_owned());
        }
        match chars.next() {
            Some(',') => {}
            Some('}') => return Ok(labels),
            _ => return Err("neither a comma nor the end after a label".to_owned()),
        }
    }
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut value = String::new();
    loop {
        match chars.next().ok_or("a label value without an end")? {
            '"' => return Ok(value),
            '\\' => value.push(match chars.next() {
                Some('\\') => '\\',
                Some('"') => '"',
                Some('n') => '\n',
                other => return Err(format!("an escape that does not exist: \\{other:?}")),
            }),
            plain => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exposition;

    const HEAD: &str = "# HELP kafka_x Text.\n# TYPE kafka_x gauge\n";

    #[test]
    fn reads_what_is_right() {
        let body = format!(
            "{HEAD}kafka_x{{a=\"q\\\"b\\\\n\\n\",b=\"ü\"}} 12\nkafka_x 1e3\n\
             # HELP h Text.\n# TYPE h histogram\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 0.5\nh_count 1\n"
        );
        let exposition = Exposition::parse(&body).unwrap();
        assert_eq!(exposition.get("kafka_x", &[("a", "q\"b\\n\n"), ("b", "ü")]), Some(12.0));
        assert_eq!(exposition.get("h_bucket", &[("le", "+Inf")]), Some(1.0));
        assert_eq!(exposition.get("kafka_x", &[("a", "other")]), None);
        assert_eq!(exposition.families["h"].kind, "histogram");
    }

    #[test]
    fn refuses_what_is_wrong() {
        for (body, fault) in [
            (format!("{HEAD}kafka_x 1"), "no end"),
            (format!("{HEAD}kafka_x NaN\n"), "NaN"),
            (format!("{HEAD}kafka_x -1\n"), "negative"),
            (format!("{HEAD}kafka_x 1\nkafka_x 1\n"), "twice"),
            (format!("{HEAD}kafka_x{{a=\"1\",a=\"2\"}} 1\n"), "twice"),
            (format!("{HEAD}kafka_x 1 1700000000\n"), "timestamp"),
            (format!("{HEAD}kafka_y 1\n"), "not of the family"),
            (format!("{HEAD}kafka_x{{a=\"\\t\"}} 1\n"), "escape"),
            (format!("{HEAD}kafka_x{{a=\"1\"  1\n"), "comma"),
            (format!("{HEAD}kafka_x one\n"), "not a number"),
            (format!("{HEAD}# HELP y T.\n# TYPE y gauge\ny 1\nkafka_x 1\n"), "not of the family"),
            (format!("{HEAD}# HELP y T.\n# TYPE y gauge\n# HELP kafka_x T.\n"), "together"),
            (format!("{HEAD}{HEAD}"), "second HELP"),
            ("kafka_x 1\n".to_owned(), "before any HELP"),
            ("# TYPE kafka_x gauge\n".to_owned(), "before HELP"),
            ("# HELP kafka_x Text.\n".to_owned(), "no TYPE"),
            ("\n".to_owned(), "neither"),
        ] {
            let error = Exposition::parse(&body).unwrap_err();
            assert!(error.contains(fault), "{body}\nsays: {error}\nnot: {fault}");
        }
    }
}
