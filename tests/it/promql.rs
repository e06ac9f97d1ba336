//! What a PromQL expression names: metrics with the labels that they are selected by, and labels that it groups and matches by.
//!
//! It reads tokens, not grammar: promtool and Prometheus say whether an expression is one. Grafana's variables, macros and
//! variable queries (`label_values(…)`) are understood, too.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::CharIndices;

/// Words after which an expression, not a name, follows, or that say how to match.
const KEYWORDS: &[&str] = &["and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"];

/// Words with a list of labels in parentheses, which those of `group_…` may lack.
const LABEL_LISTS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Aggregations: `by` may stand between them and their parentheses.
const AGGREGATIONS: &[&str] = &[
    "sum",
    "min",
    "max",
    "avg",
    "group",
    "stddev",
    "stdvar",
    "count",
    "count_values",
    "bottomk",
    "topk",
    "quantile",
    "limitk",
    "limit_ratio",
];

/// Functions whose first text is a label that they make.
const LABEL_MAKERS: &[&str] = &["label_replace", "label_join", "count_values"];

/// One choice of series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// The metric; `None` where it is not told. One that is chosen by a regex of alternatives is a choice for each.
    pub(crate) metric: Option<String>,
    /// The labels between its braces, without `__name__`.
    pub(crate) labels: Vec<String>,
}

/// What an expression names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expression {
    /// Its choices of series, in their order.
    pub(crate) selectors: Vec<Selector>,
    /// Labels of `by`, `without`, `on`, `ignoring`, `group_left`, `group_right` and of `label_values`.
    pub(crate) labels: BTreeSet<String>,
    /// Labels that it makes itself.
    pub(crate) made: BTreeSet<String>,
}

impl Expression {
    /// The names of its metrics.
    pub(crate) fn metrics(&self) -> BTreeSet<&str> {
        self.selectors.iter().filter_map(|selector| selector.metric.as_deref()).collect()
    }
}

/// Reads an expression; the error says what was not understood.
pub(crate) fn read(text: &str) -> Result<Expression, String> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, at: 0, found: Expression::default() };
    while reader.at < tokens.len() {
        reader.step()?;
    }
    Ok(reader.found)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    /// A number, a duration, or a variable that stands for one.
    Value,
    Sign(char),
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    found: Expression,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<&Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn is_next(&self, sign: char) -> bool {
        self.tokens.get(self.at) == Some(&Token::Sign(sign))
    }

    fn step(&mut self) -> Result<(), String> {
        match self.next().cloned() {
            Some(Token::Name(name)) => self.name(&name),
            Some(Token::Sign('{')) => self.matchers(None),
            // A range or a subquery: durations and variables only.
            Some(Token::Sign('[')) => self.until(']').map(|_| ()),
            _ => Ok(()),
        }
    }

    fn name(&mut self, name: &str) -> Result<(), String> {
        let word = name.to_ascii_lowercase();
        if LABEL_LISTS.contains(&word.as_str()) {
            if self.is_next('(') {
                self.at += 1;
                let listed = self.until(')')?;
                self.found.labels.extend(listed.into_iter().filter_map(|token| match token {
                    Token::Name(label) | Token::Text(label) => Some(label),
                    _ => None,
                }));
            }
            return Ok(());
        }
        if word == "label_values" && self.is_next('(') {
            return self.label_values();
        }
        if LABEL_MAKERS.contains(&word.as_str()) {
            self.made_label();
            return Ok(());
        }
        if KEYWORDS.contains(&word.as_str()) || AGGREGATIONS.contains(&word.as_str()) || self.is_next('(') {
            return Ok(());
        }
        if self.is_next('{') {
            self.at += 1;
            return self.matchers(Some(name.to_owned()));
        }
        self.found.selectors.push(Selector { metric: Some(name.to_owned()), labels: Vec::new() });
        Ok(())
    }

    /// The first text on the level of the parentheses that open next, which are read again by who comes next.
    fn made_label(&mut self) {
        let mut depth = 0;
        for token in self.tokens.iter().skip(self.at) {
            match token {
                Token::Sign('(' | '{' | '[') => depth += 1,
                Token::Sign(')' | '}' | ']') => depth -= 1,
                Token::Text(label) if depth == 1 => {
                    self.found.made.insert(label.clone());
                    return;
                }
                _ => {}
            }
        }
    }

    /// Grafana's `label_values(label)` and `label_values(expression, label)`.
    fn label_values(&mut self) -> Result<(), String> {
        self.at += 1;
        let mut depth = 1;
        loop {
            match self.tokens.get(self.at) {
                Some(Token::Name(label)) if depth == 1 && self.tokens.get(self.at + 1) == Some(&Token::Sign(')')) => {
                    self.found.labels.insert(label.clone());
                    self.at += 2;
                    return Ok(());
                }
                Some(Token::Sign('(')) => depth += 1,
                Some(Token::Sign(')')) => depth -= 1,
                _ => {}
            }
            if depth == 0 || self.at >= self.tokens.len() {
                return Err("label_values(…) does not end with a label".to_owned());
            }
            self.step()?;
        }
    }

    /// What stands between braces; the opening one was read.
    fn matchers(&mut self, metric: Option<String>) -> Result<(), String> {
        let inside = self.until('}')?;
        let (mut metrics, mut labels) = (Vec::from_iter(metric), Vec::new());
        for part in inside.split(|token| *token == Token::Sign(',')) {
            match part {
                [] | [Token::Value] => {}
                [Token::Text(name)] => metrics.push(name.clone()),
                [Token::Name(label), Token::Sign('='), Token::Text(name)] if label == "__name__" => {
                    metrics.push(name.clone());
                }
                [Token::Name(label), Token::Sign('~'), Token::Text(regex)] if label == "__name__" => {
                    metrics.extend(alternatives(regex)?);
                }
                [Token::Name(label), Token::Sign('=' | '!' | '~'), Token::Text(_) | Token::Value] => {
                    labels.push(label.clone());
                }
                other => return Err(format!("no matcher: {other:?}")),
            }
        }
        let metrics = if metrics.is_empty() { vec![None] } else { metrics.into_iter().map(Some).collect() };
        let selectors = metrics.into_iter().map(|metric| Selector { metric, labels: labels.clone() });
        self.found.selectors.extend(selectors);
        Ok(())
    }

    /// The tokens up to a sign, which is read, too.
    fn until(&mut self, end: char) -> Result<Vec<Token>, String> {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|token| *token == Token::Sign(end)).ok_or(format!("no {end} follows"))?;
        self.at += length + 1;
        Ok(rest[..length].to_vec())
    }
}

