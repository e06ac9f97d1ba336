//! Keeps the renderings that clients ask for, and has them made beside the threads that serve and poll.
//!
//! A rendering is of what was published last, at the time of the last publishing tick. What grows with the clock is told
//! anew so seldom that it costs little; a scrape that finds it due gets what there is while it is made, unless making it
//! takes no time to speak of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::HttpState;
use crate::metrics::ClusterSource;
use crate::metrics::exposition::ClusterView;
use crate::metrics::pieces::{CompressError, Compressor, Encoding};
use crate::metrics::rendering::{Kind, Maker, Rendering};

/// The name under which panics are counted.
pub(super) const TASK: &str = "renderer";

/// A rendering that nobody has asked for so long is dropped.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// How long a scrape waits for its rendering; then it gets the one before, or a body without compression.
const WAIT: Duration = Duration::from_secs(5);
/// What grows with the clock is told anew when so many times what that takes of a processor is over: 1 % of a core.
const CLOCK_SHARE: u32 = 100;
/// What takes no longer than this is waited for.
const CHEAP: Duration = Duration::from_millis(5);
/// While the next rendering is being made, the one before serves for so long.
const GRACE: Duration = Duration::from_secs(2);
/// How long none is made after one could not be.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// All renderings together; those that were not asked for lately go first. One alone is bounded by the clusters' size.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// The renderings, by kind.
#[derive(Debug, Default)]
pub(super) struct Renderings {
    slots: [Slot; Kind::ALL.len()],
    /// Makes one at a time.
    maker: Arc<tokio::sync::Mutex<Maker>>,
    /// For what is compressed for a body alone, by encoding.
    compressors: [Mutex<Option<Compressor>>; 2],
}

#[derive(Debug, Default)]
struct Slot {
    latest: ArcSwapOption<Ready>,
    times: Mutex<Times>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Times {
    asked: Option<Instant>,
    /// Since when the next one is being made.
    making_since: Option<Instant>,
    failed: Option<Instant>,
}

/// A rendering that can be served.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) rendering: Arc<Rendering>,
    begun_at: Instant,
    made_at: Instant,
    /// Processor time that it took.
    cost: Duration,
    /// Processor time that it takes to tell anew what grows with the clock, at most; `None`: that is not known yet.
    clock_cost: Option<Duration>,
}

/// What a scrape does with the rendering that there is.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Serves it.
    Good,
    /// Serves it, and has another made.
    Ageing,
    /// Waits for another.
    Late,
}

impl Slot {
    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, ready: &Ready, clusters: &[Arc<ClusterSource>]) -> Verdict {
        if !ready.rendering.is_of(clusters) {
            return Verdict::Late;
        }
        if !ready.rendering.shows_the_latest() {
            let is_being_made = self.times().making_since.is_some_and(|since| since.elapsed() < GRACE);
            return if is_being_made && ready.cost > CHEAP { Verdict::Good } else { Verdict::Late };
        }
        let cost = ready.clock_cost.unwrap_or_default();
        let (age, interval) = (ready.made_at.elapsed(), cost * CLOCK_SHARE);
        match () {
            () if age < interval || ready.rendering.is_told_now() => Verdict::Good,
            () if cost <= CHEAP || age > interval * 2 => Verdict::Late,
            () => Verdict::Ageing,
        }
    }
}

impl Renderings {
    fn slot(&self, kind: Kind) -> &Slot {
        &self.slots[kind.place()]
    }

    /// Works with a compressor whose memory is used again.
    pub(super) fn with_compressor<T>(
        &self,
        encoding: Encoding,
        work: impl FnOnce(&mut Compressor) -> Result<T, CompressError>,
    ) -> Result<T, CompressError> {
        let mut kept =
            self.compressors[usize::from(encoding == Encoding::Zstd)].lock().unwrap_or_else(PoisonError::into_inner);
        let compressor = match &mut *kept {
            Some(compressor) => compressor,
            none => none.insert(Compressor::new(encoding)?),
        };
        work(compressor)
    }

    /// The memory that the renderings take.
    pub(super) fn bytes(&self) -> usize {
        self.slots.iter().filter_map(|slot| slot.latest.load().as_ref().map(|ready| ready.rendering.heap_bytes())).sum()
    }

    /// Tells the clusters what of it is theirs.
    fn tell_bytes(&self, clusters: &[Arc<ClusterSource>]) {
        let ready: Vec<Arc<Ready>> = self.slots.iter().filter_map(|slot| slot.latest.load_full()).collect();
        for source in clusters {
            source.set_rendered_bytes(ready.iter().map(|ready| ready.rendering.heap_bytes_of(source)).sum());
        }
    }

