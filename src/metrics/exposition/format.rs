//! The two formats, and where they differ in a family's head.

use super::escape::{write_help_openmetrics, write_help_text};
use crate::metrics::catalogue::{Family, Kind};

/// A format of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus's text format, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Text, Self::OpenMetrics];

    /// The value of the label `format`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::OpenMetrics => "openmetrics",
        }
    }

    /// The value of `Content-Type`, as each format's specification writes it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What ends a body.
    pub(super) fn trailer(self) -> &'static [u8] {
        match self {
            Self::Text => b"",
            Self::OpenMetrics => b"# EOF\n",
        }
    }

    /// Writes a family's HELP and TYPE lines.
    pub(in crate::metrics) fn write_head(self, family: &Family, out: &mut Vec<u8>) {
        let name = match (self, family.kind) {
            // OpenMetrics: a counter's family has no `_total`, its samples have.
            (Self::OpenMetrics, Kind::Counter) => family.name.strip_suffix("_total").unwrap_or(family.name),
            _ => family.name,
        };
        let line = |out: &mut Vec<u8>, keyword: &str| {
            out.extend_from_slice(b"# ");
            out.extend_from_slice(keyword.as_bytes());
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
        };
        line(out, "HELP");
        match self {
            Self::Text => write_help_text(family.help, out),
            Self::OpenMetrics => write_help_openmetrics(family.help, out),
        }
        out.push(b'\n');
        line(out, "TYPE");
        out.extend_from_slice(family.kind.as_str().as_bytes());
        out.push(b'\n');
    }
}
