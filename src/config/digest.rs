//! Tells whether the content of the files that a cluster's settings name has changed, for reload.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

/// Stands for the paths and the content of some files. Equal for equal content within one process; nothing to store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentDigest(u64);

/// Makes a [`ContentDigest`], file by file.
#[derive(Default)]
pub(crate) struct FileDigest(DefaultHasher);

impl FileDigest {
    /// Adds a file; `None` for one that cannot be read, which differs from an empty one.
    pub(crate) fn add(&mut self, path: &Path, content: Option<&[u8]>) {
        path.hash(&mut self.0);
        content.hash(&mut self.0);
    }

    pub(crate) fn finish(self) -> ContentDigest {
        ContentDigest(self.0.finish())
    }
}