    /// Lets go what goes beyond the bound, that which was not asked for longest first, but never `kind`.
    fn bound(&self, kind: Kind) {
        let mut others: Vec<&Slot> = Kind::ALL.into_iter().filter(|of| *of != kind).map(|of| self.slot(of)).collect();
        others.sort_by_key(|slot| slot.times().asked);
        for slot in others {
            if self.bytes() > MAX_BYTES {
                slot.latest.store(None);
            }
        }
    }
}

/// The rendering for a scrape; `None`: it has to do without.
pub(super) async fn rendering(state: &Arc<HttpState>, kind: Kind) -> Option<Arc<Ready>> {
    let slot = state.renderings.slot(kind);
    slot.times().asked = Some(Instant::now());
    let clusters = state.clusters();
    let latest = slot.latest.load_full();
    match latest.as_ref().map_or(Verdict::Late, |ready| slot.judge(ready, &clusters)) {
        Verdict::Good => return latest,
        Verdict::Ageing => {
            if slot.times().making_since.is_none() {
                tokio::spawn(refreshed(state.clone(), kind));
            }
            return latest;
        }
        Verdict::Late => {}
    }
    // The body has to get out before the request's time is over.
    let wait = WAIT.min(state.settings.request_timeout / 2);
    // Made to the end, though nobody may wait for it any more: the next scrape comes.
    match timeout(wait, tokio::spawn(refreshed(state.clone(), kind))).await {
        Ok(made) => made.ok().flatten(),
        Err(_) => latest.filter(|ready| ready.rendering.is_of(&clusters)),
    }
}

/// Makes what was asked for lately and is not of what was published last, and lets go what nobody asks for.
pub(super) async fn keep_ready(state: &Arc<HttpState>) {
    for kind in Kind::ALL {
        let slot = state.renderings.slot(kind);
        let Some(latest) = slot.latest.load_full() else { continue };
        if slot.times().asked.is_none_or(|asked| asked.elapsed() > KEPT_FOR) {
            slot.latest.store(None);
            state.renderings.tell_bytes(&state.clusters());
        } else if !latest.rendering.is_of(&state.clusters()) || !latest.rendering.shows_the_latest() {
            refreshed(state.clone(), kind).await;
        }
    }
}

/// Makes a rendering of what is published now, unless somebody else has meanwhile. `None`: it cannot be made.
async fn refreshed(state: Arc<HttpState>, kind: Kind) -> Option<Arc<Ready>> {
    let asked = Instant::now();
    let maker = state.renderings.maker.clone().lock_owned().await;
    let slot = state.renderings.slot(kind);
    let last = slot.latest.load_full();
    let clusters = state.clusters();
    // One that was begun since then serves all who waited meanwhile.
    let is_new = |ready: &Ready| ready.begun_at >= asked && ready.rendering.is_of(&clusters);
    if let Some(last) = last.as_ref().filter(|last| is_new(last) || slot.judge(last, &clusters) == Verdict::Good) {
        return Some(last.clone());
    }
    if slot.times().failed.is_some_and(|failed| failed.elapsed() < RETRY_AFTER) {
        return None;
    }
    slot.times().making_since = Some(Instant::now());
    let make = move || {
        let mut maker = maker;
        Ready::make(&mut maker, kind, &clusters, last.as_deref())
    };
    let made = spawn_blocking(make).await;
    slot.times().making_since = None;
    let failure = match made {
        Ok(Ok(ready)) => {
            let ready = Arc::new(ready);
            slot.latest.store(Some(ready.clone()));
            state.renderings.bound(kind);
            state.renderings.tell_bytes(&state.clusters());
            return Some(ready);
        }
        Ok(Err(error)) => format!("{error}: {}", source_of(&error)),
        Err(error) => {
            state.own.task_panicked(None, TASK);
            format!("it panicked ({error})")
        }
    };
    slot.times().failed = Some(Instant::now());
    slot.latest.store(None);
    state.renderings.tell_bytes(&state.clusters());
    tracing::error!(
        "a compressed body could not be made: {failure}. Scrapes are served without compression for {} s: please report \
         this",
        RETRY_AFTER.as_secs()
    );
    None
}