/// The names that a regex of names, `(`, `|` and `)` matches, one pair of parentheses at most.
fn alternatives(regex: &str) -> Result<Vec<String>, String> {
    if !regex.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':' | '(' | '|' | ')')) {
        return Err(format!("the metrics that match {regex} cannot be listed"));
    }
    let Some((before, (inside, after))) =
        regex.split_once('(').and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    else {
        return Ok(regex.split('|').map(str::to_owned).collect());
    };
    if [before, after].iter().any(|part| part.contains(['(', '|', ')'])) {
        return Err(format!("the metrics that match {regex} cannot be listed"));
    }
    Ok(inside.split('|').map(|middle| format!("{before}{middle}{after}")).collect())
}

/// Cuts a text into tokens. Comparisons come as one sign: `=`, `!` (`!=`, `!~`) or `~` (`=~`).
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut chars = text.char_indices().peekable();
    let mut tokens = Vec::new();
    while let Some((at, char)) = chars.next() {
        match char {
            '#' => while chars.next_if(|(_, char)| *char != '\n').is_some() {},
            '"' | '\'' | '`' => tokens.push(Token::Text(quoted(char, &mut chars)?)),
            '$' => {
                variable(&mut chars);
                tokens.push(Token::Value);
            }
            // Durations are numbers with letters.
            '0'..='9' | '.' => {
                rest_of(text, at, &mut chars, |char| char.is_ascii_alphanumeric() || char == '.');
                tokens.push(Token::Value);
            }
            _ if char.is_ascii_alphabetic() || matches!(char, '_' | ':') => {
                let name =
                    rest_of(text, at, &mut chars, |char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':'));
                tokens.push(Token::Name(name.to_owned()));
            }
            '=' | '!' | '<' | '>' => {
                let second = chars.next_if(|(_, char)| matches!(char, '=' | '~')).map(|(_, char)| char);
                tokens.push(Token::Sign(if char == '=' && second == Some('~') { '~' } else { char }));
            }
            _ if char.is_whitespace() => {}
            '(' | ')' | '{' | '}' | '[' | ']' | ',' | '+' | '-' | '*' | '/' | '%' | '^' | '@' => {
                tokens.push(Token::Sign(char));
            }
            _ => return Err(format!("`{char}` at byte {at} is no PromQL")),
        }
    }
    Ok(tokens)
}

