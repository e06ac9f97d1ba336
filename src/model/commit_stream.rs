//! How reading `__consumer_offsets` fares, partition by partition.

/// The state of one partition of `__consumer_offsets` under `commits: stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamState {
    /// What was committed there up to a moment ago is known from its records.
    Streaming,
    /// Its records are read, but not yet up to now.
    CatchingUp,
    /// A transaction that neither commits nor aborts hides what comes after it.
    Pinned,
    /// It cannot be read: no permission, no leader, no answer.
    Failed,
}

impl StreamState {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Streaming, Self::CatchingUp, Self::Pinned, Self::Failed];

    /// The value of the label `state`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Streaming => "streaming",
            Self::CatchingUp => "catching_up",
            Self::Pinned => "pinned",
            Self::Failed => "failed",
        }
    }
}
