//! How many series a cluster would have, as a table for a terminal and as JSON.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::metrics::Estimate;
use crate::metrics::catalogue::Family;

/// One cluster's series.
#[derive(Debug, Serialize)]
pub struct EstimateReport {
    /// Its name in the configuration, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where it is, as configured.
    bootstrap_servers: Vec<String>,
    /// Whether it was reached; if not, nothing was counted.
    up: bool,
    /// Every `kafka_` family with its series, before any are withheld.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    families: Vec<FamilyReport>,
    #[serde(flatten)]
    totals: Option<Totals>,
    /// What failed in the pass, in words.
    errors: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FamilyReport {
    name: &'static str,
    series: u64,
    per_partition: bool,
    withheld: bool,
}

#[derive(Debug, Serialize)]
struct Totals {
    /// Of all families.
    series: u64,
    /// The limit, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_series: Option<u64>,
    /// What is left with it.
    series_exported: u64,
    /// What later passes may add.
    series_later_at_most: u64,
    /// Bytes of a scrape in text format, without the exporter's own families.
    scrape_bytes: u64,
    /// The same with gzip.
    scrape_gzip_bytes: u64,
    /// Series that a setting would spare which is not in force.
    would_spare: WouldSpare,
}

#[derive(Debug, Serialize)]
struct WouldSpare {
    #[serde(skip_serializing_if = "Option::is_none")]
    topics_granularity_topic: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups_granularity_topic: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups_drop_zero_lag_partitions: Option<u64>,
}

impl EstimateReport {
    /// The report on one cluster; `bytes` are those of a scrape, as it is and with gzip.
    #[must_use]
    pub fn new(
        name: Option<&str>,
        bootstrap_servers: &[String],
        estimate: Option<&Estimate>,
        bytes: (u64, u64),
        errors: Vec<String>,
    ) -> Self {
        Self {
            name: name.map(str::to_owned),
            bootstrap_servers: bootstrap_servers.to_vec(),
            up: estimate.is_some(),
            families: estimate.map(families).unwrap_or_default(),
            totals: estimate.map(|estimate| Totals::of(estimate, bytes)),
            errors,
        }
    }

    /// The report for people.
    #[must_use]
    pub fn table(&self) -> String {
        let servers = self.bootstrap_servers.join(", ");
        let title = self.name.as_ref().map_or(servers.clone(), |name| format!("{name} ({servers})"));
        let mut text = match &self.totals {
            Some(totals) => format!("{title}: {}\n\n{}\n", totals.sentence(), self.family_table()),
            None => format!("{title}: not reached, so nothing was counted\n"),
        };
        if let Some(totals) = &self.totals {
            self.write_limit(totals, &mut text);
            totals.write_advice(&mut text);
        }
        for error in &self.errors {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "! {error}");
        }
        text
    }

    /// The families that have series, the largest first.
    fn family_table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["SERIES", "FAMILY"]);
        let mut families: Vec<&FamilyReport> = self.families.iter().filter(|family| family.series > 0).collect();
        families.sort_by_key(|family| std::cmp::Reverse(family.series));
        for family in families {
            let note = if family.withheld { "  (withheld)" } else { "" };
            table.add_row([family.series.to_string(), format!("{}{note}", family.name)]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        if let Some(series) = table.column_mut(0) {
            series.set_cell_alignment(CellAlignment::Right);
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }

    fn write_limit(&self, totals: &Totals, text: &mut String) {
        let Some(max_series) = totals.max_series else { return };
        let withheld: Vec<&str> =
            self.families.iter().filter(|family| family.withheld).map(|family| family.name).collect();
        let _ = match withheld.as_slice() {
            [] => writeln!(text, "max_series {max_series} withholds nothing"),
            names => writeln!(
                text,
                "max_series {max_series} withholds {}: {} of {} series are exported",
                names.join(", "),
                totals.series_exported,
                totals.series
            ),
        };
        if totals.series_exported > max_series {
            let _ =
                writeln!(text, "  what is never withheld is more than max_series by itself: export less, or raise it");
        }
    }
}

fn families(estimate: &Estimate) -> Vec<FamilyReport> {
    let is_withheld =
        |family: &Family| estimate.withheld_families().iter().any(|withheld| withheld.name == family.name);
    let report = |(family, series): &(&'static Family, u64)| FamilyReport {
        name: family.name,
        series: *series,
        per_partition: family.is_per_partition(),
        withheld: *series > 0 && is_withheld(family),
    };
    estimate.families.iter().map(report).collect()
}

impl Totals {
    fn of(estimate: &Estimate, (scrape_bytes, scrape_gzip_bytes): (u64, u64)) -> Self {
        Self {
            series: estimate.census.left(0),
            max_series: estimate.max_series,
            series_exported: estimate.census.left(estimate.withheld),
            series_later_at_most: estimate.later,
            scrape_bytes,
            scrape_gzip_bytes,
            would_spare: WouldSpare {
                topics_granularity_topic: estimate.spared_by_topic_granularity,
                groups_granularity_topic: estimate.spared_by_group_granularity,
                groups_drop_zero_lag_partitions: estimate.spared_by_zero_lag,
            },
        }
    }

    fn sentence(&self) -> String {
        let size = |bytes| Size(bytes).to_string();
        format!(
            "{} kafka_ series; a scrape is {}, with gzip {}",
            self.series_exported,
            size(self.scrape_bytes),
            size(self.scrape_gzip_bytes)
        )
    }

    fn write_advice(&self, text: &mut String) {
        let WouldSpare { topics_granularity_topic, groups_granularity_topic, groups_drop_zero_lag_partitions } =
            self.would_spare;
        let settings = [
            ("topics.granularity: topic", topics_granularity_topic, ""),
            ("groups.granularity: topic", groups_granularity_topic, ""),
            ("groups.drop_zero_lag_partitions: true", groups_drop_zero_lag_partitions, ", as the groups stand now"),
        ];
        for (setting, series, note) in settings {
            if let Some(series) = series {
                let _ = writeln!(text, "{setting} would spare {series} series{note}");
            }
        }
        if self.series_later_at_most > 0 {
            let more = self.series_later_at_most;
            let _ =
                writeln!(text, "rates, forecasts and times that one pass cannot tell come later: up to {more} series");
        }
    }
}

/// Bytes in a decimal unit: `999 B`, `12.3 kB`, `1.5 MB`.
struct Size(u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{} B", self.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let kilobytes = self.0 as f64 / 1000.0;
        if kilobytes < 1000.0 { write!(f, "{kilobytes:.1} kB") } else { write!(f, "{:.1} MB", kilobytes / 1000.0) }
    }
}
