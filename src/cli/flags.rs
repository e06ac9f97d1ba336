//! The flags and variables of the settings, made from the configuration's schema.

use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::schema::{KEYS, Key, Kind};
use crate::config::{Origin, Setting, Surroundings};

/// Which settings a command takes.
pub trait Scope: Clone + std::fmt::Debug {
    /// Whether the command takes this setting.
    fn takes(key: &Key) -> bool;
}

/// Every setting.
#[derive(Clone, Debug)]
pub struct Everything;

impl Scope for Everything {
    fn takes(_: &Key) -> bool {
        true
    }
}

/// What is needed to ask Kafka: all but the HTTP server, and what it takes to know the past.
#[derive(Clone, Debug)]
pub struct AskingKafka;

impl Scope for AskingKafka {
    fn takes(key: &Key) -> bool {
        !key.path.starts_with("web.") && key.path != "state_file"
    }
}

/// What the demo leaves open: its cluster is its own.
#[derive(Clone, Debug)]
pub struct Surface;

impl Scope for Surface {
    fn takes(key: &Key) -> bool {
        let is_of_web = ["web.listen", "web.telemetry_path"].contains(&key.path);
        let polling = ["polling.mode", "polling.interval", "polling.min_interval", "polling.max_interval"];
        is_of_web || polling.contains(&key.path) || key.path.starts_with("log.")
    }
}

/// The flags that were given, of those that the scope takes.
#[derive(Clone, Debug)]
pub struct SettingFlags<S> {
    given: Vec<(&'static Key, Vec<String>)>,
    scope: PhantomData<S>,
}

impl<S: Scope> SettingFlags<S> {
    /// The first flag that was given, without its dashes.
    pub fn first_given(&self) -> Option<&'static str> {
        self.given.first().and_then(|(key, _)| key.flag())
    }

    /// What the environment and the flags set, the environment first.
    pub fn settings(&self, surroundings: &dyn Surroundings) -> Vec<Setting> {
        let mut settings = from_env(S::takes, surroundings);
        settings.extend(self.given.iter().map(|(key, values)| Setting {
            key,
            origin: Origin::Flag(format!("--{}", key.flag().unwrap_or_default())),
            values: values.clone(),
        }));
        settings
    }
}

/// Variables that are set to something; an empty one is what container platforms make of "not set".
fn from_env(takes: fn(&Key) -> bool, surroundings: &dyn Surroundings) -> Vec<Setting> {
    let keys = KEYS.iter().filter(|key| takes(key));
    let set = keys.filter_map(|key| {
        let name = key.env()?;
        let value = surroundings.env(&name).filter(|value| !value.is_empty())?;
        Some(Setting { key, origin: Origin::Env(name), values: vec![value] })
    });
    set.collect()
}

impl<S: Scope> Args for SettingFlags<S> {
    fn augment_args(command: Command) -> Command {
        let mut keys: Vec<&'static Key> = KEYS.iter().filter(|key| S::takes(key)).collect();
        // What everybody needs comes first in the help.
        keys.sort_by_key(|key| HEADINGS.iter().position(|known| *known == heading(key.path)));
        keys.into_iter().filter_map(flag).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Scope> FromArgMatches for SettingFlags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = KEYS.iter().filter(|key| S::takes(key)).filter_map(|key| {
            let values: Vec<String> = matches.get_many::<String>(key.flag()?)?.cloned().collect();
            Some((key, values))
        });
        Ok(Self { given: given.collect(), scope: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(key: &'static Key) -> Option<Arg> {
    let name = key.flag()?;
    let mut help = key.doc.trim_end_matches('.').to_owned();
    if !matches!(key.default, "" | "{}" | "[]" | "false") {
        help.push_str(&format!(" [default: {}]", key.default));
    }
    if let Some(env) = key.env() {
        help.push_str(&format!(" [env: {env}]"));
    }
    let arg = Arg::new(name).long(name).value_name(value_name(key)).help(help).help_heading(heading(key.path));
    Some(match key.kind {
        Kind::Boolean | Kind::Switch => optional_boolean(arg),
        Kind::List | Kind::Patterns | Kind::Labels | Kind::Properties => arg.action(ArgAction::Append),
        _ => arg.action(ArgAction::Set),
    })
}

/// What stands for the value in the help: what the setting asks for, where its kind alone says too little.
fn value_name(key: &Key) -> &'static str {
    match key.path {
        "clusters[].bootstrap_servers" => "HOST:PORT,…",
        "web.listen" => "[HOST]:PORT",
        "web.telemetry_path" => "PATH",
        _ => key.kind.value_name(),
    }
}

/// `--flag`, `--flag=true`, `--flag=false`; never `--flag true`, which could be a command.
pub(super) fn optional_boolean(arg: Arg) -> Arg {
    arg.action(ArgAction::Set).num_args(0..=1).require_equals(true).default_missing_value("true")
}

/// The parts of the help, in their order.
const HEADINGS: [&str; 7] = [
    "Kafka (one cluster; several go into a config file)",
    "Security",
    "Topics and groups",
    "Time lag and status",
    "HTTP",
    "Polling",
    "Log",
];

fn heading(path: &str) -> &'static str {
    let [kafka, security, filters, lag, http, polling, log] = HEADINGS;
    match path.split('.').next() {
        Some("state_file" | "status") => lag,
        _ if path.ends_with(".time_lag") => lag,
        Some("web") => http,
        Some("polling" | "budget") => polling,
        Some("log") => log,
        _ if path.contains(".tls") || path.contains(".sasl") => security,
        _ if path.contains(".topics") || path.contains(".groups") || path.ends_with(".max_series") => filters,
        _ => kafka,
    }
}
