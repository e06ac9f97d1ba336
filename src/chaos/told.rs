//! What the cluster has told and the exporter has received: every number shown must come from here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::history::Ms;
use crate::model::BrokerId;

/// Values kept of each partition and each commit: more than any that may still be shown.
const KEPT: usize = 160;

/// A value on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// When it was true.
    pub(super) at: Ms,
    /// The pass that asked for it.
    pub(super) pass: u64,
    /// The life of the topic that it is about; 0: no such topic.
    pub(super) life: u128,
    pub(super) value: i64,
}

/// A topic and a partition.
pub(super) type Place = (Arc<str>, i32);

/// One value that was told.
#[derive(Debug)]
pub(super) enum News {
    Start(Place, Told),
    End(Place, Told),
    /// A last stable offset: no transaction is ever open here, but the log may have fallen since its end was told.
    StableEnd(Place, Told),
    Commit(Arc<str>, Place, Told),
    /// The id of a topic: its life.
    Id(Arc<str>, Told),
    /// The metadata named this leader.
    Leader(Place, Ms, Option<BrokerId>),
    /// The metadata did not show this topic.
    NoLeaders(Arc<str>, Ms),
    /// The metadata showed these topics.
    Topics(BTreeSet<Arc<str>>),
    /// A broker listed these groups.
    Groups(BrokerId, BTreeSet<Arc<str>>),
}

/// An end that was lower than the one before.
#[derive(Debug)]
pub(super) struct Fall {
    pub(super) place: Place,
    /// In which pass it was seen.
    pub(super) pass: u64,
    pub(super) at: Ms,
    /// The topic was the same.
    pub(super) is_truncation: bool,
}

/// All that was received.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) starts: BTreeMap<Place, VecDeque<Told>>,
    pub(super) ends: BTreeMap<Place, VecDeque<Told>>,
    /// The last end of every pass, from the beginning on.
    pub(super) readings: BTreeMap<Place, Vec<Told>>,
    pub(super) stable_ends: BTreeMap<Place, VecDeque<Told>>,
    pub(super) commits: BTreeMap<(Arc<str>, Place), VecDeque<Told>>,
    /// The leader that the last metadata named, and since when every metadata has.
    pub(super) leaders: BTreeMap<Place, (Ms, Option<BrokerId>)>,
    /// When each topic's id was first told that is its last, and the one before, which may be none (0).
    pub(super) ids: BTreeMap<Arc<str>, [Told; 2]>,
    /// When the metadata last did not show a topic.
    pub(super) unseen: BTreeMap<Arc<str>, Ms>,
    /// Ends that were lower than those before.
    pub(super) fell: VecDeque<Fall>,
    /// The topics in the last metadata, and in the one before.
    pub(super) topics: [BTreeSet<Arc<str>>; 2],
    /// The groups in each broker's last list, and in the one before.
    pub(super) listed: BTreeMap<BrokerId, [BTreeSet<Arc<str>>; 2]>,
    /// How often each was told, so that a run that says nothing is found out.
    pub(super) count: u64,
}

fn keep<K: Ord>(of: &mut BTreeMap<K, VecDeque<Told>>, key: K, told: Told) {
    let values = of.entry(key).or_default();
    if values.len() == KEPT {
        values.pop_front();
    }
    values.push_back(told);
}

impl Received {
    pub(super) fn take(&mut self, news: Vec<News>) {
        self.count += news.len() as u64;
        for one in news {
            match one {
                News::Start(place, told) => keep(&mut self.starts, place, told),
                News::End(place, told) => {
                    let before = self.ends.get(&place).and_then(VecDeque::back);
                    if let Some(before) = before.filter(|before| told.value < before.value) {
                        let is_truncation = before.life == told.life;
                        self.fell.push_back(Fall { place: place.clone(), pass: told.pass, at: told.at, is_truncation });
                        self.fell.drain(..self.fell.len().saturating_sub(KEPT));
                    }
                    let readings = self.readings.entry(place.clone()).or_default();
                    readings.pop_if(|last| last.pass == told.pass);
                    readings.push(told);
                    keep(&mut self.ends, place, told);
                }
                News::Id(topic, told) => {
                    let none = Told { life: 0, ..told };
                    let [_, last] = *self.ids.entry(topic.clone()).or_insert([none, none]);
                    if last.life != told.life {
                        self.ids.insert(topic, [last, told]);
                    }
                }
                News::StableEnd(place, told) => keep(&mut self.stable_ends, place, told),
                News::Commit(group, place, told) => keep(&mut self.commits, (group, place), told),
                News::NoLeaders(topic, at) => {
                    self.leaders.retain(|place, _| place.0 != topic);
                    self.unseen.insert(topic, at);
                }
                News::Topics(topics) => {
                    self.topics.swap(0, 1);
                    self.topics[0] = topics;
                }
                News::Groups(broker, groups) => {
                    let lists = self.listed.entry(broker).or_default();
                    lists.swap(0, 1);
                    lists[0] = groups;
                }
                News::Leader(place, at, leader) => {
                    let held = self.leaders.entry(place).or_insert((at, leader));
                    if held.1 != leader {
                        *held = (at, leader);
                    }
                }
            }
        }
    }
}
