//! Checks one cluster's section.

use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::check::Checker;
use super::digest::{ContentDigest, FileDigest};
use super::error::ValueError;
use super::filter::NameFilter;
use super::librdkafka::FILE_PROPERTIES;
use super::polling::{self, Chosen};
use super::secret::{Properties, Secret};
use super::tracking::{self, CommitSource};
use super::tree::{Field, Value};
use super::types::{
    Cluster, Collectors, Granularity, GroupSettings, LocalBroker, Sasl, SaslMechanism, Scope, Tls, TopicSettings,
};
use super::values;

/// The most bootstrap servers of a cluster; a handful finds all others.
pub const MAX_BOOTSTRAP_SERVERS: usize = 100;
/// The most constant labels of a cluster; Prometheus keeps each with every series.
pub const MAX_LABELS_PER_CLUSTER: usize = 32;
/// The most regexes in one `include` or `exclude`.
pub const MAX_PATTERNS_PER_FILTER: usize = 200;
/// The most librdkafka properties of a cluster; librdkafka has fewer than 200.
pub const MAX_KAFKA_PROPERTIES: usize = 200;
/// The longest password file; what is longer is another file.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// The longest certificate or key file; the largest CA bundles have about 250 kB.
pub const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;

/// Fewest and most long-lived connections to each broker.
pub const CONNECTIONS_PER_BROKER_RANGE: RangeInclusive<usize> = 1..=16;
/// What `sample_partitions` may be; 0 is no sampling.
pub const SAMPLE_PARTITIONS_RANGE: RangeInclusive<usize> = 0..=100_000;

/// What `max_series` may be; 0 is no limit.
pub const MAX_SERIES_RANGE: RangeInclusive<u64> = 0..=1_000_000_000;

/// Checks a cluster. Errors are kept in the checker; the result counts only when there are none.
pub(crate) fn cluster(checker: &mut Checker<'_>, section: &Field<'_>, polling: &Chosen) -> Cluster {
    let mut files = FileDigest::default();
    let tls = tls(checker, &section.field("tls"), &mut files);
    let sasl = sasl(checker, &section.field("sasl"), tls.is_some());
    let connections = section.field("connections_per_broker");
    let collectors = collectors(checker, &section.field("collectors"));
    let mut cluster = Cluster {
        name: name(checker, &section.field("name")),
        bootstrap_servers: bootstrap_servers(checker, section),
        scope: scope(checker, section),
        labels: labels(checker, &section.field("labels")),
        tls,
        sasl,
        kafka: kafka(checker, &section.field("kafka")),
        connections_per_broker: checker.number(&connections, 1, CONNECTIONS_PER_BROKER_RANGE),
        polling: polling::of_cluster(checker, &section.field("polling"), polling),
        topics: topics(checker, &section.field("topics")),
        groups: groups(checker, &section.field("groups")),
        commits: tracking::commit_source(checker, &section.field("commits"), collectors),
        collectors,
        max_series: checker.parse(&section.field("max_series"), max_series).and_then(NonZeroU64::new),
        files_digest: ContentDigest::default(),
    };
    warn_of_no_effect(checker, section, &cluster);
    cluster.files_digest = with_properties(checker, files, &cluster.kafka);
    cluster
}

fn max_series(text: &str) -> Result<u64, ValueError> {
    values::count(text, MAX_SERIES_RANGE)
}

/// What is written and changes nothing is probably not meant.
fn warn_of_no_effect(checker: &mut Checker<'_>, section: &Field<'_>, cluster: &Cluster) {
    let groups = section.field("groups");
    let drops = groups.field("drop_zero_lag_partitions");
    if cluster.groups.drop_zero_lag_partitions {
        if cluster.groups.granularities().iter().all(|granularity| *granularity == Granularity::Topic) {
            checker.warn(&drops, "no effect: with granularity topic groups have no series by partition");
        } else if !cluster.collectors.commits || !cluster.collectors.offsets {
            checker.warn(&drops, "no effect: without the collectors of offsets and commits no lag is known");
        }
    }
    if matches!(cluster.scope, Scope::LocalBroker(_)) && cluster.commits == CommitSource::Stream {
        let what =
            "every exporter beside a broker reads all of __consumer_offsets for this, not only its broker's part";
        checker.warn(&section.field("commits"), what);
    }
    let names = "overrides say the granularity that holds anyway, for none says another";
    for (field, general, all) in [
        (section.field("topics"), cluster.topics.granularity, cluster.topics.granularities()),
        (groups, cluster.groups.granularity, cluster.groups.granularities()),
    ] {
        if all.len() > 1 && all.iter().all(|granularity| *granularity == general) {
            checker.warn(&field.field("overrides"), names);
        }
    }
}

