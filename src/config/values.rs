//! Texts to single values: durations, numbers, addresses, labels, regexes.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::ValueError;
use super::polling::PollingMode;
use super::types::{Granularity, Listen, LocalBroker, LogFormat, SaslMechanism};

/// The longest regex that a filter takes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// The longest value that a constant label may have; it stands on every series of its cluster.
pub const MAX_LABEL_VALUE_BYTES: usize = 1024;

/// Labels that the exporter puts on `kafka_` series itself, on some family or other.
pub const OWN_LABELS: &[&str] = &[
    "address",
    "api",
    "broker",
    "cluster_id",
    "cluster_name",
    "collector",
    "consumergroup",
    "coordinator",
    "id",
    "le",
    "partition",
    "protocol",
    "quantile",
    "rack",
    "state",
    "topic",
    "type",
];

/// The states of a group that librdkafka can tell apart, as Kafka's `GroupState` writes them.
pub const GROUP_STATES: &[&str] = &["Stable", "PreparingRebalance", "CompletingRebalance", "Empty", "Dead"];

type Parsed<T> = Result<T, ValueError>;

pub(crate) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(ValueError::new(format!("'{text}' is not true or false"), "write true or false")),
    }
}

pub(crate) fn number(text: &str, range: RangeInclusive<usize>) -> Parsed<usize> {
    whole(text, &range)
}

/// A count of what does not lie in memory, such as messages.
pub(crate) fn count(text: &str, range: RangeInclusive<u64>) -> Parsed<u64> {
    whole(text, &range)
}

fn whole<N: TryFrom<i128> + PartialOrd + fmt::Display>(text: &str, range: &RangeInclusive<N>) -> Parsed<N> {
    let advice = format!("write a number from {} to {}", range.start(), range.end());
    match text.parse::<i128>() {
        Ok(number) => match N::try_from(number).ok().filter(|number| range.contains(number)) {
            Some(number) => Ok(number),
            None => Err(ValueError::new(format!("{number} is out of range"), advice)),
        },
        Err(_) => Err(ValueError::new(format!("'{text}' is not a whole number"), advice)),
    }
}

/// A number that may have a fraction, without an exponent.
pub(crate) fn decimal(text: &str, range: RangeInclusive<f64>) -> Parsed<f64> {
    let advice = format!("write a number from {} to {}", range.start(), range.end());
    match plain_decimal(text) {
        Some(number) if range.contains(&number) => Ok(number),
        Some(_) => Err(ValueError::new(format!("{text} is out of range"), advice)),
        None => Err(ValueError::new(format!("'{text}' is not a number"), advice)),
    }
}

/// A percentage with its sign, such as `1%`, as a ratio. The range is in percent.
pub(crate) fn percent(text: &str, range: RangeInclusive<f64>) -> Parsed<f64> {
    let advice = format!("write a percentage from {}% to {}%", range.start(), range.end());
    let Some(number) = text.strip_suffix('%') else {
        return Err(match plain_decimal(text) {
            Some(_) => ValueError::new(format!("'{text}' has no %"), format!("write {text}% if percent are meant")),
            None => ValueError::new(format!("'{text}' is not a percentage"), advice),
        });
    };
    match plain_decimal(number.trim_end()) {
        Some(number) if range.contains(&number) => Ok(number / 100.0),
        Some(_) => Err(ValueError::new(format!("{text} is out of range"), advice)),
        None => Err(ValueError::new(format!("'{text}' is not a percentage"), advice)),
    }
}

/// Digits with at most one point among them; Rust's own parser takes `inf`, `nan` and `1e9` as well.
fn plain_decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.chars().all(|c| c.is_ascii_digit() || c == '.').then(|| text.parse().ok()).flatten()
}

/// A ratio as the percentage that it is written as in a config file.
pub(crate) fn show_percent(ratio: f64) -> String {
    // More digits would show how binary fractions round.
    let digits = format!("{:.6}", ratio * 100.0);
    format!("{}%", digits.trim_end_matches('0').trim_end_matches('.'))
}

pub(crate) fn polling_mode(text: &str) -> Parsed<PollingMode> {
    let known = [PollingMode::Adaptive, PollingMode::Fixed].into_iter().find(|mode| mode.name() == text);
    known.ok_or_else(|| ValueError::new(format!("'{text}' is not a polling mode"), "write adaptive or fixed"))
}

