//! Which families are cut into blocks at the same borders, and go by the same versions.

use std::ops::Range;
use std::sync::LazyLock;

use crate::derive::{Snapshot, Stamp};
use crate::metrics::catalogue::Family;
use crate::metrics::exposition::Digest;
use crate::metrics::families::{SOURCES, Source};

/// Where buckets end, in samples of a family.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// A bucket may end once it has so many ...
    min: usize,
    /// ... at an item that the digest of its name picks: about one for so many samples ...
    a_border: u64,
    /// ... and ends when it has so many. An item that has more alone is a bucket of its own.
    max: usize,
}

/// About 70 KB of text.
const LARGE: Limits = Limits { min: 256, a_border: 512, max: 1536 };
/// Few items of a test make several buckets.
const SMALL: Limits = Limits { min: 4, a_border: 8, max: 10 };
const LIMITS: Limits = if cfg!(test) { SMALL } else { LARGE };

/// What the samples of a family are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A topic.
    Topic,
    /// A group's facts.
    Group,
    /// What a group's past says.
    Outlook,
    /// How a group stands: the clock moves it.
    Standing,
}

/// How many samples one topic or group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// One.
    Item,
    /// One for each topic of a group.
    Topic,
    /// One for each partition.
    Partition,
}

/// Families whose blocks have the same borders and change with the same stamps.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) of: Of,
    pub(super) grain: Grain,
    /// Their places in [`SOURCES`].
    pub(super) sources: Vec<usize>,
}

/// Where a family is found in a rendering.
#[derive(Debug, Clone, Copy)]
pub(super) struct LanePlace {
    /// The lane.
    pub(super) lane: usize,
    /// The place among the lane's families.
    pub(super) place: usize,
}

/// Every lane.
pub(super) static LANES: LazyLock<Vec<Lane>> = LazyLock::new(|| {
    let mut lanes: Vec<Lane> = Vec::new();
    for (place, (family, source)) in SOURCES.iter().enumerate() {
        let Some(of) = Of::by_source(source) else { continue };
        let grain = Grain::of(family, of);
        match lanes.iter_mut().find(|lane| (lane.of, lane.grain) == (of, grain)) {
            Some(lane) => lane.sources.push(place),
            None => lanes.push(Lane { of, grain, sources: vec![place] }),
        }
    }
    lanes
});

/// For each of [`SOURCES`] where it is found; `None`: it is not kept in blocks.
pub(super) static LANE_PLACES: LazyLock<Vec<Option<LanePlace>>> = LazyLock::new(|| {
    let find = |source: usize| {
        LANES.iter().enumerate().find_map(|(lane, families)| {
            let place = families.sources.iter().position(|of| *of == source)?;
            Some(LanePlace { lane, place })
        })
    };
    (0..SOURCES.len()).map(find).collect()
});

impl Of {
    fn by_source(source: &Source) -> Option<Self> {
        match source {
            Source::Topic(_) => Some(Self::Topic),
            Source::Group(_) => Some(Self::Group),
            Source::Outlook(_) => Some(Self::Outlook),
            Source::Standing(_) => Some(Self::Standing),
            Source::Cluster(_) | Source::Registry | Source::Process => None,
        }
    }
}

impl Grain {
    fn of(family: &Family, of: Of) -> Self {
        match () {
            () if family.is_per_partition() => Self::Partition,
            () if of != Of::Topic && family.labels.contains(&"topic") => Self::Topic,
            () => Self::Item,
        }
    }
}

/// The version of an item: of its facts, and of its standing where that is shown.
pub(super) type Version = (Stamp, Option<Stamp>);

impl Lane {
    /// How many topics or groups there are.
    pub(super) fn items(&self, snapshot: &Snapshot) -> usize {
        match self.of {
            Of::Topic => snapshot.world.topic_order.len(),
            Of::Group | Of::Outlook | Of::Standing => snapshot.groups.len(),
        }
    }

