//! `kafkascope metrics`: the catalogue of metrics.

/// Arguments of `metrics`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct MetricsArgs {
    /// markdown (tables as in the README) or json
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true, default_value_t = MetricsOutput::Markdown)]
    pub output: MetricsOutput,
}

/// The forms of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricsOutput {
    /// A table as in the README.
    Markdown,
    /// JSON for programs.
    Json,
}
