//! Command lines in, settings or error texts out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use clap::{CommandFactory, Parser};

use super::*;
use crate::config::tests::Fake;
use crate::config::{
    Cluster, Config, ConfigError, Granularity, LogFormat, NameFilter, PollingMode, SaslMechanism, schema,
};

const FILE: &str = "
polling: {interval: 20s, request_timeout: 3s, max_in_flight: 7}
clusters:
  - name: file
    bootstrap_servers: [file:9092]
    labels: {env: file, dc: file}
    topics: {include: [file]}
";

const TWO: &str = "clusters: [{name: a, bootstrap_servers: ['a:1']}, {name: b, bootstrap_servers: ['b:1']}]";

fn parse_args(args: &str) -> Cli {
    let words = ["kafkascope"].into_iter().chain(args.split(' ').filter(|word| !word.is_empty()));
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{args}: {error}"))
}

/// What `serve` makes of these arguments: settings and warnings, or errors.
fn serve_in(fake: &Fake, args: &str) -> Result<(Config, Vec<String>), Vec<String>> {
    let Command::Serve(serve) = parse_args(args).into_command() else { panic!("{args} is not serve") };
    match serve.resolve(fake) {
        Ok((config, warnings)) => Ok((config, warnings.iter().map(ToString::to_string).collect())),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

fn serve(args: &str) -> Config {
    serve_in(&Fake::default(), args).unwrap_or_else(|errors| panic!("{args}: {errors:#?}")).0
}

fn cluster(args: &str) -> Cluster {
    serve(args).clusters.remove(0)
}

fn errors(fake: &Fake, args: &str) -> Vec<String> {
    serve_in(fake, args).map(|(config, _)| config).unwrap_err()
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn serve_needs_no_name() {
    assert_eq!(serve("--bootstrap-servers x:9092"), serve("serve --bootstrap-servers x:9092"));
    assert!(Cli::try_parse_from(["kafkascope", "--interval", "1s", "metrics"]).is_err());
    assert!(matches!(parse_args("man").into_command(), Command::Man));
}

#[test]
fn flag_wins_over_variable_over_file() {
    let fake = Fake::default()
        .file("k.yml", FILE)
        .var("KAFKASCOPE_CONFIG", "k.yml")
        .var("KAFKASCOPE_REQUEST_TIMEOUT", "4s")
        .var("KAFKASCOPE_MAX_IN_FLIGHT", "8")
        .var("KAFKASCOPE_LABEL", "env=env, x=env")
        .var("KAFKASCOPE_BOOTSTRAP_SERVERS", "env:1,env:2")
        .var("KAFKASCOPE_MAX_AGE", "");
    let (config, warnings) =
        serve_in(&fake, "--max-in-flight 9 --label x=flag --topic-include flag --topic-include b,c").unwrap();
    assert_eq!(config.polling.interval, Duration::from_secs(20));
    assert_eq!(config.polling.request_timeout, Duration::from_secs(4));
    assert_eq!(config.polling.max_in_flight, 9);
    let [cluster] = config.clusters.as_slice() else { panic!("one cluster") };
    assert_eq!(cluster.name.as_deref(), Some("file"));
    assert_eq!(cluster.bootstrap_servers, ["env:1", "env:2"]);
    let labels: Vec<String> = cluster.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["dc=file", "env=env", "x=flag"]);
    let filter = NameFilter::new(vec!["flag".to_owned(), "b,c".to_owned()], Vec::new()).unwrap();
    assert_eq!(cluster.topics.filter, filter);
    assert!(warnings.is_empty());
}

/// The settings of the two modes are not the same; what a higher layer says of the mode lets go what a lower one says of the other.
#[test]
fn the_mode_is_that_of_the_highest_layer() {
    let adaptive = "polling: {mode: adaptive, min_interval: 7s, max_interval: 50s}\n\
                    clusters: [{bootstrap_servers: ['b:1'], polling: {max_interval: 40s}}]";
    let fixed = "polling: {interval: 20s}\nclusters: [{bootstrap_servers: ['b:1']}]";
    let of = |text: &str, vars: &[(&str, &str)], args: &str| {
        let fake = vars.iter().fold(Fake::default().file("k.yml", text), |fake, (name, value)| fake.var(name, value));
        let (config, warnings) = serve_in(&fake, &format!("--config k.yml {args}")).unwrap();
        (config.polling_of(&config.clusters[0]), warnings)
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));

    let (polling, warnings) = of(adaptive, &[], "");
    assert_eq!((polling.mode, polling.max_interval, warnings.len()), (PollingMode::Adaptive, seconds(40), 0));
    let (polling, warnings) = of(adaptive, &[("KAFKASCOPE_MIN_INTERVAL", "8s")], "--max-interval 45s");
    assert_eq!((polling.min_interval, polling.max_interval, warnings.len()), (seconds(8), seconds(40), 0));

    for (vars, args, said) in [
        (&[][..], "--interval 3s", "--interval means mode fixed"),
        (&[("KAFKASCOPE_INTERVAL", "3s")][..], "", "KAFKASCOPE_INTERVAL means mode fixed"),
        (&[("KAFKASCOPE_POLLING_MODE", "adaptive")][..], "--interval 3s", "--interval means mode fixed"),
    ] {
        let (polling, warnings) = of(adaptive, vars, args);
        assert_eq!((polling.mode, Some(polling.interval)), (PollingMode::Fixed, seconds(3)), "{args}");
        assert_eq!((polling.min_interval, polling.max_interval), (None, None));
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("without effect: ") && warning.ends_with(said)));
    }

    let (polling, warnings) = of(fixed, &[], "--polling-mode adaptive --min-interval 2s");
    assert_eq!((polling.mode, polling.min_interval), (PollingMode::Adaptive, seconds(2)));
    assert_eq!(
        warnings,
        ["k.yml:1:21: polling.interval: without effect: it is of mode fixed, and --polling-mode is adaptive"]
    );
    let fake = Fake::default().file("k.yml", fixed);
    assert_eq!(
        errors(&fake, "--config k.yml --min-interval 2s"),
        [
            "--min-interval: is of mode adaptive, and polling.interval (line 1) means mode fixed; remove it, or write mode: adaptive and no interval"
        ]
    );
    assert_eq!(
        errors(&fake, "--config k.yml --interval 9s --polling-mode adaptive"),
        [
            "--interval: is of mode fixed, and --polling-mode is adaptive; remove it, or write mode: fixed; min_interval and max_interval bound mode adaptive"
        ]
    );
}

