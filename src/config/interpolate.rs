//! `${NAME}` in the values of a config file.
//!
//! Values are replaced after the file is parsed, so that no variable can break its YAML.

use super::error::{Place, Problems, ValueError};
use super::tree::{Node, Value, join};

/// The longest text that a value may become.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Why a value cannot be expanded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ExpandError {
    #[error("the environment variable {0} is not set")]
    Unset(String),
    #[error("'${{' without a closing '}}'")]
    Unclosed,
    #[error("'{0}' is not the name of an environment variable")]
    BadName(String),
    #[error("longer than {MAX_VALUE_BYTES} bytes")]
    TooLong,
}

impl ExpandError {
    fn advice(&self) -> String {
        match self {
            Self::Unset(name) => format!("set {name}, or write $${{{name}}} if the text itself is meant"),
            Self::Unclosed => "close it, or write $${ if the text itself is meant".to_owned(),
            Self::BadName(_) => "use letters, digits and '_' only; there are no defaults such as ${NAME:-x}".to_owned(),
            Self::TooLong => "shorten it".to_owned(),
        }
    }
}

/// Expands every scalar below `node`; what cannot be expanded is reported and marked as invalid.
pub(crate) fn expand_tree(node: &mut Node, path: &str, env: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) {
    match &mut node.value {
        Value::Null | Value::Invalid => {}
        Value::List(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                expand_tree(item, &format!("{path}[{at}]"), env, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                expand_tree(&mut entry.node, &join(path, &entry.key), env, problems);
            }
        }
        Value::Scalar(text) => match expand(text, env) {
            Ok(expanded) => *text = expanded,
            Err(error) => {
                let place = Place { origin: node.origin.clone(), path: path.to_owned() };
                problems.error(place, ValueError::new(error.to_string(), error.advice()));
                node.value = Value::Invalid;
            }
        },
    }
}

/// Replaces each `${NAME}` by the variable's value and each `$$` by `$`; a lone `$` stays, as regexes need it.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some(after) = from.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or(ExpandError::Unclosed)?;
            if !is_name(name) {
                return Err(ExpandError::BadName(name.to_owned()));
            }
            out.push_str(&env(name).ok_or_else(|| ExpandError::Unset(name.to_owned()))?);
            rest = after;
        } else {
            out.push('$');
            rest = from.strip_prefix('$').unwrap_or_default();
        }
        if out.len() > MAX_VALUE_BYTES {
            return Err(ExpandError::TooLong);
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("b1".to_owned()),
            "QUOTES" => Some("a: [\"'\n".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn replaces_variables_and_keeps_lone_dollars() {
        assert_eq!(expand("${HOST}:9092", &env), Ok("b1:9092".to_owned()));
        assert_eq!(expand("^a$|b$", &env), Ok("^a$|b$".to_owned()));
        assert_eq!(expand("$${HOST} $$5", &env), Ok("${HOST} $5".to_owned()));
        assert_eq!(expand("x${EMPTY}y${QUOTES}", &env), Ok("xya: [\"'\n".to_owned()));
    }

    #[test]
    fn says_what_is_wrong_with_a_variable() {
        assert_eq!(expand("${NONE}", &env), Err(ExpandError::Unset("NONE".to_owned())));
        assert_eq!(expand("${HOST", &env), Err(ExpandError::Unclosed));
        assert_eq!(expand("${HOST:-x}", &env), Err(ExpandError::BadName("HOST:-x".to_owned())));
        assert_eq!(expand("${}", &env), Err(ExpandError::BadName(String::new())));
    }
}
