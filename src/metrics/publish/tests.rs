//! What is counted is what is written, and what is left out is what was asked for, whatever Kafka says.

use std::collections::HashMap;
use std::num::NonZeroU64;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::metrics::Shown;
use crate::metrics::catalogue::{ALL, CLUSTER_LABEL};
use crate::metrics::exposition::Format;
use crate::metrics::exposition::testing::{Sample, parse, render};
use crate::metrics::exposition::tests::{Pass, follow, pass};
use crate::model::NamePredicate;
use crate::state::CollectorName;

fn source(shown: Shown) -> Arc<ClusterSource> {
    let mut source = ClusterSource::new(None, Vec::new());
    source.shown = shown;
    Arc::new(source)
}

fn rendered(source: &Arc<ClusterSource>) -> Vec<Sample> {
    parse(&render(std::slice::from_ref(source), Format::Text), Format::Text)
}

/// Samples by family, of what Kafka told.
fn by_family(samples: &[Sample]) -> HashMap<&str, u64> {
    let mut counts = HashMap::new();
    for sample in samples {
        *counts.entry(sample.name.as_str()).or_default() += 1;
    }
    counts.retain(|name, _| ALL.iter().any(|family| family.name == *name && family.origin.collector.is_some()));
    counts
}

fn by_partition() -> impl Strategy<Value = ByPartition> {
    let named = (0..4_usize)
        .prop_map(|odd| ByPartition::Named(NamePredicate::new(move |name| name.ends_with('1') == (odd % 2 == 1))));
    prop_oneof![Just(ByPartition::All), Just(ByPartition::None), named]
}

fn shown() -> impl Strategy<Value = Shown> {
    (by_partition(), by_partition(), any::<bool>()).prop_map(|(topics, groups, drops_zero_lag)| Shown {
        topics,
        groups,
        drops_zero_lag,
        max_series: None,
    })
}

fn passes() -> impl Strategy<Value = Vec<Pass>> {
    vec(pass(), 1..4)
}

