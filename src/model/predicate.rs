//! Says which names are meant, without saying how that was written.

use std::fmt;
use std::sync::Arc;

/// A choice of names of topics or groups.
#[derive(Clone)]
pub struct NamePredicate {
    matches: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    is_everything: bool,
}

impl NamePredicate {
    /// Every name.
    #[must_use]
    pub fn everything() -> Self {
        Self { matches: Arc::new(|_| true), is_everything: true }
    }

    /// No name.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(|_| false)
    }

    /// The names for which `matches` holds.
    #[must_use]
    pub fn new(matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { matches: Arc::new(matches), is_everything: false }
    }

    /// Whether a name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.is_everything || (self.matches)(name)
    }

    /// Whether every name is, so that there is nothing to filter.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.is_everything
    }
}

impl fmt::Debug for NamePredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamePredicate").field("is_everything", &self.is_everything).finish_non_exhaustive()
    }
}
