//! How a consumer group is doing, in Burrow's words and codes, and where a time lag comes from.

/// The verdict on a group, or on one of its partitions; the codes are Burrow's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GroupStatus {
    /// There is no such group, or it has committed nothing.
    NotFound = 0,
    /// All is well.
    Ok = 1,
    /// It advances and its lag does not fall; of a group: one of its partitions does so.
    Warn = 2,
    /// Of a group: one of its partitions is `Stop`, `Stall` or `Rewind`.
    Error = 3,
    /// Nobody commits any more although there is something to read.
    Stop = 4,
    /// It commits, or holds the partition, and does not advance.
    Stall = 5,
    /// Its commits went backwards.
    Rewind = 6,
}

impl GroupStatus {
    /// Burrow's number: a sample's value.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Burrow's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NOTFOUND",
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Error => "ERR",
            Self::Stop => "STOP",
            Self::Stall => "STALL",
            Self::Rewind => "REWIND",
        }
    }

    /// How bad a partition's verdict is, from 0 (good, or not known) to 4: that nobody reads is worse than that somebody
    /// reads too slowly. The codes are not in that order.
    #[must_use]
    pub fn badness(self) -> u8 {
        match self {
            Self::Stop => 4,
            Self::Stall => 3,
            Self::Rewind | Self::Error => 2,
            Self::Warn => 1,
            Self::Ok | Self::NotFound => 0,
        }
    }

    /// What a partition's verdict makes of its group: `Error` for all that is worse than `Warn`.
    #[must_use]
    pub fn of_group(self) -> Self {
        if self > Self::Error { Self::Error } else { self }
    }
}

/// Where the append time of a record is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TimeLagMethod {
    /// Interpolated between two end offsets that were read.
    History,
    /// Asked of the broker: ListOffsets by timestamp.
    Broker,
}

impl TimeLagMethod {
    /// Every method.
    pub const ALL: [Self; 2] = [Self::History, Self::Broker];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Broker => "broker",
        }
    }
}