fn name(checker: &mut Checker<'_>, field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    if text.trim().is_empty() {
        checker.error(field, ValueError::new("the name is empty", "give it a name, or leave the key out"));
    }
    checker.parse(field, values::label_value)
}

fn bootstrap_servers(checker: &mut Checker<'_>, section: &Field<'_>) -> Vec<String> {
    let field = section.field("bootstrap_servers");
    let mut servers = Vec::new();
    for item in field.items() {
        let parts = item.text().unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
        for part in parts {
            servers.extend(checker.take(&item, values::broker_address(part).map(|_| part.to_owned())));
        }
    }
    let none_written = match field.node.map(|node| &node.value) {
        None | Some(Value::Null) => true,
        Some(Value::Scalar(text)) => text.trim_matches([',', ' ']).is_empty(),
        Some(Value::List(items)) => {
            items.iter().all(|item| matches!(&item.value, Value::Scalar(text) if text.trim().is_empty()))
        }
        Some(Value::Map(_) | Value::Invalid) => false,
    };
    if none_written {
        // A missing key has no position: point at the cluster that lacks it.
        let at = if field.is_given() { field.clone() } else { Field { node: section.node, path: field.path.clone() } };
        checker.error(&at, ValueError::new("no broker is given", "write at least one, such as [b1:9092]"));
    }
    checker.limit(&field, servers.len(), MAX_BOOTSTRAP_SERVERS, "servers");
    servers
}

fn scope(checker: &mut Checker<'_>, section: &Field<'_>) -> Scope {
    let (scope, broker) = (section.field("scope"), section.field("local_broker"));
    let local = checker.parse(&broker, values::local_broker).unwrap_or(LocalBroker::Auto);
    let is_local = checker.parse(&scope, values::is_scope_local);
    if is_local == Some(true) {
        return Scope::LocalBroker(local);
    }
    // A scope that is none is told of already; auto beside scope: cluster is what holds anyway.
    let is_meant = local != LocalBroker::Auto || !scope.is_given();
    if broker.is_given() && is_meant && (is_local == Some(false) || !scope.is_given()) {
        let what = "a broker is chosen, but the scope is cluster: all of it is exported";
        checker.error(&broker, ValueError::new(what, "set scope to local_broker, or leave this out"));
    }
    Scope::Cluster
}

fn labels(checker: &mut Checker<'_>, field: &Field<'_>) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    for entry in field.node.map_or(&[][..], |node| node.entries()) {
        let item = field.field(&entry.key);
        checker.take_at(entry.key_origin.clone(), &item.path, values::label_name(&entry.key));
        if let Some(value) = checker.parse(&item, values::label_value) {
            labels.push((entry.key.clone(), value));
        }
    }
    checker.limit(field, labels.len(), MAX_LABELS_PER_CLUSTER, "labels");
    labels.sort();
    labels
}

fn kafka(checker: &mut Checker<'_>, field: &Field<'_>) -> Properties {
    let mut properties = Vec::new();
    for entry in field.node.map_or(&[][..], |node| node.entries()) {
        let item = field.field(&entry.key);
        if matches!(entry.key.as_str(), "bootstrap.servers" | "metadata.broker.list") {
            let error = ValueError::new("brokers are not given as a property", "write them as bootstrap_servers");
            checker.error(&item, error);
        } else if let Some(fault) = item.text().and_then(|value| checker.property_fault(&entry.key, value)) {
            let what = format!("librdkafka does not take this property: {fault}");
            checker.error(&item, ValueError::new(what, "see the list of properties in librdkafka's CONFIGURATION.md"));
        }
        properties.extend(item.text().map(|value| (entry.key.clone(), value.to_owned())));
    }
    checker.limit(field, properties.len(), MAX_KAFKA_PROPERTIES, "properties");
    Properties(properties)
}

