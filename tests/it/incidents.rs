//! Real pages from real incidents: the shipped rules and the shipped routes, in a real Prometheus and a real Alertmanager,
//! which send to a webhook what somebody would be woken by.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::alertmanager::Alertmanager;
use crate::exporter::Exporter;
use crate::hurried;
use crate::kafka::truth::CommitTruth;
use crate::kafka::{Driver, Protocol, shared};
use crate::prometheus::{self, Prometheus};
use crate::tools::{free_ports, scratch};
use crate::truth::ADAPTIVE;
use crate::wait::eventually;
use crate::webhook::{Page, Webhook, told};

/// For a page to be made and to come, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Everything between an exporter and a person's telephone.
pub(crate) struct Duty {
    // In this order, so that nobody sends to who has ended.
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanager: Alertmanager,
    pub(crate) webhook: Webhook,
}

impl Duty {
    /// Starts it, with what `targets` makes Prometheus scrape, and waits until the rules have been evaluated.
    #[track_caller]
    pub(crate) fn start(targets: impl FnOnce(prometheus::Builder) -> prometheus::Builder) -> Self {
        let webhook = Webhook::start();
        let alertmanager = Alertmanager::start(&hurried::alertmanager(), webhook.address());
        let builder = Prometheus::builder("1s").rules(&hurried::rules()).alertmanager(alertmanager.address());
        let prometheus = targets(builder).start();
        let duty = Self { prometheus, alertmanager, webhook };
        eventually("every rule has been evaluated", SOON, || {
            let rules = duty.prometheus.rules();
            let waiting: Vec<_> = rules.iter().filter(|rule| rule["health"] == "unknown").collect();
            let done = waiting.is_empty() && !rules.is_empty();
            if done { Ok(()) } else { Err(format!("{} of {} are waiting", waiting.len(), rules.len())) }
        });
        assert_eq!(duty.prometheus.rule_faults(), [], "rules that cannot be evaluated");
        duty
    }

    /// Waits until a query has an answer.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) -> f64 {
        eventually(expression, SOON, || {
            let answer = self.prometheus.query(expression);
            answer.first().map(|(_, value)| *value).ok_or_else(|| format!("{:#?}", told(&self.webhook.pages())))
        })
    }

    /// The names of all that has reached the webhook.
    #[track_caller]
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.webhook.pages().iter().map(|page| page.name().to_owned()).collect()
    }

    /// This has reached the webhook, and nothing else.
    #[track_caller]
    pub(crate) fn was_told(&self, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(self.names(), expected, "{:#?}", told(&self.webhook.pages()));
        assert_eq!(self.prometheus.rule_faults(), [], "rules that cannot be evaluated");
    }
}

/// What every page must have: a text for a person, and a runbook that is there.
#[track_caller]
pub(crate) fn is_of_use(page: &Page) {
    let runbook = format!("alerts/runbooks/{}.md", page.name());
    let url = format!("https://github.com/kafkascope/kafkascope/blob/main/{runbook}");
    assert_eq!(page.annotations.get("runbook_url"), Some(&url), "{page:#?}");
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&runbook).exists(), "{runbook} is not there");
    for text in ["summary", "description"] {
        let text = page.annotations.get(text).unwrap_or_else(|| panic!("no {text}: {page:#?}"));
        let complete = !text.is_empty() && !text.contains("<no value>") && !text.contains("error expanding");
        assert!(complete && !text.contains("  "), "{text:?}");
    }
    assert!(["critical", "warning", "info"].contains(&page.label("severity")), "{page:#?}");
}

/// An exporter of topics and groups that this regex matches, on an address of its own. Its verdicts go at the pace of
/// everything here (see [`hurried`]): commits count for them once a second instead of once a minute, and three are enough.
///
/// `own` is what the cluster's settings start with, such as `name: prod, `.
pub(crate) fn exporter(own: &str, of: &str, address: SocketAddr) -> Exporter {
    let dir = scratch("incident");
    let file = dir.path().join("config.yml");
    let yaml = format!(
        "status: {{intervals: 3, min_distance: 1s}}\nclusters:\n- {{{own}bootstrap_servers: ['{}'], \
         topics: {{include: ['{of}']}}, groups: {{include: ['{of}']}}}}\n",
        shared().bootstrap()
    );
    std::fs::write(&file, yaml).unwrap();
    let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).args(ADAPTIVE).start_on(address);
    exporter.ready();
    exporter
}

/// An address that nobody has.
pub(crate) fn own_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_ports(1)[0]))
}

/// How many records a group has not read, by Kafka's own word.
#[track_caller]
pub(crate) fn unread(driver: &Driver, group: &str) -> f64 {
    let truth = driver.truth(group.split('-').next().unwrap()).unwrap();
    let offsets = &truth.groups[group].offsets;
    let lag = |row: &CommitTruth| truth.partition(&row.topic, row.partition).unwrap().latest.unwrap() - row.offset;
    offsets.iter().map(|row| lag(row).to_string().parse::<f64>().unwrap()).sum()
}

