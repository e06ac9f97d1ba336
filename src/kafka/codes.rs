//! librdkafka's numbers in the words of `model`, and the other way round.

use std::ffi::c_int;
use std::time::Duration;

use crate::model::{GroupKind, GroupState};

/// A duration in librdkafka's milliseconds.
pub(super) fn milliseconds(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}

/// `rd_kafka_consumer_group_state_t`. librdkafka 2.12 has no name for the states of KIP-848 and tells them as unknown.
pub(super) fn state(code: c_int) -> GroupState {
    match code {
        1 => GroupState::PreparingRebalance,
        2 => GroupState::CompletingRebalance,
        3 => GroupState::Stable,
        4 => GroupState::Dead,
        5 => GroupState::Empty,
        _ => GroupState::Unknown,
    }
}

/// `rd_kafka_consumer_group_type_t`.
pub(super) fn kind(code: c_int) -> GroupKind {
    match code {
        1 => GroupKind::Consumer,
        2 => GroupKind::Classic,
        _ => GroupKind::Unknown,
    }
}