#[test]
fn every_flag_and_variable_reaches_its_setting() {
    let pem = "-----BEGIN CERTIFICATE-----";
    let fake = Fake::default().file("f.pem", pem).file("pw", "secret\n");
    let value = |key: &schema::Key| match (key.path, key.kind) {
        (_, schema::Kind::Duration) => "90s",
        ("clusters[].connections_per_broker", _) => "7",
        ("polling.mode", _) => "fixed",
        (_, schema::Kind::Number | schema::Kind::Decimal) => "77",
        (_, schema::Kind::Percent) => "77%",
        (_, schema::Kind::Boolean | schema::Kind::Switch) => "true",
        ("clusters[].sasl.password_file" | "clusters[].tls.key_password_file", _) => "pw",
        ("state_file", _) => "scope.state",
        (_, schema::Kind::Path) => "f.pem",
        (_, schema::Kind::Labels | schema::Kind::Properties) => "abc=xyz",
        ("web.listen" | "clusters[].bootstrap_servers", _) => "h:77",
        ("web.telemetry_path", _) => "/xyz",
        ("log.format", _) => "json",
        ("log.level", _) => "trace",
        ("clusters[].sasl.mechanism", _) => "SCRAM-SHA-512",
        ("clusters[].groups.states", _) => "Empty",
        ("clusters[].scope", _) => "cluster",
        ("clusters[].local_broker", _) => "7",
        ("clusters[].topics.time_lag", _) => "broker",
        (path, _) if path.ends_with("granularity") => "topic",
        _ => "xyz",
    };
    // What some settings need beside them.
    let needed = [
        ("bootstrap-servers", "b:1"),
        ("sasl-mechanism", "PLAIN"),
        ("sasl-username", "u"),
        ("tls-cert-file", "f.pem"),
        ("tls-key-file", "f.pem"),
        ("scope", "local_broker"),
    ];
    let run = |fake: &Fake, changed: Option<&str>, extra: &str| {
        let rest = needed.iter().filter(|(flag, _)| Some(*flag) != changed);
        let args: String = rest.map(|(flag, value)| format!("--{flag}={value} ")).collect();
        let args = format!("{args}{extra}");
        serve_in(fake, &args).unwrap_or_else(|errors| panic!("{args}: {errors:?}")).0
    };
    let with_password = fake.clone().var("KAFKASCOPE_SASL_PASSWORD", "p");
    let base = run(&with_password, None, "");
    // The key's password belongs to TLS, and so needs TLS; all else stands for itself.
    for key in schema::KEYS.iter().filter(|key| key.path != "clusters[].tls") {
        let Some(name) = key.env() else { continue };
        let vars = if key.path.contains("sasl.password") { fake.clone() } else { with_password.clone() };
        let by_env = run(&vars.var(&name, value(key)), key.flag(), "");
        if !value(key).ends_with(".pem") || key.name() == "ca_file" {
            assert_ne!(reveal(&by_env), reveal(&base), "{name} changes nothing");
        }
        if let Some(flag) = key.flag() {
            let by_flag = run(&with_password, Some(flag), &format!("--{flag}={}", value(key)));
            assert_eq!(by_flag, by_env, "--{flag} and {name}");
        }
    }
}

