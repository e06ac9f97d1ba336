//! The exposition: families and values to bytes, in Prometheus's text format 0.0.4 and in OpenMetrics 1.0.
//!
//! One encoder writes all families, those of Kafka and the exporter's own. It is cut into steps that need nothing of
//! each other (a family × a run of topics or groups), so that a body is streamed from the snapshot's values, never
//! held as a whole.

mod digest;
mod escape;
mod format;
mod number;
mod registry;
mod samples;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(in crate::metrics) mod tests;

pub use digest::Digest;
pub use format::Format;
pub use number::Value;
pub use registry::RegistryFamilies;
pub use samples::{Labels, Run, Samples};
pub(in crate::metrics) use stream::count;
pub use stream::{Block, ClusterView, Exposition, Selection, View};
