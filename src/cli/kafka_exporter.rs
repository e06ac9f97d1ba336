//! kafka_exporter's flags with their meaning here, so that its place is taken by changing an image name.
//!
//! The table follows kafka_exporter 1.9 and what its main branch added since. Booleans are as in
//! its flag library: `--name`, `--no-name`; `--name=true` and `--name=false` work too.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::flags::optional_boolean;
use crate::config::{Origin, Place, Setting, Surroundings, Warning, schema};

/// The variable that kafka_exporter takes the password from when `--sasl.password` is not given.
pub const PASSWORD_ENV: &str = "SASL_USER_PASSWORD";

/// How a flag is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Repeated,
    Boolean,
}

/// What a flag means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The setting with this path.
    Same(&'static str),
    /// The setting with this path, but only while the switch is on; without it kafka_exporter ignores the flag.
    With { switch: &'static str, path: &'static str },
    /// `sasl.enabled`: a section without a switch of its own.
    SaslEnabled,
    /// Constant labels separated by commas.
    Labels,
    /// Levels as numbers: 0, 1 (debug), 2 (trace).
    Verbosity,
    /// logfmt or json.
    LogFormat,
    /// Nothing. A warning says so, unless the value asks for what is true anyway.
    Nothing { agrees: &'static str, why: &'static str },
}

struct Flag {
    name: &'static str,
    form: Form,
    meaning: Meaning,
}

const fn flag(name: &'static str, form: Form, meaning: Meaning) -> Flag {
    Flag { name, form, meaning }
}

const fn same(name: &'static str, path: &'static str) -> Flag {
    Flag { name, form: Form::Text, meaning: Meaning::Same(path) }
}

const fn sasl(name: &'static str, path: &'static str) -> Flag {
    Flag { name, form: Form::Text, meaning: Meaning::With { switch: "sasl.enabled", path } }
}

const fn tls(name: &'static str, form: Form, path: &'static str) -> Flag {
    Flag { name, form, meaning: Meaning::With { switch: "tls.enabled", path } }
}

const fn nothing(name: &'static str, form: Form, agrees: &'static str, why: &'static str) -> Flag {
    Flag { name, form, meaning: Meaning::Nothing { agrees, why } }
}

const NO_KERBEROS: &str = "Kerberos is not supported in this version";
const NO_OAUTH: &str = "OAUTHBEARER and AWS_MSK_IAM are not supported in this version";
const NO_WEB_TLS: &str = "HTTP is served without TLS in this version; put a proxy in front";
const NO_ZOOKEEPER: &str = "offsets are read from Kafka only; ZooKeeper is gone since Kafka 4.0";
const NO_WORKERS: &str = "requests are bounded by --max-in-flight";