/// A configuration with what its `Debug` hides.
fn reveal(config: &Config) -> (&Config, Vec<Vec<(String, String)>>) {
    (config, config.clusters.iter().map(Cluster::librdkafka_properties).collect())
}

#[test]
fn tls_can_be_switched() {
    assert_eq!(cluster("--bootstrap-servers b:1").tls, None);
    assert!(cluster("--bootstrap-servers b:1 --tls").tls.is_some());
    assert!(cluster("--bootstrap-servers b:1 --tls-insecure-skip-verify").tls.unwrap().insecure_skip_verify);
    let yaml = "clusters: [{bootstrap_servers: ['b:1'], tls: {insecure_skip_verify: true}}]";
    let fake = Fake::default().file("k.yml", yaml);
    let tls = |args: &str| serve_in(&fake, &format!("--config k.yml {args}")).unwrap().0.clusters.remove(0).tls;
    assert!(tls("--tls").unwrap().insecure_skip_verify);
    assert!(!tls("--tls-insecure-skip-verify=false").unwrap().insecure_skip_verify);
    assert_eq!(tls("--tls=false"), None);
}

#[test]
fn a_password_of_a_higher_layer_replaces_a_file_of_a_lower_one() {
    let yaml =
        "clusters: [{bootstrap_servers: ['b:1'], sasl: {mechanism: SCRAM-SHA-256, username: u, password_file: gone}}]";
    let fake = Fake::default().file("k.yml", yaml).file("pw", "flag\n");
    let password = |fake: &Fake, args: &str| {
        let config = serve_in(fake, &format!("--config k.yml {args}")).unwrap().0;
        config.clusters[0].sasl.as_ref().unwrap().password.reveal().to_owned()
    };
    let with_env = fake.clone().var("KAFKASCOPE_SASL_PASSWORD", "env");
    assert_eq!(password(&with_env, ""), "env");
    assert_eq!(password(&with_env, "--sasl-password-file pw"), "flag");
    let both = with_env.var("KAFKASCOPE_SASL_PASSWORD_FILE", "pw");
    assert_eq!(
        errors(&both, "--config k.yml"),
        ["KAFKASCOPE_SASL_PASSWORD_FILE: given together with password; keep one of the two"]
    );
}

#[test]
fn errors_name_the_flag_or_the_variable() {
    let fake = Fake::default().var("KAFKASCOPE_INTERVAL", "soon").var("KAFKASCOPE_LABEL", "a");
    assert_eq!(
        errors(&fake, "--bootstrap-servers b1 --topic-include a( --max-age 1s --kafka debug"),
        [
            "KAFKASCOPE_LABEL: 'a' has no '='; write NAME=VALUE",
            "KAFKASCOPE_INTERVAL: 'soon' is not a duration; write whole numbers with ms, s, m, h or d, such as 15s or 1m30s",
            "--kafka: 'debug' has no '='; write NAME=VALUE",
            "--max-age: shorter than the interval of 15s; every value would expire before the next pass; write auto, or more",
            "--bootstrap-servers: 'b1' has no port; write HOST:PORT, such as b1:9092",
            "--topic-include: 'a(' is not a regex: unclosed group; mend it; the syntax is that of Rust's regex crate, close to Go's RE2",
        ]
    );
    assert_eq!(
        errors(&Fake::default(), ""),
        [
            "clusters: no Kafka cluster is given; give --bootstrap-servers HOST:PORT, which is enough, or clusters in a config file"
        ]
    );
    assert_eq!(
        errors(&Fake::default().var("KAFKASCOPE_CONFIG", "gone.yml"), ""),
        ["gone.yml: the config file does not exist; check the path and who may read it"]
    );
}

