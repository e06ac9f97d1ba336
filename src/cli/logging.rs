//! The exporter's own log: on standard error, for people on a terminal and as JSON otherwise.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogSettings};

/// Starts the log for the rest of the process's life. A second call changes nothing.
pub fn init(settings: &LogSettings) {
    let is_json = match settings.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = if is_json {
        layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        layer.with_target(false).with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(filter(&settings.level)));
    if registry.try_init().is_err() {
        tracing::debug!("the log runs already");
    }
}

/// Where rdkafka says at every end that a consumer is closed already, which the exporter's always are.
const CLOSED_TWICE: &str = "rdkafka::consumer::base_consumer";

/// The level word is for the exporter itself; libraries, librdkafka among them, stay at warn unless named.
fn filter(level: &str) -> Targets {
    let mut targets = Targets::new().with_default(LevelFilter::WARN).with_target(CLOSED_TWICE, LevelFilter::OFF);
    for part in level.split(',') {
        let (target, level) = part.rsplit_once('=').unwrap_or(("kafkascope", part));
        if let Ok(level) = LevelFilter::from_str(level) {
            targets = targets.with_target(target, level);
        }
    }
    if level.split(',').all(|part| part.contains('=') && !part.starts_with("kafkascope=")) {
        targets = targets.with_target("kafkascope", LevelFilter::INFO);
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn levels_are_per_part() {
        let targets = filter("debug");
        assert!(targets.would_enable("kafkascope::http", &Level::DEBUG));
        assert!(!targets.would_enable("librdkafka", &Level::INFO));
        assert!(targets.would_enable("librdkafka", &Level::WARN));

        let targets = filter("librdkafka=debug");
        assert!(targets.would_enable("librdkafka", &Level::DEBUG));
        assert!(targets.would_enable("kafkascope", &Level::INFO));
        assert!(!targets.would_enable("kafkascope", &Level::DEBUG));

        let targets = filter("warn,kafkascope::collect=trace");
        assert!(targets.would_enable("kafkascope::collect", &Level::TRACE));
        assert!(!targets.would_enable("kafkascope::http", &Level::INFO));
    }
}