#[rustfmt::skip]
const FLAGS: &[Flag] = &[
    flag("kafka.server", Form::Repeated, Meaning::Same("clusters[].bootstrap_servers")),
    flag("kafka.labels", Form::Text, Meaning::Labels),
    nothing("kafka.version", Form::Text, "", "the versions of requests are negotiated with each broker"),
    nothing("kafka.allow-auto-topic-creation", Form::Boolean, "false", "the exporter never makes a broker create topics"),
    same("topic.filter", "clusters[].topics.include"),
    same("topic.exclude", "clusters[].topics.exclude"),
    nothing("topic.workers", Form::Text, "", NO_WORKERS),
    same("group.filter", "clusters[].groups.include"),
    same("group.exclude", "clusters[].groups.exclude"),
    nothing("group.workers", Form::Text, "", NO_WORKERS),
    nothing("group.metrics.timeout", Form::Text, "", "requests are bounded by --request-timeout"),
    same("web.listen-address", "web.listen"),
    same("web.telemetry-path", "web.telemetry_path"),
    flag("sasl.enabled", Form::Boolean, Meaning::SaslEnabled),
    sasl("sasl.username", "clusters[].sasl.username"),
    sasl("sasl.password", "clusters[].sasl.password"),
    sasl("sasl.mechanism", "clusters[].sasl.mechanism"),
    nothing("sasl.handshake", Form::Boolean, "true", "the handshake is always made"),
    nothing("sasl.service-name", Form::Text, "", NO_KERBEROS),
    nothing("sasl.kerberos-config-path", Form::Text, "", NO_KERBEROS),
    nothing("sasl.realm", Form::Text, "", NO_KERBEROS),
    nothing("sasl.kerberos-auth-type", Form::Text, "", NO_KERBEROS),
    nothing("sasl.keytab-path", Form::Text, "", NO_KERBEROS),
    nothing("sasl.disable-PA-FX-FAST", Form::Boolean, "false", NO_KERBEROS),
    nothing("sasl.aws-region", Form::Text, "", NO_OAUTH),
    nothing("sasl.oauthbearer-token-url", Form::Text, "", NO_OAUTH),
    nothing("sasl.oauthbearer-token-file", Form::Text, "", NO_OAUTH),
    nothing("sasl.oauthbearer-scopes", Form::Text, "", NO_OAUTH),
    flag("tls.enabled", Form::Boolean, Meaning::Same("clusters[].tls")),
    tls("tls.ca-file", Form::Text, "clusters[].tls.ca_file"),
    tls("tls.cert-file", Form::Text, "clusters[].tls.cert_file"),
    tls("tls.key-file", Form::Text, "clusters[].tls.key_file"),
    tls("tls.insecure-skip-tls-verify", Form::Boolean, "clusters[].tls.insecure_skip_verify"),
    nothing("tls.server-name", Form::Text, "", "certificates are checked against the host that each broker advertises"),
    nothing("server.tls.enabled", Form::Boolean, "false", NO_WEB_TLS),
    nothing("server.tls.mutual-auth-enabled", Form::Boolean, "false", NO_WEB_TLS),
    nothing("server.tls.ca-file", Form::Text, "", NO_WEB_TLS),
    nothing("server.tls.cert-file", Form::Text, "", NO_WEB_TLS),
    nothing("server.tls.key-file", Form::Text, "", NO_WEB_TLS),
    nothing("refresh.metadata", Form::Text, "", "metadata is read once in a scrape period; see --polling-mode"),
    nothing("offset.show-all", Form::Boolean, "true", "every committed offset is exported; see --group-states"),
    nothing("concurrent.enable", Form::Boolean, "false", "a scrape never asks Kafka"),
    nothing("use.consumelag.zookeeper", Form::Boolean, "false", NO_ZOOKEEPER),
    nothing("zookeeper.server", Form::Repeated, "", NO_ZOOKEEPER),
    nothing("log.enable-sarama", Form::Boolean, "false", "the client's log is shown by --log-level info,librdkafka=debug"),
    same("log.level", "log.level"),
    flag("log.format", Form::Text, Meaning::LogFormat),
    flag("verbosity", Form::Text, Meaning::Verbosity),
];

/// kafka_exporter's flags that were given.
#[derive(Clone, Debug, Default)]
pub struct KafkaExporterFlags {
    /// Places in [`FLAGS`] with the texts that are not empty.
    given: Vec<(usize, Vec<String>)>,
}

impl KafkaExporterFlags {
    /// What they mean: settings, lowest precedence first, and what is said about those without a meaning.
    pub fn settings(&self, surroundings: &dyn Surroundings) -> (Vec<Setting>, Vec<Warning>) {
        let mut translation = Translation::default();
        for (flag, values) in self.flags() {
            self.translate(flag, values, &mut translation);
        }
        self.add_password_of_environment(surroundings, &mut translation);
        (translation.settings, translation.warnings)
    }

    fn flags(&self) -> impl Iterator<Item = (&'static Flag, &[String])> {
        self.given.iter().filter_map(|(at, values)| Some((FLAGS.get(*at)?, values.as_slice())))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.flags().find(|(flag, _)| flag.name == name).and_then(|(_, values)| values.last().map(String::as_str))
    }

    fn is_on(&self, switch: &str) -> bool {
        self.value(switch) == Some("true")
    }

    fn translate(&self, flag: &'static Flag, values: &[String], to: &mut Translation) {
        let last = values.last().map(String::as_str).unwrap_or_default();
        match flag.meaning {
            Meaning::Same(path) => to.set(path, flag.name, values.to_vec()),
            Meaning::With { switch, path } if self.is_on(switch) => to.set(path, flag.name, values.to_vec()),
            Meaning::With { switch, path } => {
                to.warn(flag.name, path, format!("ignored without --{switch}, as kafka_exporter does"));
            }
            Meaning::SaslEnabled => {
                if last == "true" && self.value("sasl.mechanism").is_none() {
                    to.set("clusters[].sasl.mechanism", flag.name, vec!["PLAIN".to_owned()]);
                }
            }
            Meaning::Labels => {
                let (names, labels): (Vec<&str>, Vec<&str>) =
                    last.split(',').filter(|part| !part.is_empty()).partition(|part| part.starts_with("cluster_name="));
                // The exporter makes this label from the cluster's name.
                if let Some((_, name)) = names.last().and_then(|part| part.split_once('=')) {
                    to.set("clusters[].name", flag.name, vec![name.to_owned()]);
                }
                if !labels.is_empty() {
                    to.set("clusters[].labels", flag.name, labels.into_iter().map(str::to_owned).collect());
                }
            }
            Meaning::Verbosity => match last {
                "0" => {}
                _ if self.value("log.level").is_some() => {}
                "1" => to.set("log.level", flag.name, vec!["debug".to_owned()]),
                _ => to.set("log.level", flag.name, vec!["trace".to_owned()]),
            },
            Meaning::LogFormat => {
                let format = if last == "logfmt" { "human" } else { last };
                to.set("log.format", flag.name, vec![format.to_owned()]);
            }
            Meaning::Nothing { agrees, why } => {
                if last != agrees {
                    to.warn(flag.name, "", format!("has no effect: {why}"));
                }
            }
        }
    }

