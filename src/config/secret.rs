//! Text that must never be shown: passwords.

use std::fmt;

use serde::{Serialize, Serializer};

/// What stands for a secret wherever the configuration is shown.
pub const HIDDEN: &str = "<hidden>";

/// A password. `Debug` and `Serialize` show [`HIDDEN`]; only [`Secret::reveal`] gives the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the Kafka client alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// Properties of librdkafka in the order that they were given. What may be secret is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub Vec<(String, String)>);

impl Properties {
    /// The pairs as they may be shown.
    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| {
            let value = if is_sensitive(name) { HIDDEN } else { value.as_str() };
            (name.as_str(), value)
        })
    }

    /// Whether one of these names is set.
    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        self.0.iter().any(|(name, _)| names.contains(&name.as_str()))
    }
}

/// librdkafka marks these as sensitive in its CONFIGURATION.md: passwords, keys as PEM text, and what may hold tokens.
fn is_sensitive(name: &str) -> bool {
    let parts = ["password", "secret", ".pem", "oauthbearer.config", "token", "assertion"];
    parts.iter().any(|part| name.contains(part)) || name == "ssl_key"
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "<hidden>");
        let properties = Properties(vec![
            ("ssl.key.password".to_owned(), "hunter2".to_owned()),
            ("debug".to_owned(), "broker".to_owned()),
        ]);
        let shown = format!("{properties:?}");
        assert!(!shown.contains("hunter2") && shown.contains("broker"), "{shown}");
    }
}