/// A duration as Prometheus writes it: whole numbers with units, `1h30m`, from days to milliseconds.
/// <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#configuration-file>
pub(crate) fn duration(text: &str, range: RangeInclusive<Duration>) -> Parsed<Duration> {
    let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
    let bad = |what: String| ValueError::new(what, "write whole numbers with ms, s, m, h or d, such as 15s or 1m30s");
    if text.parse::<f64>().is_ok_and(|number| number.is_finite() && !text.starts_with('-')) {
        return Err(ValueError::new(format!("'{text}' has no unit"), format!("write {text}s if seconds are meant")));
    }
    if text.starts_with('-') {
        return Err(ValueError::new(
            format!("'{text}' is negative"),
            format!("write a duration from {least} to {most}"),
        ));
    }
    let total = sum_of_units(text).ok_or_else(|| bad(format!("'{text}' is not a duration")))?;
    if !range.contains(&total) {
        let advice = format!("write a duration from {least} to {most}");
        return Err(ValueError::new(format!("{text} is out of range"), advice));
    }
    Ok(total)
}

/// The sum of all `<number><unit>` parts; `None` when the text is anything else, or overflows.
fn sum_of_units(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_length);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let part = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?);
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}

/// A duration as it is written in a config file, without parts that are zero.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut text = String::new();
    for (unit, milliseconds) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= milliseconds {
            text.push_str(&format!("{}{unit}", left / milliseconds));
            left %= milliseconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A broker's `HOST:PORT`; IPv6 addresses stand in brackets.
pub(crate) fn broker_address(text: &str) -> Parsed<String> {
    if let Some((protocol, rest)) = text.split_once("://") {
        return Err(ValueError::new(
            format!("'{text}' starts with {protocol}://"),
            format!("write {rest}; tls and sasl say which protocol is spoken"),
        ));
    }
    let (host, port) = split_address(text, "9092")?;
    if host.is_empty() {
        return Err(ValueError::new(format!("'{text}' has no host"), format!("write HOST:{port}")));
    }
    if port == 0 {
        return Err(ValueError::new(format!("'{text}' has port 0"), "write the port that the broker listens on"));
    }
    Ok(text.to_owned())
}

/// Where to listen: `HOST:PORT`, or `:PORT` for every interface.
pub(crate) fn listen(text: &str) -> Parsed<Listen> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = format!("'{text}' is a port without its colon");
        return Err(ValueError::new(what, format!("write ':{text}' for every interface, or HOST:{text} for one")));
    }
    let (host, port) = split_address(text, "9308")?;
    Ok(Listen { host: (!host.is_empty()).then(|| host.to_owned()), port })
}

/// Splits at the port and checks the host's characters; the brackets of IPv6 are taken off.
fn split_address<'t>(text: &'t str, usual_port: &str) -> Parsed<(&'t str, u16)> {
    let example = if text.is_empty() { "b1" } else { text };
    let missing = || {
        let advice = format!("write HOST:PORT, such as {example}:{usual_port}");
        ValueError::new(format!("'{text}' has no port"), advice)
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(missing)?;
    let bad_port = || {
        let advice = format!("write HOST:PORT with a port up to 65535, such as b1:{usual_port}");
        ValueError::new(format!("'{port}' in '{text}' is not a port"), advice)
    };
    let number = port.parse::<u16>().map_err(|_| bad_port())?;
    let bad_host = |advice: &str| ValueError::new(format!("'{host}' in '{text}' is not a host"), advice);
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']').filter(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
        let address = address.ok_or_else(|| bad_host("write IPv6 addresses as [::1]:9092"))?;
        return Ok((address, number));
    }
    if host.contains(':') {
        return Err(bad_host("write IPv6 addresses in brackets, such as [::1]:9092"));
    }
    let is_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.chars().all(is_host) {
        return Err(bad_host("a host name has letters, digits, '.', '-' and '_'"));
    }
    Ok((host, number))
}

/// The path of the metrics page.
pub(crate) fn telemetry_path(text: &str) -> Parsed<String> {
    const TAKEN: &[&str] = &["/", "/healthz", "/-/healthy", "/-/ready", "/-/reload"];
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !text.starts_with('/') || !text.chars().all(is_path) {
        let advice = "start it with '/', then letters, digits and any of /-_.~, such as /metrics";
        return Err(ValueError::new(format!("'{text}' is not a path"), advice));
    }
    if TAKEN.contains(&text) {
        return Err(ValueError::new(format!("'{text}' serves another page"), "choose another path, such as /metrics"));
    }
    Ok(text.to_owned())
}

/// A label name by Prometheus' data model that the exporter does not use itself.
/// <https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>
pub(crate) fn label_name(name: &str) -> Parsed<()> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(is_letter) || !name.chars().all(|c| is_letter(c) || c.is_ascii_digit()) {
        let advice = "use letters, digits and '_', and no digit first";
        return Err(ValueError::new(format!("'{name}' is not a label name"), advice));
    }
    if name.starts_with("__") {
        let advice = "Prometheus keeps names with two underscores for itself; rename it";
        return Err(ValueError::new(format!("label '{name}' starts with __"), advice));
    }
    if name == "cluster_name" {
        let what = "label 'cluster_name' is made from the cluster's name";
        return Err(ValueError::new(what, "set the cluster's name (--cluster-name) instead"));
    }
    if OWN_LABELS.contains(&name) {
        let advice = "rename it; the exporter's own labels cannot be replaced";
        return Err(ValueError::new(format!("label '{name}' is one that the exporter sets"), advice));
    }
    Ok(())
}

