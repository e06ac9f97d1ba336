//! The only room that knows rdkafka: calls go out, `model` values and typed errors come back.

mod api;
mod client;
mod codes;
mod connections;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod gather;
mod native;
mod observer;
mod offsets_topic;
mod operations;
mod pending;
#[cfg(librdkafka_stand_ins)]
mod places;
mod pool;
mod repeats;
mod settings;
mod stats;
#[cfg(test)]
mod tests;
mod threads;

pub use api::{GroupReply, KafkaApi};
pub use client::KafkaClient;
pub use error::{Cause, KafkaError, Operation, Target};
pub(crate) use native::share_one_arena;
pub use offsets_topic::{
    CommitFeed, CommitKey, DecodeError, FeedHealth, OFFSETS_TOPIC, OffsetsRecord, OffsetsStream, PartitionHealth,
};
pub use operations::{AclOperation, Authorized};
pub use pool::{KafkaPool, PooledClient};
pub use settings::{ClientSettings, property_fault};

/// Whether the cost of an OffsetFetch answer grows with its rows. Where the linker cannot mend librdkafka (see build.rs),
/// it grows with their square.
pub const IS_OFFSET_FETCH_LINEAR: bool = cfg!(librdkafka_stand_ins);