#[test]
fn one_cluster_cannot_be_set_among_several() {
    let fake = Fake::default().file("k.yml", TWO).var("KAFKASCOPE_CLUSTER_NAME", "x");
    assert_eq!(
        errors(&fake, "--config k.yml --label a=b --interval 10s"),
        [
            "KAFKASCOPE_CLUSTER_NAME: sets one cluster, and the config file has 2; set name in the file instead",
            "--label: sets one cluster, and the config file has 2; set labels in the file instead",
        ]
    );
}

#[test]
fn flags_and_errors_of_the_file_are_reported_together() {
    let fake = Fake::default().file("k.yml", "web: {listen: 1}\nclusters: [{bootstrap_servers: ['b:1']}]");
    let found = errors(&fake, "--config k.yml --interval x");
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("k.yml:1:15: web.listen: ") && found[1].starts_with("--interval: "), "{found:?}");
}

#[test]
fn kafka_exporters_flags_mean_the_same() {
    let config = serve(
        "--kafka.server=a:9092 --kafka.server=b:9092 --kafka.labels=env=prod,cluster_name=main,dc=1 \
         --topic.filter=^t --topic.exclude=x$ --group.filter=.* --group.exclude=^$ \
         --web.listen-address=127.0.0.1:9400 --web.telemetry-path=/m --log.level=debug --log.format=logfmt",
    );
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:9400");
    assert_eq!(config.web.telemetry_path, "/m");
    assert_eq!((config.log.level.as_str(), config.log.format), ("debug", LogFormat::Human));
    let cluster = &config.clusters[0];
    assert_eq!(cluster.bootstrap_servers, ["a:9092", "b:9092"]);
    assert_eq!(cluster.name.as_deref(), Some("main"));
    let labels: Vec<String> = cluster.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["dc=1", "env=prod"]);
    assert!(cluster.topics.filter.matches("t1") && !cluster.topics.filter.matches("tx"));
    assert!(cluster.groups.filter.is_match_all());
    assert_eq!(serve("--kafka.server=a:1 --verbosity=1").log.level, "debug");
    assert_eq!(serve("--kafka.server a:1 --verbosity 2").log.level, "trace");
}

#[test]
fn kafka_exporters_security_flags_mean_the_same() {
    let fake =
        Fake::default().file("ca.pem", "-----BEGIN X").file("c.pem", "-----BEGIN X").file("k.pem", "-----BEGIN X");
    let of =
        |args: &str| serve_in(&fake.clone().var("SASL_USER_PASSWORD", "env"), &format!("--kafka.server=a:1 {args}"));
    for (switch, is_on) in [
        ("--sasl.enabled", true),
        ("--sasl.enabled=true", true),
        ("--no-sasl.enabled", false),
        ("--sasl.enabled=false", false),
        ("--no-sasl.enabled --sasl.enabled", true),
        ("--sasl.enabled --no-sasl.enabled", false),
        ("", false),
    ] {
        let (config, warnings) =
            of(&format!("{switch} --sasl.username=u --sasl.password=p --sasl.mechanism=scram-sha512")).unwrap();
        let sasl = config.clusters[0].sasl.as_ref();
        assert_eq!(sasl.map(|sasl| sasl.mechanism), is_on.then_some(SaslMechanism::ScramSha512), "{switch}");
        assert_eq!(warnings.len(), if is_on { 0 } else { 3 }, "{warnings:?}");
    }
    let plain = of("--sasl.enabled --sasl.username=u --sasl.password=").unwrap().0.clusters.remove(0).sasl.unwrap();
    assert_eq!((plain.mechanism, plain.password.reveal()), (SaslMechanism::Plain, "env"));
    let scram = of("--sasl.enabled --sasl.username=u --sasl.mechanism=scram-sha256")
        .unwrap()
        .0
        .clusters
        .remove(0)
        .sasl
        .unwrap();
    assert_eq!(scram.mechanism, SaslMechanism::ScramSha256);

    let (config, _) = of(
        "--tls.enabled --tls.ca-file=ca.pem --tls.cert-file=c.pem --tls.key-file=k.pem --tls.insecure-skip-tls-verify",
    )
    .unwrap();
    let tls = config.clusters[0].tls.as_ref().unwrap();
    assert!(tls.insecure_skip_verify && tls.ca_file.is_some() && tls.cert_file.is_some() && tls.key_file.is_some());
    let (config, warnings) = of("--tls.ca-file=ca.pem").unwrap();
    assert_eq!(config.clusters[0].tls, None);
    assert_eq!(warnings, ["--tls.ca-file: ignored without --tls.enabled, as kafka_exporter does"]);
    assert_eq!(of("--sasl.enabled --sasl.username=u --sasl.mechanism=gssapi").unwrap_err().len(), 1);
}