fn rest_of<'a>(
    text: &'a str,
    at: usize,
    chars: &mut Peekable<CharIndices<'_>>,
    is_of_it: impl Fn(char) -> bool,
) -> &'a str {
    let mut end = at + 1;
    while chars.next_if(|(_, char)| is_of_it(*char)).is_some() {
        end += 1;
    }
    &text[at..end]
}

fn quoted(quote: char, chars: &mut Peekable<CharIndices<'_>>) -> Result<String, String> {
    let mut inside = String::new();
    while let Some((_, char)) = chars.next() {
        match char {
            _ if char == quote => return Ok(inside),
            '\\' if quote != '`' => inside.extend(chars.next().map(|(_, char)| char)),
            _ => inside.push(char),
        }
    }
    Err(format!("a text that begins with {quote} does not end"))
}

/// Grafana's `$name`, `${name:form}` and `$__macro`; the `$` was read.
fn variable(chars: &mut Peekable<CharIndices<'_>>) {
    if chars.next_if(|(_, char)| *char == '{').is_some() {
        while chars.next().is_some_and(|(_, char)| char != '}') {}
    } else {
        while chars.next_if(|(_, char)| char.is_ascii_alphanumeric() || *char == '_').is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, selectors: &[(&str, &[&str])], labels: &[&str], made: &[&str]) {
        let found = read(text).unwrap();
        let selected: Vec<(&str, Vec<&str>)> = found
            .selectors
            .iter()
            .map(|one| (one.metric.as_deref().unwrap_or("?"), one.labels.iter().map(String::as_str).collect()))
            .collect();
        let expected: Vec<(&str, Vec<&str>)> =
            selectors.iter().map(|(name, labels)| (*name, labels.to_vec())).collect();
        assert_eq!(selected, expected, "{text}");
        assert_eq!(found.labels.iter().map(String::as_str).collect::<Vec<_>>(), labels, "{text}");
        assert_eq!(found.made.iter().map(String::as_str).collect::<Vec<_>>(), made, "{text}");
    }

    #[test]
    fn promql_names_are_told_from_functions_keywords_and_labels() {
        check("up", &[("up", &[])], &[], &[]);
        check(
            "sum by (topic, job) (rate(a_total{x=\"by (no)\", y!~'z'}[5m] offset 1h)) > bool 3e2",
            &[("a_total", &["x", "y"])],
            &["job", "topic"],
            &[],
        );
        check(
            "max(a) without(instance) # not_this\n unless on(job) group_left b == inf",
            &[("a", &[]), ("b", &[])],
            &["instance", "job"],
            &[],
        );
        check(
            "a * ignoring (le) group_left (version) k:b_c:limit{} and {job=\"x\",}",
            &[("a", &[]), ("k:b_c:limit", &[]), ("?", &["job"])],
            &["le", "version"],
            &[],
        );
        check(
            "label_replace(max_over_time(a[1h:30s]), \"dst\", \"$1\", \"src\", \"(.*)\")",
            &[("a", &[])],
            &[],
            &["dst"],
        );
        check("histogram_quantile(.95, sum(rate(h_bucket[5m])) BY (le)) @ start()", &[("h_bucket", &[])], &["le"], &[]);
        check("{__name__=\"a\", x=`\\d`} + -1.5", &[("a", &["x"])], &[], &[]);
        check(
            "{__name__=~\"a_(b|c)_d\", x=\"1\"} or {__name__=~\"e|f\"}",
            &[("a_b_d", &["x"]), ("a_c_d", &["x"]), ("e", &[]), ("f", &[])],
            &[],
            &[],
        );
        check("count_values(\"n\", a) + time() - vector(1)", &[("a", &[])], &[], &["n"]);
        check("quantile(0.9, by_me{on=\"1\"}) % sum_of", &[("by_me", &["on"]), ("sum_of", &[])], &[], &[]);
    }

    #[test]
    fn promql_as_grafana_writes_it() {
        check(
            "topk($n, rate(a{g=~\"$group\", t=~\"${topic:regex}\"}[$__rate_interval]))",
            &[("a", &["g", "t"])],
            &[],
            &[],
        );
        check("label_values(a{x=\"$y\"}, topic)", &[("a", &["x"])], &["topic"], &[]);
        check("label_values(sum by (g) (a), topic) + b", &[("a", &[]), ("b", &[])], &["g", "topic"], &[]);
        check("label_values(topic)", &[], &["topic"], &[]);
        check("query_result(topk by (g) (5, a))", &[("a", &[])], &["g"], &[]);
    }

    #[test]
    fn promql_what_is_not_understood_is_an_error() {
        for text in ["a{", "\"open", "a{x}", "rate(a[5m)", "a ; b", "label_values(a, )", "{__name__=~\"a.*\"}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