    /// The name of the item at a place.
    pub(super) fn name<'a>(&self, snapshot: &'a Snapshot, place: usize) -> Option<&'a std::sync::Arc<str>> {
        match self.of {
            Of::Topic => Some(&snapshot.world.topic(*snapshot.world.topic_order.get(place)?)?.name),
            Of::Group | Of::Outlook | Of::Standing => Some(&snapshot.groups.get(place)?.table.name),
        }
    }

    /// The version of the item at a place: what bears the same shows the same, but for what the clock moves.
    pub(super) fn version(&self, snapshot: &Snapshot, place: usize) -> Option<Version> {
        match self.of {
            Of::Topic => Some((snapshot.topic_stamp(*snapshot.world.topic_order.get(place)?)?, None)),
            Of::Group => Some((snapshot.group_stamp(place)?, None)),
            Of::Outlook | Of::Standing => Some((snapshot.group_stamp(place)?, Some(snapshot.standing_stamp(place)?))),
        }
    }

    /// How many samples a family has of the item at a place, about.
    fn weight(&self, snapshot: &Snapshot, place: usize) -> usize {
        let by_group = |weight: fn(&crate::state::GroupTable) -> usize| {
            snapshot.groups.get(place).map_or(0, |group| weight(&group.table))
        };
        let weight = match (self.grain, self.of) {
            (Grain::Item, _) => 1,
            (_, Of::Topic) => {
                let table = snapshot.world.topic_order.get(place).and_then(|ix| snapshot.world.topic(*ix));
                table.map_or(0, |table| table.partitions())
            }
            (Grain::Topic, _) => by_group(|group| {
                let committed = group.commits.as_ref().map_or(0, |commits| commits.segments.len());
                committed.max(group.membership.as_ref().map_or(0, |membership| membership.assignment.len()))
            }),
            (Grain::Partition, _) => by_group(|group| group.commits.as_ref().map_or(0, |rows| rows.partitions.len())),
        };
        weight.max(1)
    }

    /// Cuts the items into buckets.
    pub(super) fn buckets(&self, snapshot: &Snapshot) -> Vec<Range<usize>> {
        let items = 0..self.items(snapshot);
        let picked = |place| self.name(snapshot, place).map_or(0, |name| Digest::of_text(name));
        LIMITS.cut(items.map(|place| self.weight(snapshot, place)), picked)
    }
}

impl Limits {
    /// Cuts items of these weights. The digests of their names choose the borders, so that what comes or goes moves the
    /// next few only.
    fn cut(self, weights: impl Iterator<Item = usize>, digest: impl Fn(usize) -> u64) -> Vec<Range<usize>> {
        let (mut buckets, mut begun, mut end, mut samples) = (Vec::new(), 0, 0, 0);
        for (place, weight) in weights.enumerate() {
            if samples > 0 && samples + weight > self.max {
                buckets.push(begun..place);
                (begun, samples) = (place, 0);
            }
            samples += weight;
            end = place + 1;
            let is_picked = || digest(place) % self.a_border < weight as u64;
            if samples >= self.max || (samples >= self.min && is_picked()) {
                buckets.push(begun..end);
                (begun, samples) = (end, 0);
            }
        }
        if begun < end {
            buckets.push(begun..end);
        }
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_by_item_is_in_one_lane_and_no_other_is() {
        for (place, (family, source)) in SOURCES.iter().enumerate() {
            let lanes = LANES.iter().filter(|lane| lane.sources.contains(&place)).count();
            assert_eq!(lanes, usize::from(source.is_by_item()), "{}", family.name);
            let found = LANE_PLACES[place].map(|at| LANES[at.lane].sources[at.place]);
            assert_eq!(found, source.is_by_item().then_some(place), "{}", family.name);
        }
    }

    /// The buckets of these names, each of which has so many samples.
    fn cut(names: &[String], weight: usize) -> Vec<&[String]> {
        let digest = |place: usize| Digest::of_text(&names[place]);
        let buckets = LARGE.cut(names.iter().map(|_| weight), digest);
        assert_eq!(buckets.iter().map(ExactSizeIterator::len).sum::<usize>(), names.len());
        assert!(buckets.windows(2).all(|two| two[0].end == two[1].start));
        buckets.into_iter().map(|places| &names[places]).collect()
    }

    #[test]
    fn a_name_that_comes_or_goes_moves_few_borders() {
        for weight in [1, 3, 10, 100, 700, 5000] {
            let names: Vec<String> = (0..40_000 / weight.min(100)).map(|name| format!("topic.{name:05}")).collect();
            let before = cut(&names, weight);
            assert!(before.len() > 30, "{}", before.len());
            let mut moved = Vec::new();
            for gone in (0..names.len()).step_by(names.len() / 50) {
                let mut fewer = names.clone();
                fewer.remove(gone);
                let after = cut(&fewer, weight);
                moved.push(after.iter().filter(|bucket| !before.contains(bucket)).count());
            }
            let all: usize = moved.iter().sum();
            assert!(all <= moved.len() * 3 && moved.iter().all(|moved| *moved < 20), "{weight}: {moved:?}");
        }
    }

    #[test]
    fn buckets_are_of_a_size() {
        let names: Vec<String> = (0..40_000).map(|name| format!("topic.{name:05}")).collect();
        for weight in [1, 10, 100] {
            let buckets = cut(&names, weight);
            let sizes = || buckets[..buckets.len() - 1].iter().map(|bucket| bucket.len() * weight);
            assert!(sizes().all(|size| (LARGE.min..=LARGE.max).contains(&size)));
        }
        assert!(cut(&names[..10], 5000).iter().all(|bucket| bucket.len() == 1));
    }
}
