//! Real Kafkas, started and broken at will, and a driver that works on them with Kafka's own clients.

pub(crate) mod cluster;
pub(crate) mod driver;
mod jars;
mod pki;
mod properties;
pub(crate) mod truth;

pub(crate) use cluster::Cluster;
pub(crate) use driver::{Acl, Commits, Driver, Protocol, at};
pub(crate) use jars::Version;
pub(crate) use pki::{KEY_PASSWORD, Pki};
pub(crate) use properties::{PLAIN_USERS, PrincipalOf};

use std::sync::OnceLock;

/// One broker of the newest version that all tests share which only add topics and groups of their own
/// (with names that start with the test's name) and break nothing.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::builder(Version::V4_3_1).start())
}
