//! What is remembered of one cluster, shared by what polls it, what keeps it in a file, and the next poller.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cluster;
use super::state_file::Remembers;
use crate::config::{Cluster, Config};
use crate::track::{TopicHistory, TrackSettings, Tracker};

/// The memory of one cluster.
#[derive(Debug)]
pub(super) struct Memory(Mutex<Tracker>);

impl Memory {
    /// A memory without anything in it.
    pub(super) fn new(settings: &Cluster, config: &Config) -> Arc<Self> {
        Self::with(cluster::track_settings(settings, config))
    }

    pub(super) fn with(settings: TrackSettings) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Tracker::new(settings))))
    }

    /// The tracker. It is plain data: after a panic while it was locked it lacks what it was about to learn.
    pub(super) fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembers for Memory {
    fn export(&self) -> Vec<TopicHistory> {
        self.tracker().export()
    }

    fn import(&self, topics: Vec<TopicHistory>) {
        self.tracker().import(topics);
    }
}
