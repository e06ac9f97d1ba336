//! The settings of topics: when they are asked for, and what it costs when they are not told.

use super::*;
use crate::kafka::fake::default_settings;
use crate::model::{NoSettings, TopicSettingError, TopicSettings};

const MINUTE: u64 = 60_000;

impl Bench {
    /// What is known of a topic's settings.
    fn settings(&self, topic: &str) -> Option<TopicSettings> {
        let world = self.poller.world();
        world.topic(world.names.get(topic)?)?.settings.as_deref().cloned()
    }

    /// A pass; how many topics' settings were asked for.
    async fn asks(&mut self) -> usize {
        self.kafka.take_calls();
        self.pass().await;
        let calls = self.kafka.take_calls();
        calls.iter().filter(|call| call.operation == Operation::DescribeConfigs).map(|call| call.named).sum()
    }

    fn later(&self, minutes: u64) {
        self.clock.0.fetch_add(minutes * MINUTE, Ordering::Relaxed);
    }

    fn set(&self, topic: &str, settings: Result<TopicSettings, NoSettings>) {
        self.kafka.world().topics.get_mut(topic).unwrap().settings = Some(settings);
    }

    fn configs_succeed(&self) -> bool {
        self.poller.world().collectors.get(CollectorName::Configs).unwrap().success
    }
}

fn min_insync(replicas: u16) -> TopicSettings {
    TopicSettings { min_insync_replicas: replicas, ..default_settings() }
}

#[tokio::test(start_paused = true)]
async fn settings_are_asked_for_new_topics_at_once_and_then_about_once_an_hour() {
    let mut bench = Bench::new(1);
    bench.kafka.world().topic("a", &[(0, 10)]);
    assert_eq!(bench.asks().await, 1);
    assert_eq!(bench.settings("a"), Some(default_settings()));
    bench.kafka.world().topic("b", &[(0, 10)]);
    bench.set("a", Ok(min_insync(2)));
    assert_eq!(bench.asks().await, 1, "the new one");
    assert_eq!(bench.settings("a"), Some(default_settings()));
    bench.later(40);
    assert_eq!(bench.asks().await, 0);
    bench.later(25);
    assert_eq!(bench.asks().await, 2);
    assert_eq!(bench.settings("a"), Some(min_insync(2)));
    assert!(bench.configs_succeed());
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_came_back_under_its_name_is_asked_for_anew() {
    let mut bench = Bench::new(1);
    bench.kafka.world().topic("a", &[(0, 10), (0, 10)]);
    assert_eq!(bench.asks().await, 1);
    bench.kafka.world().topic("a", &[(0, 10)]);
    bench.set("a", Ok(min_insync(3)));
    // Once may be a broker that lags behind.
    bench.pass().await;
    assert_eq!(bench.asks().await, 1);
    assert_eq!(bench.settings("a"), Some(min_insync(3)));
}

#[tokio::test(start_paused = true)]
async fn what_the_login_may_not_see_is_missing_by_itself_said_once_and_asked_again_hourly() {
    let mut bench = Bench::new(1);
    for topic in ["hidden", "hidden-too", "open"] {
        bench.kafka.world().topic(topic, &[(0, 10)]);
    }
    let refused = || Err(NoSettings::Code(KafkaCode::TOPIC_AUTHORIZATION_FAILED));
    bench.set("hidden", refused());
    bench.set("hidden-too", refused());
    let report = bench.pass().await;
    assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
    let text = report.errors[0].to_string();
    assert!(text.contains("2 topics") && text.contains("allow it DescribeConfigs"), "{text}");
    assert_eq!((bench.settings("hidden"), bench.settings("open")), (None, Some(default_settings())));
    assert!(!bench.configs_succeed());
    bench.later(30);
    let report = bench.pass().await;
    assert_eq!(report.errors, []);
    assert_eq!(report.outcome(CollectorName::Configs).map(|(success, _)| success), Some(false), "it goes on failing");
    bench.later(31);
    bench.set("hidden", Ok(default_settings()));
    bench.set("hidden-too", Ok(default_settings()));
    assert_eq!(bench.asks().await, 3);
    assert_eq!(bench.settings("hidden"), Some(default_settings()));
    assert!(bench.configs_succeed());
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_no_setting_and_is_said() {
    let mut bench = Bench::new(1);
    bench.kafka.world().topic("odd", &[(0, 10)]);
    let missing = TopicSettingError::Missing { name: TopicSettings::RETENTION_MS };
    bench.set("odd", Err(NoSettings::Nonsense(missing)));
    let report = bench.pass().await;
    assert!(report.errors[0].to_string().contains("topic \"odd\": the broker does not tell retention.ms"));
    assert_eq!(bench.settings("odd"), None);
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_tried_again_with_patience_and_settings_stand_for_three_hours() {
    let mut bench = Bench::new(1);
    for topic in 0..250 {
        bench.kafka.world().topic(&format!("t{topic}"), &[(0, 10)]);
    }
    assert_eq!(bench.asks().await, 250);
    bench.later(70);
    bench.fail(Operation::DescribeConfigs, None, Cause::NoAnswer);
    let asked = bench.asks().await;
    assert!(asked <= 200, "{asked}: after the first silence nobody else is asked");
    assert_eq!(bench.asks().await, 0, "not at every pass");
    assert!(bench.asks().await > 0);
    bench.pass().await;
    assert_eq!(bench.asks().await, 0, "less and less");
    assert_eq!(bench.settings("t0"), Some(default_settings()));
    assert!(!bench.configs_succeed());
    assert!(bench.snapshot().world.up, "only the settings are silent");
    bench.later(110);
    bench.pass().await;
    assert_eq!(bench.settings("t0"), None, "three hours old");
    bench.kafka.world().failures.clear();
    bench.later(60);
    assert_eq!(bench.asks().await, 250);
    assert!(bench.configs_succeed());
}

#[tokio::test(start_paused = true)]
async fn switched_off_nothing_is_asked() {
    let mut bench = Bench::with(1, |settings| settings.collectors.retain(|name| *name != CollectorName::Configs));
    bench.kafka.world().topic("a", &[(0, 10)]);
    assert_eq!(bench.asks().await, 0);
    assert_eq!(bench.poller.world().collectors.get(CollectorName::Configs), None);
}
