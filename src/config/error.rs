//! What is wrong with a configuration, and where it was written.

use std::fmt;
use std::sync::Arc;

/// The most errors one run keeps; a file with more of them is not a config file at all.
pub const MAX_ERRORS: usize = 200;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the setting has its default.
    Default,
    /// A file as a whole, for example one that cannot be read.
    Document {
        /// The file's name as the user gave it.
        file: Arc<str>,
    },
    /// A position in a file.
    File {
        /// The file's name as the user gave it.
        file: Arc<str>,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
    },
    /// An environment variable, by name.
    Env(String),
    /// A command line flag with its dashes, such as `--interval`.
    Flag(String),
}

impl Origin {
    /// The precedence of the layer: flag over environment over file over default.
    pub(crate) fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Document { .. } | Self::File { .. } => 1,
            Self::Env(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

/// A setting together with where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the value was written.
    pub origin: Origin,
    /// The setting's path, such as `clusters[0].topics.include[1]`; empty for a whole file.
    pub path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default if self.path.is_empty() => write!(f, "config"),
            Origin::Default => write!(f, "{}", self.path),
            Origin::Document { file } => write!(f, "{file}"),
            Origin::File { file, line, column } => {
                write!(f, "{file}:{line}:{column}")?;
                if self.path.is_empty() {
                    return Ok(());
                }
                write!(f, ": {}", self.path)
            }
            // The name of a flag or a variable says which setting it is.
            Origin::Env(name) | Origin::Flag(name) => write!(f, "{name}"),
        }
    }
}

/// One thing that is wrong with the configuration; its text is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}; {advice}")]
pub struct ConfigError {
    /// The setting and where it was written.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// One thing that works but is probably not what was meant; its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The setting and where it was written.
    pub place: Place,
    /// What to know.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Why a single value is not acceptable; the caller knows where it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {advice}")]
pub(crate) struct ValueError {
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) advice: String,
}

impl ValueError {
    pub(crate) fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }
}

/// Collects everything that was found, so that all of it can be reported at once.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    errors: Vec<ConfigError>,
    warnings: Vec<Warning>,
}

impl Problems {
    /// Keeps an error; past [`MAX_ERRORS`] only the fact that there are errors matters.
    pub(crate) fn error(&mut self, place: Place, error: ValueError) {
        if self.errors.len() < MAX_ERRORS {
            let ValueError { what, advice } = error;
            self.errors.push(ConfigError { place, what, advice });
        }
    }

    pub(crate) fn warn(&mut self, place: Place, what: impl Into<String>) {
        if self.warnings.len() < MAX_ERRORS {
            self.warnings.push(Warning { place, what: what.into() });
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors in the order of the file, then those of variables and flags.
    pub(crate) fn into_errors(mut self) -> Vec<ConfigError> {
        self.errors.sort_by_key(|error| match &error.place.origin {
            Origin::File { line, column, .. } => (1, *line, *column),
            other => (other.layer(), 0, 0),
        });
        self.errors
    }

    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }
}