/// `tls: true` and `tls: {}` trust the system's authorities; `tls: false` and nothing at all are plaintext.
fn tls(checker: &mut Checker<'_>, field: &Field<'_>, files: &mut FileDigest) -> Option<Tls> {
    if !field.is_given() || (field.text().is_some() && checker.parse(field, values::boolean) != Some(true)) {
        return None;
    }
    let cert_file = pem_file(checker, &field.field("cert_file"), files);
    let key_file = pem_file(checker, &field.field("key_file"), files);
    for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if field.field(one).is_given() && !field.field(other).is_given() {
            let error = ValueError::new(format!("given without {other}"), "a certificate and its key belong together");
            checker.error(&field.field(one), error);
        }
    }
    let insecure_skip_verify = checker.boolean(&field.field("insecure_skip_verify"), false);
    if insecure_skip_verify {
        let what = "the brokers' certificates are not checked: anyone in between can read and change what is sent";
        checker.warn(&field.field("insecure_skip_verify"), what);
    }
    Some(Tls {
        ca_file: pem_file(checker, &field.field("ca_file"), files),
        cert_file,
        key_file,
        key_password: secret(checker, field, "key_password"),
        insecure_skip_verify,
    })
}

fn sasl(checker: &mut Checker<'_>, field: &Field<'_>, has_tls: bool) -> Option<Sasl> {
    if !field.is_given() {
        return None;
    }
    let mechanism = field.field("mechanism");
    let username = field.field("username");
    let password = secret(checker, field, "password");
    let needed = [
        (&mechanism, mechanism.is_given(), "write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        (&username, username.is_given(), "write the user's name"),
        (
            &field.field("password"),
            field.field("password").is_given() || field.field("password_file").is_given(),
            "write password_file, or set KAFKASCOPE_SASL_PASSWORD",
        ),
    ];
    for (missing, is_given, advice) in needed {
        if !is_given {
            let at = Field { node: field.node, path: missing.path.clone() };
            let what = format!("SASL needs {}", missing.path.rsplit('.').next().unwrap_or_default());
            checker.error(&at, ValueError::new(what, advice));
        }
    }
    let mechanism_value = checker.parse(&mechanism, values::mechanism);
    if mechanism_value == Some(SaslMechanism::Plain) && !has_tls {
        checker.warn(&mechanism, "PLAIN without TLS sends the password readably over the network");
    }
    Some(Sasl { mechanism: mechanism_value?, username: username.text()?.to_owned(), password: password? })
}

/// A secret, or its twin `…_file` whose content it is.
fn secret(checker: &mut Checker<'_>, section: &Field<'_>, name: &str) -> Option<Secret> {
    let direct = section.field(name);
    let file = section.field(&format!("{name}_file"));
    if direct.is_given() && file.is_given() {
        let error = ValueError::new(format!("given together with {name}"), "keep one of the two");
        checker.error(&file, error);
        return None;
    }
    if let Some(text) = direct.text() {
        if text.is_empty() {
            checker.error(&direct, ValueError::new(format!("the {name} is empty"), "write it, or leave the key out"));
        }
        return Some(Secret::new(text));
    }
    let content = checker.read_file(&file, MAX_SECRET_BYTES)?.1;
    let Ok(text) = String::from_utf8(content) else {
        checker.error(&file, ValueError::new("the file is not UTF-8 text", "store the password alone in it"));
        return None;
    };
    // Editors and `echo` end the last line; that end is not part of the password.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        checker.error(&file, ValueError::new("the file is empty", "store the password in it"));
    }
    Some(Secret::new(text))
}

fn pem_file(checker: &mut Checker<'_>, field: &Field<'_>, files: &mut FileDigest) -> Option<PathBuf> {
    let (path, content) = checker.read_file(field, MAX_PEM_BYTES)?;
    if !content.windows(11).any(|window| window == b"-----BEGIN ") {
        let what = format!("{} holds nothing in PEM format", path.display());
        checker.error(field, ValueError::new(what, "it must have a part that starts with -----BEGIN"));
    }
    files.add(&path, Some(&content));
    Some(path)
}

/// Adds the files that librdkafka's properties name. That one is missing is for librdkafka to say.
fn with_properties(checker: &Checker<'_>, mut files: FileDigest, kafka: &Properties) -> ContentDigest {
    for (name, value) in &kafka.0 {
        if FILE_PROPERTIES.contains(&name.as_str()) {
            let path = Path::new(value);
            files.add(path, checker.look_at_file(path, MAX_PEM_BYTES).as_deref());
        }
    }
    files.finish()
}

