//! What the state of a cluster takes on the heap, part by part.

/// A part of the state. Its name is the value of the label `part`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatePart {
    /// Names of topics and groups, each once.
    Names,
    /// Facts about topics: where partitions lie, and their offsets.
    Topics,
    /// Facts about groups: what they have committed, and who is in them.
    Groups,
    /// Lags and sums, as derived from the facts.
    Lags,
    /// The history of each partition's end, and how fast topics grow.
    History,
    /// What is remembered of groups: their last commits, and when what they have not read was appended.
    Verdicts,
    /// What that says now: verdicts, append times and rates, as they are published.
    Outlook,
    /// When what is asked for next.
    Schedule,
    /// What is known from `__consumer_offsets`, where that is read.
    Stream,
    /// Parts of scrapes that are kept ready.
    Rendered,
}

impl StatePart {
    /// Every part, in the order of [`StateBytes`].
    pub const ALL: [Self; 10] = [
        Self::Names,
        Self::Topics,
        Self::Groups,
        Self::Lags,
        Self::History,
        Self::Verdicts,
        Self::Outlook,
        Self::Schedule,
        Self::Stream,
        Self::Rendered,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Topics => "topics",
            Self::Groups => "groups",
            Self::Lags => "lags",
            Self::History => "history",
            Self::Verdicts => "verdicts",
            Self::Outlook => "outlook",
            Self::Schedule => "schedule",
            Self::Stream => "stream",
            Self::Rendered => "rendered",
        }
    }
}

/// Bytes on the heap by part: what is asked of the allocator for the state, what is shared counted once. What the
/// allocator takes beyond that, and what is in use only while a pass or a scrape lasts, is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateBytes([usize; StatePart::ALL.len()]);

impl StateBytes {
    /// Adds to a part.
    pub fn add(&mut self, part: StatePart, bytes: usize) {
        self.0[part as usize] += bytes;
    }

    /// What a part takes.
    #[must_use]
    pub fn get(&self, part: StatePart) -> usize {
        self.0[part as usize]
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place] + other.0[place]))
    }

    /// All parts together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }
}