/// The number after these words in a text, as Prometheus' `humanize` writes it: four digits, and k for thousands.
#[track_caller]
fn number_after(words: &str, text: &str) -> f64 {
    let after = text.split_once(words).and_then(|(_, after)| after.split_whitespace().next());
    let number = after.unwrap_or_else(|| panic!("{words:?} is not in {text:?}")).trim_end_matches('.');
    let (digits, unit) = number.strip_suffix('k').map_or((number, 1.0), |digits| (digits, 1_000.0));
    digits.parse::<f64>().unwrap_or_else(|error| panic!("{number}: {error}")) * unit
}

/// A consumer that has kept up is stopped while its topic goes on, and comes back.
#[test]
fn a_stopped_consumer_pages_until_it_is_back() {
    let name = "pagestop-orders";
    let driver = shared().driver();
    driver.create_topic(name, 3).unwrap();
    driver.start_producer("pagestop-producer", name, 40).unwrap();
    driver.start_consumer("pagestop-a", name, &[name], Protocol::Classic).unwrap();
    let exporter = exporter("name: prod, ", "^pagestop-", own_address());
    let duty = Duty::start(|prometheus| prometheus.job("kafka", &[exporter.address()]));
    // It keeps up, and Prometheus knows.
    duty.until("kafka_consumergroup_lag_sum < 40 and on (consumergroup) kafka_consumergroup_members == 1");

    driver.stop_consumer("pagestop-a").unwrap();
    let at_least = unread(driver, name);
    let page = duty.webhook.wait("KafkaConsumerGroupStopped", "firing", 0, SOON);
    let at_most = unread(driver, name);
    is_of_use(&page);
    let labels = ["cluster_name", "consumergroup", "topic", "job", "severity"].map(|label| page.label(label));
    assert_eq!(labels, ["prod", name, name, "kafka", "critical"], "{page:#?}");
    let told = number_after("Unread messages: ", &page.annotations["description"]);
    assert!((at_least..=at_most).contains(&told), "{told} of {at_least} to {at_most} in {page:#?}");
    let mark = duty.webhook.count();

    driver.start_consumer("pagestop-b", name, &[name], Protocol::Classic).unwrap();
    let end = duty.webhook.wait("KafkaConsumerGroupStopped", "resolved", mark, SOON);
    assert_eq!((&end.labels, &end.starts_at), (&page.labels, &page.starts_at));
    duty.was_told(&["KafkaConsumerGroupStopped"]);
    driver.stop_consumer("pagestop-b").unwrap();
    driver.stop_producer("pagestop-producer").unwrap();
}

/// The exporter is killed while a group stands still: one page says so, nobody hears that the group is well again (see
/// [`crate::alerts`] for why), and all goes on when the exporter is back.
#[test]
fn a_killed_exporter_is_one_page() {
    let name = "pageblind-orders";
    let driver = shared().driver();
    driver.create_topic(name, 2).unwrap();
    driver.start_producer("pageblind-producer", name, 40).unwrap();
    driver.start_consumer("pageblind-a", name, &[name], Protocol::Classic).unwrap();
    let address = own_address();
    let first = exporter("", "^pageblind-", address);
    let duty = Duty::start(|prometheus| prometheus.job("kafka", &[address]));
    duty.until("kafka_consumergroup_members == 1");
    driver.stop_consumer("pageblind-a").unwrap();
    duty.webhook.wait("KafkaConsumerGroupStopped", "firing", 0, SOON);

    drop(first);
    let page = duty.webhook.wait("KafkascopeDown", "firing", 0, SOON);
    is_of_use(&page);
    assert_eq!((page.label("job"), page.label("severity")), ("kafka", "critical"), "{page:#?}");
    // By then the alert on the group has ended, for nothing is known of it. Alertmanager would tell of ends at the next
    // group_interval, five seconds here: who is back sooner is too early for it to keep quiet.
    duty.until("count_over_time(absent(ALERTS{alertname=\"KafkaConsumerGroupStopped\"})[10s:1s]) >= 9");
    let _second = exporter("", "^pageblind-", address);
    duty.webhook.wait("KafkascopeDown", "resolved", 0, SOON);
    let pages = duty.webhook.pages();
    let well = pages.iter().filter(|page| page.name() == "KafkaConsumerGroupStopped" && page.status == "resolved");
    assert_eq!(well.count(), 0, "{:#?}", told(&pages));
    duty.was_told(&["KafkaConsumerGroupStopped", "KafkascopeDown"]);
    driver.stop_producer("pageblind-producer").unwrap();
}