#[test]
fn every_flag_of_kafka_exporter_is_taken() {
    for name in kafka_exporter::names() {
        let values: &[&str] = match name {
            "sasl.password" => &["=p"],
            "sasl.mechanism" => &["=plain"],
            "web.listen-address" | "kafka.server" => &["=:9309", "=h:1"],
            "web.telemetry-path" => &["=/x"],
            "kafka.labels" => &["=a=b", "="],
            "log.level" => &["=warn"],
            "log.format" => &["=json", "=logfmt"],
            "verbosity" => &["=0", "=1"],
            _ => &["=true", "=false", "=x", " x", ""],
        };
        let works = values.iter().any(|value| {
            let line = format!("kafkascope --kafka.server=k:1 --{name}{value}");
            let Ok(cli) = Cli::try_parse_from(line.split(' ')) else { return false };
            cli.serve.resolve(&Fake::default().file("x", "-----BEGIN X")).is_ok()
        });
        assert!(works, "--{name}");
    }
}

#[test]
fn what_has_no_meaning_here_warns_and_goes_on() {
    let (_, warnings) = serve_in(
        &Fake::default(),
        "--kafka.server=a:1 --offset.show-all --sasl.handshake=true --no-concurrent.enable --kafka.version=2.8.0 \
         --refresh.metadata=1m --topic.workers=5 --no-offset.show-all --tls.server-name= --server.tls.enabled",
    )
    .unwrap();
    assert_eq!(
        warnings,
        [
            "--kafka.version: has no effect: the versions of requests are negotiated with each broker",
            "--topic.workers: has no effect: requests are bounded by --max-in-flight",
            "--server.tls.enabled: has no effect: HTTP is served without TLS in this version; put a proxy in front",
            "--refresh.metadata: has no effect: metadata is read once in a scrape period; see --polling-mode",
            "--offset.show-all: has no effect: every committed offset is exported; see --group-states",
        ]
    );
}

#[test]
fn own_and_foreign_flags_for_one_setting_are_refused() {
    assert_eq!(
        errors(&Fake::default(), "--kafka.server=a:1 --bootstrap-servers b:1"),
        ["--kafka.server: means the same as --bootstrap-servers, and both are given; keep one of the two"]
    );
    let fake = Fake::default().var("KAFKASCOPE_BOOTSTRAP_SERVERS", "env:1");
    let config = serve_in(&fake, "--kafka.server=a:1 --interval 9s").unwrap().0;
    assert_eq!(config.clusters[0].bootstrap_servers, ["a:1"]);
}

#[test]
fn the_demo_keeps_its_cluster() {
    let Command::Demo(demo) = parse_args("demo --listen :0").into_command() else { panic!("not demo") };
    let fake = Fake::default().var("KAFKASCOPE_BOOTSTRAP_SERVERS", "real:9092").var("KAFKASCOPE_CONFIG", "gone");
    let (config, warnings) = demo.resolve(&["127.0.0.1:4711".to_owned()], &fake).unwrap();
    assert_eq!((config.web.listen.to_string().as_str(), config.polling.mode), (":0", PollingMode::Adaptive));
    assert_eq!(config.polling.max_interval, Some(Duration::from_secs(5)));
    assert_eq!(config.clusters[0].bootstrap_servers, ["127.0.0.1:4711"]);
    assert!(warnings.is_empty());
    let Command::Demo(demo) = parse_args("demo --interval 2s").into_command() else { panic!("not demo") };
    let (config, warnings) = demo.resolve(&["127.0.0.1:4711".to_owned()], &fake).unwrap();
    assert_eq!((config.polling.mode, warnings.len()), (PollingMode::Fixed, 0), "{warnings:?}");
}