proptest! {
    #[test]
    fn every_family_is_counted_as_it_is_written(
        passes in passes(), shown in shown(), off in proptest::option::of(0..CollectorName::ALL.len()),
    ) {
        let mut source = ClusterSource::new(None, Vec::new());
        source.shown = shown;
        source.collectors.retain(|name| off.is_none_or(|off| CollectorName::ALL[off] != *name));
        let source = Arc::new(source);
        follow(&passes, |snapshot| drop(source.publish(snapshot)));
        let samples = rendered(&source);
        let written = by_family(&samples);
        let view = ClusterView::of(&source);
        for (family, from) in SOURCES.iter().filter(|(family, _)| family.origin.collector.is_some()) {
            let expected = written.get(family.name).copied().unwrap_or(0);
            prop_assert_eq!(count(&view, family, from, None), expected, "{}", family.name);
        }
        let all = census(view, None).0;
        prop_assert_eq!(all.left(0), written.values().sum::<u64>());
        for (family, counted) in REFUSAL_ORDER.iter().zip(all.refusable) {
            prop_assert_eq!(counted, written.get(family.name).copied().unwrap_or(0), "{}", family.name);
        }
    }

    #[test]
    fn the_limit_holds_and_takes_whole_families_only(passes in passes(), shown in shown(), max_series in 1..200_u64) {
        let free = source(shown.clone());
        let limited = source(Shown { max_series: NonZeroU64::new(max_series), ..shown });
        follow(&passes, |snapshot| {
            free.publish(snapshot.clone());
            let published = limited.publish(snapshot);
            // What was counted before and kept is what counting anew finds.
            let (_, counted) = census(ClusterView::of(&limited), None);
            assert_eq!(published.detail.group_series, counted);
        });
        let (all, left) = (rendered(&free), rendered(&limited));
        let detail = &limited.snapshot.load_full().unwrap().detail;
        let withheld = &REFUSAL_ORDER[..detail.withheld_series.len()];
        let is_left = |sample: &&Sample| withheld.iter().all(|family| family.name != sample.name);
        let told = |sample: &&Sample| sample.name != "kafkascope_withheld_series";
        let expected: Vec<&Sample> = all.iter().filter(is_left).collect();
        prop_assert_eq!(left.iter().filter(told).collect::<Vec<_>>(), expected);
        let is_all_withheld = withheld.len() == REFUSAL_ORDER.len();
        prop_assert!(by_family(&left).values().sum::<u64>() <= max_series || is_all_withheld);
        let written = by_family(&all);
        for (family, series) in withheld.iter().zip(&detail.withheld_series) {
            prop_assert_eq!(*series, written.get(family.name).copied().unwrap_or(0));
            let told = left.iter().find(|sample| sample.label("family") == Some(family.name));
            // Of a family of which there is nothing, nothing is left out.
            prop_assert_eq!(told.map(|sample| sample.value), (*series > 0).then_some(*series as f64));
        }
        let is_any = detail.withheld_series.iter().any(|series| *series > 0);
        prop_assert_eq!(!is_any, left.iter().all(|sample| told(&sample)));
    }

    #[test]
    fn what_has_no_lag_goes_with_all_its_families_and_nothing_else(passes in passes()) {
        let (all, some) = (source(Shown::default()), source(Shown { drops_zero_lag: true, ..Shown::default() }));
        follow(&passes, |snapshot| {
            all.publish(snapshot.clone());
            some.publish(snapshot);
        });
        let samples = rendered(&all);
        let place = |sample: &Sample| ["consumergroup", "topic", "partition"].map(|name| sample.label(name).map(str::to_owned));
        let has_no_lag = |sample: &Sample| {
            let lag = |other: &&Sample| other.name == "kafka_consumergroup_lag" && place(other) == place(sample);
            samples.iter().find(lag).is_some_and(|lag| lag.value == 0.0)
        };
        let is_kept = |sample: &&Sample| {
            let is_by_partition = sample.label("consumergroup").is_some() && sample.label("partition").is_some();
            !(is_by_partition && has_no_lag(sample))
        };
        let expected: Vec<Sample> = samples.iter().filter(is_kept).cloned().collect();
        prop_assert_eq!(rendered(&some), expected);
    }

    #[test]
    fn granularity_is_by_name(passes in passes(), shown in shown()) {
        let (all, some) = (source(Shown::default()), source(Shown { drops_zero_lag: false, ..shown.clone() }));
        follow(&passes, |snapshot| {
            all.publish(snapshot.clone());
            some.publish(snapshot);
        });
        let is_meant = |by: &ByPartition, name: &str| match by {
            ByPartition::All => true,
            ByPartition::Named(names) => names.matches(name),
            ByPartition::None => false,
        };
        let samples = rendered(&all);
        let expected = samples.iter().filter(|sample| {
            let (group, topic) = (sample.label("consumergroup"), sample.label("topic"));
            let is_fine = group.map_or_else(
                || is_meant(&shown.topics, topic.unwrap_or_default()),
                |group| is_meant(&shown.groups, group),
            );
            sample.label("partition").is_none() || is_fine
        });
        prop_assert_eq!(rendered(&some), expected.cloned().collect::<Vec<_>>());
    }
}

#[test]
fn what_another_source_showed_is_shown_on_the_terms_of_the_new_one() {
    let told = Pass::of_two_topics();
    let former = source(Shown { groups: ByPartition::None, max_series: NonZeroU64::new(1), ..Shown::default() });
    follow(&[told], |snapshot| drop(former.publish(snapshot)));
    let has =
        |source: &Arc<ClusterSource>, label: &str| rendered(source).iter().any(|sample| sample.label(label).is_some());
    assert!(!has(&former, "partition") && has(&former, "family") && !has(&former, CLUSTER_LABEL));
    let named = ByPartition::Named(NamePredicate::new(|name| name == "topic-1"));
    let next = source(Shown { topics: named, ..Shown::default() });
    next.take_over(&former);
    let samples = rendered(&next);
    let topics: Vec<&str> = samples
        .iter()
        .filter(|sample| sample.name == "kafka_topic_partition_current_offset")
        .filter_map(|sample| sample.label("topic"))
        .collect();
    assert_eq!(topics, ["topic-1", "topic-1"]);
    assert!(samples.iter().any(|sample| sample.name == "kafka_consumergroup_lag"));
    assert!(!has(&next, "family"));
}