    fn add_password_of_environment(&self, surroundings: &dyn Surroundings, to: &mut Translation) {
        if !self.is_on("sasl.enabled") || self.value("sasl.password").is_some() {
            return;
        }
        let password = surroundings.env(PASSWORD_ENV).filter(|password| !password.is_empty());
        if let (Some(password), Some(key)) = (password, schema::find("clusters[].sasl.password")) {
            let origin = Origin::Env(PASSWORD_ENV.to_owned());
            to.settings.insert(0, Setting { key, origin, values: vec![password] });
        }
    }
}

#[derive(Default)]
struct Translation {
    settings: Vec<Setting>,
    warnings: Vec<Warning>,
}

impl Translation {
    fn set(&mut self, path: &str, flag: &str, values: Vec<String>) {
        let origin = Origin::Flag(format!("--{flag}"));
        self.settings.extend(schema::find(path).map(|key| Setting { key, origin, values }));
    }

    fn warn(&mut self, flag: &str, path: &str, what: String) {
        let place = Place { origin: Origin::Flag(format!("--{flag}")), path: path.to_owned() };
        self.warnings.push(Warning { place, what });
    }
}

impl Args for KafkaExporterFlags {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().flat_map(args).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KafkaExporterFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = FLAGS.iter().enumerate().filter_map(|(at, flag)| {
            if flag.form == Form::Boolean && matches.get_flag(&negative(flag.name)) {
                return Some((at, vec!["false".to_owned()]));
            }
            let values = matches.get_many::<String>(flag.name)?;
            // An empty text is kafka_exporter's "not given", and deployment templates write it.
            let values: Vec<String> = values.filter(|value| !value.is_empty()).cloned().collect();
            (!values.is_empty()).then_some((at, values))
        });
        Ok(Self { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag, and for a boolean its negative, which help does not list.
fn args(flag: &'static Flag) -> Vec<Arg> {
    let arg = Arg::new(flag.name).long(flag.name).help(help(flag)).hide_short_help(true);
    let arg = arg.help_heading("kafka_exporter's flags, with their meaning (its others only warn)");
    // A page of flags without effect would hide those that have one.
    let arg = arg.hide(matches!(flag.meaning, Meaning::Nothing { .. }));
    match flag.form {
        Form::Text => vec![arg.value_name("TEXT").action(ArgAction::Set)],
        Form::Repeated => vec![arg.value_name("TEXT").action(ArgAction::Append)],
        Form::Boolean => {
            let no = negative(flag.name);
            let off = Arg::new(no.clone()).long(no).hide(true).action(ArgAction::SetTrue).overrides_with(flag.name);
            let on =
                optional_boolean(arg.value_name("BOOL")).value_parser(["true", "false"]).hide_possible_values(true);
            vec![on.overrides_with(negative(flag.name)), off]
        }
    }
}

fn negative(name: &str) -> String {
    format!("no-{name}")
}

fn help(flag: &Flag) -> String {
    let own = |path: &str| schema::find(path).and_then(|key| key.flag().map(|name| format!("--{name}")));
    match flag.meaning {
        Meaning::Same(path) => format!("As {}", own(path).unwrap_or_default()),
        Meaning::With { switch, path } => {
            let own = own(path).unwrap_or_else(|| "KAFKASCOPE_SASL_PASSWORD".to_owned());
            format!("As {own}, with --{switch}")
        }
        Meaning::SaslEnabled => "Use SASL; the mechanism is PLAIN unless --sasl.mechanism says otherwise".to_owned(),
        Meaning::Labels => "Constant labels, NAME=VALUE separated by commas, as --label".to_owned(),
        Meaning::Verbosity => "1 is --log-level debug, 2 is trace".to_owned(),
        Meaning::LogFormat => "logfmt (human) or json, as --log-format".to_owned(),
        Meaning::Nothing { why, .. } => format!("No effect: {why}"),
    }
}

/// A markdown table of kafka_exporter's flags and what they mean here: for the README.
pub fn markdown() -> String {
    let rows = FLAGS.iter().map(|flag| format!("| `--{}` | {} |\n", flag.name, help(flag)));
    format!("| kafka_exporter's flag | here |\n|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|flag| flag.name)
}
