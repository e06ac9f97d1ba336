//! The only room that knows rdkafka: calls go out, `model` values and typed errors come back.

mod api;
mod error;

pub use api::{GroupReply, KafkaApi};
pub use error::{Cause, KafkaError, Operation, Target};
