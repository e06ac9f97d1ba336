//! Config files in, settings or error texts out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod errors;
mod good;
mod hostile;
mod polling;
mod reload;
mod tracking;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::*;

/// Files and variables that exist in a test only.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    files: HashMap<PathBuf, Vec<u8>>,
    env: HashMap<String, String>,
}

impl Fake {
    pub(crate) fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(PathBuf::from(path), content.as_bytes().to_vec());
        self
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Surroundings for Fake {
    fn property_fault(&self, name: &str, _: &str) -> Option<String> {
        (name == "no.such.property").then(|| "No such configuration property".to_owned())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn is_directory(&self, path: &Path) -> bool {
        path == Path::new(".") || self.files.keys().any(|file| file.parent() == Some(path))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let content = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        if u64::try_from(content.len()).unwrap() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("is larger than {limit} bytes")));
        }
        Ok(content.clone())
    }
}

/// What comes of a file `k.yml` with this text.
fn resolve_in(fake: Fake, yaml: &str) -> Result<Resolved, Vec<String>> {
    let fake = fake.file("k.yml", yaml);
    let texts = |errors: Vec<ConfigError>| errors.iter().map(ToString::to_string).collect();
    resolve(Some(Path::new("k.yml")), &[], &fake).map_err(texts)
}

fn good_in(fake: Fake, yaml: &str) -> (Config, Vec<String>) {
    let (config, warnings) = resolve_in(fake, yaml).unwrap_or_else(|errors| panic!("{errors:#?}"));
    (config, warnings.iter().map(ToString::to_string).collect())
}

fn good(yaml: &str) -> Config {
    good_in(Fake::default(), yaml).0
}

fn errors(yaml: &str) -> Vec<String> {
    resolve_in(Fake::default(), yaml).map(|(config, _)| config).unwrap_err()
}