fn topics(checker: &mut Checker<'_>, section: &Field<'_>) -> TopicSettings {
    let sample = checker.number(&section.field("sample_partitions"), 0, SAMPLE_PARTITIONS_RANGE);
    TopicSettings {
        filter: filter(checker, section),
        granularity: granularity(checker, section),
        sample_partitions: NonZeroUsize::new(sample),
        time_lag: tracking::time_lag(checker, section),
        overrides: tracking::topic_overrides(checker, &section.field("overrides")),
    }
}

fn groups(checker: &mut Checker<'_>, section: &Field<'_>) -> GroupSettings {
    let mut states: Vec<String> = Vec::new();
    for item in section.field("states").items() {
        let parts = item.text().unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
        for part in parts {
            match checker.take(&item, values::group_state(part)) {
                Some(state) if !states.contains(&state) => states.push(state),
                _ => {}
            }
        }
    }
    GroupSettings {
        filter: filter(checker, section),
        states,
        granularity: granularity(checker, section),
        drop_zero_lag_partitions: checker.boolean(&section.field("drop_zero_lag_partitions"), false),
        isolation: tracking::isolation(checker, section),
        overrides: tracking::group_overrides(checker, &section.field("overrides")),
    }
}

fn granularity(checker: &mut Checker<'_>, section: &Field<'_>) -> Granularity {
    checker.parse(&section.field("granularity"), values::granularity).unwrap_or(Granularity::Partition)
}

fn filter(checker: &mut Checker<'_>, section: &Field<'_>) -> NameFilter {
    let include = section.field("include");
    let includes = if include.is_given() { patterns(checker, &include) } else { vec![".*".to_owned()] };
    if let Some(Value::List(items)) = include.node.map(|node| &node.value)
        && items.is_empty()
    {
        checker.error(&include, ValueError::new("an empty list lets nothing through", "write ['.*'] for all"));
    }
    let exclude = section.field("exclude");
    let excludes = patterns(checker, &exclude);
    match NameFilter::new(includes, excludes) {
        Ok(filter) => filter,
        Err(error) => {
            let what = format!("the regexes together are not usable: {}", values::regex_reason(&error));
            checker.error(section, ValueError::new(what, "use fewer or simpler ones"));
            NameFilter::all()
        }
    }
}

/// The names that an override is for; `None` when that cannot be told.
pub(crate) fn names(checker: &mut Checker<'_>, field: &Field<'_>) -> Option<NameFilter> {
    if !field.is_given() {
        return None;
    }
    if matches!(field.node.map(|node| &node.value), Some(Value::List(items)) if items.is_empty()) {
        checker.error(field, ValueError::new("an empty list matches nothing", "write regexes, or leave the key out"));
    }
    match NameFilter::new(patterns(checker, field), Vec::new()) {
        Ok(names) => Some(names),
        Err(error) => {
            let what = format!("the regexes together are not usable: {}", values::regex_reason(&error));
            checker.error(field, ValueError::new(what, "use fewer or simpler ones"));
            None
        }
    }
}

/// The regexes of a list; those that are none are reported and left out.
fn patterns(checker: &mut Checker<'_>, field: &Field<'_>) -> Vec<String> {
    let items = field.items();
    checker.limit(field, items.len(), MAX_PATTERNS_PER_FILTER, "regexes");
    let kept = items.iter().take(MAX_PATTERNS_PER_FILTER);
    kept.filter_map(|item| checker.parse(item, values::pattern)).collect()
}

fn collectors(checker: &mut Checker<'_>, section: &Field<'_>) -> Collectors {
    let commits = section.field("commits");
    let groups = checker.boolean(&section.field("groups"), true);
    let chosen = Collectors {
        offsets: checker.boolean(&section.field("offsets"), true),
        groups,
        commits: checker.boolean(&commits, groups),
        configs: checker.boolean(&section.field("configs"), true),
    };
    if chosen.commits && !chosen.groups {
        let advice = "set groups to true, or commits to false";
        checker.error(&commits, ValueError::new("commits are read per group, and groups is false", advice));
    }
    if chosen.commits && !chosen.offsets {
        let what = "without offsets there is no lag: only committed offsets are exported";
        checker.warn(&section.field("offsets"), what);
    }
    if !chosen.groups && !commits.is_given() {
        checker.warn(&section.field("groups"), "without groups there are no commits and no lag either");
    }
    chosen
}