pub(crate) fn label_value(value: &str) -> Parsed<String> {
    if value.len() > MAX_LABEL_VALUE_BYTES {
        let what = format!("longer than {MAX_LABEL_VALUE_BYTES} bytes");
        return Err(ValueError::new(what, "shorten it: it stands on every series of the cluster"));
    }
    Ok(value.to_owned())
}

/// Checks that a pattern is a regex.
pub(crate) fn pattern(text: &str) -> Parsed<String> {
    if text.len() > MAX_PATTERN_BYTES {
        let what = format!("longer than {MAX_PATTERN_BYTES} bytes");
        return Err(ValueError::new(what, "split it into several patterns"));
    }
    match regex::Regex::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let what = format!("'{}' is not a regex: {}", text.escape_debug(), regex_reason(&error));
            Err(ValueError::new(what, "mend it; the syntax is that of Rust's regex crate, close to Go's RE2"))
        }
    }
}

/// The one line of a regex error that says why; the others draw the pattern.
pub(crate) fn regex_reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("too big, over {limit} bytes when compiled"),
        other => {
            let text = other.to_string();
            let line = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
            line.unwrap_or(&text).replace('\n', " ")
        }
    }
}

pub(crate) fn mechanism(text: &str) -> Parsed<SaslMechanism> {
    match text.to_ascii_uppercase().as_str() {
        "PLAIN" => Ok(SaslMechanism::Plain),
        "SCRAM-SHA-256" | "SCRAM-SHA256" => Ok(SaslMechanism::ScramSha256),
        "SCRAM-SHA-512" | "SCRAM-SHA512" => Ok(SaslMechanism::ScramSha512),
        "GSSAPI" | "OAUTHBEARER" | "AWS_MSK_IAM" | "AWSIAM" => Err(ValueError::new(
            format!("mechanism '{text}' is not supported in this version"),
            "use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, or a TLS client certificate",
        )),
        _ => Err(ValueError::new(
            format!("'{text}' is not a SASL mechanism"),
            "write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        )),
    }
}

pub(crate) fn granularity(text: &str) -> Parsed<Granularity> {
    match text {
        "partition" => Ok(Granularity::Partition),
        "topic" => Ok(Granularity::Topic),
        _ => Err(ValueError::new(format!("'{text}' is not a granularity"), "write partition or topic")),
    }
}

/// Whether a scope is that of one broker.
pub(crate) fn is_scope_local(text: &str) -> Parsed<bool> {
    match text {
        "cluster" => Ok(false),
        "local_broker" => Ok(true),
        _ => Err(ValueError::new(format!("'{text}' is not a scope"), "write cluster or local_broker")),
    }
}

/// A broker's id, or that it is to be found out.
pub(crate) fn local_broker(text: &str) -> Parsed<LocalBroker> {
    if text == "auto" {
        return Ok(LocalBroker::Auto);
    }
    let id = text.parse().ok().filter(|id| *id >= 0).map(LocalBroker::Id);
    id.ok_or_else(|| ValueError::new(format!("'{text}' is no broker's id"), "write its node.id, or auto"))
}

/// A group state in Kafka's own spelling, whatever the case was.
pub(crate) fn group_state(text: &str) -> Parsed<String> {
    let known = GROUP_STATES.iter().find(|state| state.eq_ignore_ascii_case(text));
    known.map(|&state| state.to_owned()).ok_or_else(|| {
        let advice = format!("write any of {}", GROUP_STATES.join(", "));
        ValueError::new(format!("'{text}' is not a state that groups can be chosen by"), advice)
    })
}

pub(crate) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err(ValueError::new(format!("'{text}' is not a log format"), "write auto, human or json")),
    }
}

/// `LEVEL`, or `LEVEL,TARGET=LEVEL,…`.
pub(crate) fn log_level(text: &str) -> Parsed<String> {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',') {
        let (target, level) = part.rsplit_once('=').unwrap_or(("kafkascope", part));
        let is_target = !target.is_empty() && target.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        if !is_target || !LEVELS.contains(&level) {
            let advice = "write error, warn, info, debug or trace, and for a part TARGET=LEVEL after a comma";
            return Err(ValueError::new(format!("'{part}' is not a log level"), advice));
        }
    }
    Ok(text.to_owned())
}