fn source_of(error: &CompressError) -> String {
    std::error::Error::source(error).map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

impl Ready {
    fn make(
        maker: &mut Maker,
        kind: Kind,
        clusters: &[Arc<ClusterSource>],
        last: Option<&Self>,
    ) -> Result<Self, CompressError> {
        let (begun_at, begun) = (Instant::now(), processor_time());
        let views: Vec<ClusterView> = clusters.iter().map(ClusterView::of).collect();
        let rendering = maker.make(kind, &views, last.map(|last| &*last.rendering))?;
        let cost = processor_time().saturating_sub(begun);
        let clock_cost = last.filter(|last| last.rendering.is_of(clusters)).and_then(|last| {
            // Where nothing was published in between, only the clock has moved.
            let is_by_the_clock = last.rendering.shows_the_same_as(&rendering);
            if is_by_the_clock { Some(cost) } else { last.clock_cost.or(Some(cost)) }
        });
        Ok(Self { rendering: Arc::new(rendering), begun_at, made_at: Instant::now(), cost, clock_cost })
    }
}

/// What the thread has used of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::Cluster;
    use super::*;
    use crate::model::WallTime;

    const KIND: Kind = Kind::ALL[0];

    fn made(clusters: &[Arc<ClusterSource>], last: Option<&Ready>) -> Ready {
        Ready::make(&mut Maker::default(), KIND, clusters, last).unwrap()
    }

    /// The same as if it had been made so long ago.
    fn aged(ready: Ready, seconds: u64, clock_cost: Duration) -> Ready {
        let made_at = ready.made_at.checked_sub(Duration::from_secs(seconds)).unwrap();
        Ready { made_at, clock_cost: Some(clock_cost), ..ready }
    }

    fn tick(cluster: &ClusterSource, seconds: i64) {
        let now = cluster.told_at(cluster.snapshot.load().as_deref());
        cluster.tick(WallTime(now.0 + seconds * 1000));
    }

    #[test]
    fn the_clock_moves_on_as_often_as_it_is_worth() {
        let clusters = [Arc::new(Cluster::polled(None, 3, 2))];
        let slot = Slot::default();
        let ready = || made(&clusters, None);
        assert_eq!(slot.judge(&ready(), &clusters), Verdict::Good);
        let (cheap, dear) = (Duration::from_millis(1), Duration::from_millis(50));
        let before = [aged(ready(), 1, cheap), aged(ready(), 4, dear), aged(ready(), 7, dear), aged(ready(), 11, dear)];
        assert!(before.iter().all(|ready| slot.judge(ready, &clusters) == Verdict::Good), "it is told as of now");
        tick(&clusters[0], 1);
        let verdicts = before.map(|ready| slot.judge(&ready, &clusters));
        assert_eq!(verdicts, [Verdict::Late, Verdict::Good, Verdict::Ageing, Verdict::Late]);
    }

    #[test]
    fn what_the_clock_costs_is_learned_where_only_it_has_moved() {
        let clusters = [Arc::new(Cluster::polled(None, 3, 2))];
        let first = made(&clusters, None);
        assert_eq!(first.clock_cost, None);
        tick(&clusters[0], 1);
        let moved = made(&clusters, Some(&first));
        assert_eq!(moved.clock_cost, Some(moved.cost));
        clusters[0].snapshot.store(Cluster::polled(None, 4, 2).snapshot.load_full());
        assert_eq!(made(&clusters, Some(&moved)).clock_cost, moved.clock_cost);
        let published = made(&clusters, Some(&first));
        assert_eq!(published.clock_cost, Some(published.cost), "it cannot be more");
    }

    #[test]
    fn what_is_superseded_serves_only_while_the_next_takes_its_time() {
        let clusters = [Arc::new(Cluster::polled(None, 3, 2))];
        let slot = Slot::default();
        let dear = || Ready { cost: Duration::from_millis(300), ..made(&clusters, None) };
        let (cheap, first) = (Ready { cost: Duration::from_millis(1), ..made(&clusters, None) }, dear());
        clusters[0].snapshot.store(Cluster::polled(None, 4, 2).snapshot.load_full());
        assert_eq!(slot.judge(&first, &clusters), Verdict::Late, "nobody makes the next");
        slot.times().making_since = Some(Instant::now());
        assert_eq!(slot.judge(&first, &clusters), Verdict::Good);
        assert_eq!(slot.judge(&cheap, &clusters), Verdict::Late);
        slot.times().making_since = Instant::now().checked_sub(GRACE);
        assert_eq!(slot.judge(&first, &clusters), Verdict::Late, "it takes too long");
        let others = [Arc::new(Cluster::polled(None, 3, 2))];
        assert_eq!(slot.judge(&dear(), &others), Verdict::Late, "of other clusters");
    }
}