#[test]
fn check_says_what_is_there() {
    let checked = |fake: &Fake, args: &str| -> Result<check::Checked, Vec<ConfigError>> {
        let Command::Check(check) = parse_args(args).into_command() else { panic!("not check") };
        check::run(&check, fake)
    };
    let fake = Fake::default().file("k.yml", TWO).file("bad.yml", "x: 1");
    assert_eq!(checked(&fake, "check k.yml").unwrap().report, "k.yml: ok, 2 clusters: a (a:1), b (b:1)\n");
    let flags = checked(&fake, "check --bootstrap-servers x:1,y:1").unwrap().report;
    assert_eq!(flags, "flags and environment: ok, 1 cluster: x:1, y:1\n");
    let effective = checked(&fake, "check k.yml --effective").unwrap().report;
    assert!(effective.contains("max_interval: auto") && effective.contains("name: b"), "{effective}");
    assert_eq!(checked(&fake, "check bad.yml").unwrap_err().len(), 2);
}

#[test]
fn snapshot_asks_without_serving() {
    let Command::Snapshot(snapshot) =
        parse_args("snapshot --bootstrap-servers x:1 --output json --group-granularity topic").into_command()
    else {
        panic!("not snapshot")
    };
    assert_eq!(snapshot.output, snapshot::SnapshotOutput::Json);
    assert_eq!(snapshot.resolve(&Fake::default()).unwrap().0.clusters[0].groups.granularity, Granularity::Topic);
    assert!(Cli::try_parse_from(["kafkascope", "snapshot", "--listen", ":1"]).is_err());
}

#[test]
fn an_estimate_asks_and_the_catalogue_does_not() {
    let metrics = |args: &str| {
        let Command::Metrics(metrics) = parse_args(args).into_command() else { panic!("not metrics") };
        metrics
    };
    let estimate = metrics("metrics --estimate --bootstrap-servers x:1 --max-series 100 --drop-zero-lag-partitions");
    let cluster = estimate.resolve(&Fake::default()).unwrap().0.clusters.remove(0);
    assert_eq!(cluster.max_series.map(std::num::NonZeroU64::get), Some(100));
    assert!(cluster.groups.drop_zero_lag_partitions);
    assert_eq!(estimate.needs_estimate(), None);
    assert_eq!(metrics("metrics --output json").needs_estimate(), None);
    assert_eq!(metrics("metrics --bootstrap-servers x:1").needs_estimate(), Some("bootstrap-servers"));
    assert!(Cli::try_parse_from(["kafkascope", "metrics", "--config", "k.yml"]).is_err());
    assert!(Cli::try_parse_from(["kafkascope", "metrics", "--estimate", "--listen", ":1"]).is_err());
}

#[test]
fn every_flag_is_described() {
    let command = Cli::command();
    for command in std::iter::once(&command).chain(command.get_subcommands()) {
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.len() > 5, "{} {}: '{help}'", command.get_name(), arg.get_id());
        }
    }
    let help = Cli::command().render_long_help().to_string();
    for text in ["Exit codes:", "KAFKASCOPE_BOOTSTRAP_SERVERS", "kafka_exporter's flags", "--config <FILE>", "demo"] {
        assert!(help.contains(text), "{text} is missing:\n{help}");
    }
    assert!(!Cli::command().render_help().to_string().contains("--kafka.server"));
}

#[test]
fn completions_and_man_page_are_made() {
    for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
        let script = String::from_utf8(generate::completions(generate::CompletionsArgs { shell })).unwrap();
        assert!(script.contains("bootstrap-servers"), "{shell}");
    }
    assert!(String::from_utf8(generate::man().unwrap()).unwrap().contains(".TH kafkascope"));
}

#[test]
fn the_table_of_foreign_flags_is_whole() {
    let table = kafka_exporter::markdown();
    assert_eq!(table.lines().count(), kafka_exporter::names().count() + 2);
    assert!(table.contains("| `--kafka.server` | As --bootstrap-servers |"), "{table}");
}
