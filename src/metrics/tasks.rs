//! The register of long-lived tasks: which there are, what they do, and which of them hang.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ClusterSource, OwnMetrics, TaskGuard, TaskState};
use crate::collect::{Clock, SystemClock};
use crate::model::{Instants, Moment, WallTime};

/// Every long-lived task: a few for each cluster, and a few more.
#[derive(Debug)]
pub struct Tasks {
    clock: SystemClock,
    own: Arc<OwnMetrics>,
    rows: Mutex<Vec<Arc<Row>>>,
}

/// The handle with which a task tells of itself. Dropping it does not end the watch: a task that died drops it, too.
#[derive(Debug, Clone)]
pub struct Task {
    clock: SystemClock,
    own: Arc<OwnMetrics>,
    row: Arc<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    cluster: Option<TaskCluster>,
    /// The last sign of life.
    turned_ms: AtomicU64,
    /// The last piece of work that was done, or the last moment at which there was none to do.
    progressed_ms: AtomicU64,
    is_stuck: AtomicBool,
    run: Mutex<Run>,
}

#[derive(Debug)]
struct TaskCluster {
    name: Option<Arc<str>>,
    display_name: String,
}

#[derive(Debug)]
struct Run {
    state: TaskState,
    since: WallTime,
    panics: u64,
    restarts: u64,
    /// Counts the task in its state.
    _counted: TaskGuard,
}

/// What is shown of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// Its name, such as `poller`.
    pub name: &'static str,
    /// What to call the cluster that it works for; `None`: it works for the exporter as a whole.
    pub cluster: Option<String>,
    /// What it is doing.
    pub state: TaskState,
    /// Since when.
    pub since: WallTime,
    /// How long it has not shown that it turns.
    pub silent: Duration,
    /// How long it has not got on with its work.
    pub idle: Duration,
    /// Whether that is too long.
    pub is_stuck: bool,
    /// How often it has panicked.
    pub panics: u64,
    /// How often it was started again after that.
    pub restarts: u64,
}

impl TaskView {
    /// What to call it in a sentence.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("{} of cluster {cluster}", self.name),
            None => self.name.to_owned(),
        }
    }
}

impl Tasks {
    /// An empty register.
    #[must_use]
    pub fn new(own: Arc<OwnMetrics>, clock: SystemClock) -> Self {
        Self { clock, own, rows: Mutex::default() }
    }

    /// Registers a task, which counts as running and as having turned now. `None`: it works for no single cluster.
    #[must_use]
    pub fn register(&self, name: &'static str, cluster: Option<&ClusterSource>) -> Task {
        let now = self.clock.now();
        let cluster = cluster
            .map(|source| TaskCluster { name: source.name.clone(), display_name: source.display_name().to_owned() });
        let row = Arc::new(Row {
            name,
            cluster,
            turned_ms: AtomicU64::new(now.moment.0),
            progressed_ms: AtomicU64::new(now.moment.0),
            is_stuck: AtomicBool::new(false),
            run: Mutex::new(Run {
                state: TaskState::Running,
                since: now.wall,
                panics: 0,
                restarts: 0,
                _counted: self.own.task(TaskState::Running),
            }),
        });
        self.own.task_started(row.cluster_label(), name, now.wall);
        self.rows().push(row.clone());
        Task { clock: self.clock, own: self.own.clone(), row }
    }

    /// Takes a task out whose work is over: it was asked to end, and has. Its series stand, for another of its name.
    pub fn remove(&self, task: &Task) {
        task.finished();
        self.rows().retain(|row| !Arc::ptr_eq(row, &task.row));
    }

    /// Takes a task out, and its series with it: there is no such cluster any more.
    pub fn forget(&self, task: &Task) {
        self.remove(task);
        self.own.forget_task(task.row.cluster_label(), task.row.name);
    }

    /// All of them, in the order of their registration.
    #[must_use]
    pub fn list(&self) -> Vec<TaskView> {
        let now = self.clock.now().moment;
        self.rows().iter().map(|row| row.view(now)).collect()
    }

    /// Marks those that have not got on for too long, and logs each once, and its end.
    pub fn mark_stuck(&self, after: Duration) {
        let now = self.clock.now().moment;
        let rows = self.rows().clone();
        for row in rows {
            let view = row.view(now);
            let is_stuck = view.state != TaskState::Finished && view.idle > after;
            if is_stuck == row.is_stuck.swap(is_stuck, Ordering::Relaxed) {
                continue;
            }
            self.own.task_stuck(row.cluster_label(), row.name, is_stuck);
            let (title, seconds) = (view.title(), view.idle.as_secs());
            match is_stuck {
                true => tracing::error!(
                    task = row.name,
                    "task {title} has got on with nothing for {seconds} s: what it reads expires meanwhile. If it does \
                     not go on by itself, restart the exporter, and please report this"
                ),
                false => tracing::info!(task = row.name, "task {title} goes on"),
            }
        }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Arc<Row>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// It turns, though the work that it is at may hang.
    pub fn touch(&self) {
        self.row.turned_ms.store(self.clock.now().moment.0, Ordering::Relaxed);
    }

    /// A piece of work is done, or there is none just now.
    pub fn progress(&self) {
        self.touch();
        self.row.progressed_ms.store(self.clock.now().moment.0, Ordering::Relaxed);
    }

    /// It runs again after a panic.
    pub fn restarted(&self) {
        self.progress();
        let wall = self.enter(TaskState::Running, |run| run.restarts += 1);
        self.own.task_restarted(self.row.cluster_label(), self.row.name, wall);
    }

    /// It panicked and waits to be started again.
    pub fn panicked(&self) {
        self.enter(TaskState::Restarting, |run| run.panics += 1);
        self.own.task_panicked(self.row.cluster_label(), self.row.name);
    }

    /// A part of it panicked, and it went on.
    pub fn panicked_inside(&self) {
        self.row.run().panics += 1;
        self.own.task_panicked(self.row.cluster_label(), self.row.name);
    }

    /// Its run came to its end without a panic.
    pub fn finished(&self) {
        if self.row.run().state == TaskState::Running {
            self.own.task_finished(self.row.cluster_label(), self.row.name);
        }
        self.enter(TaskState::Finished, |_| ());
    }

    fn enter(&self, state: TaskState, note: impl FnOnce(&mut Run)) -> WallTime {
        let Instants { wall, .. } = self.clock.now();
        let mut run = self.row.run();
        note(&mut run);
        *run = Run { state, since: wall, _counted: self.own.task(state), ..*run };
        wall
    }
}

impl Row {
    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` also for the nameless cluster: its series have no label.
    fn cluster_label(&self) -> Option<&str> {
        self.cluster.as_ref()?.name.as_deref()
    }

    fn view(&self, now: Moment) -> TaskView {
        let run = self.run();
        let since = |at: &AtomicU64| now.since(Moment(at.load(Ordering::Relaxed)));
        TaskView {
            name: self.name,
            cluster: self.cluster.as_ref().map(|cluster| cluster.display_name.clone()),
            state: run.state,
            since: run.since,
            silent: since(&self.turned_ms),
            idle: since(&self.progressed_ms),
            is_stuck: self.is_stuck.load(Ordering::Relaxed),
            panics: run.panics,
            restarts: run.restarts,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::metrics::catalogue;
    use crate::metrics::exposition::{ClusterView, Exposition, Format, View};

    fn tasks() -> Tasks {
        Tasks::new(Arc::new(OwnMetrics::new("0", None).unwrap()), SystemClock::start())
    }

    fn cluster(name: &str) -> Arc<ClusterSource> {
        Arc::new(ClusterSource::new(Some(name), vec!["b:9092".to_owned()]))
    }

    /// The samples of a family, without its name.
    fn samples(tasks: &Tasks, clusters: &[Arc<ClusterSource>], family: &catalogue::Family) -> Vec<String> {
        let clusters = clusters.iter().map(ClusterView::of).collect();
        let view = View { clusters, own: tasks.own.gather(), ..View::default() };
        let text = String::from_utf8(Exposition::new(view, Format::Text).into_bytes()).unwrap();
        let samples = text.lines().filter_map(|line| line.strip_prefix(family.name));
        samples.filter(|rest| rest.starts_with(['{', ' '])).map(str::to_owned).collect()
    }

    #[test]
    fn a_task_is_counted_in_its_state_and_its_events_are() {
        let tasks = tasks();
        let clusters = [cluster("a"), cluster("b")];
        let poller = tasks.register("poller", Some(&clusters[0]));
        let _other = tasks.register("poller", Some(&clusters[1]));
        let reload = tasks.register("reload", None);
        poller.panicked();
        assert_eq!(tasks.list()[0].state, TaskState::Restarting);
        let states = samples(&tasks, &clusters, &catalogue::KAFKASCOPE_TASKS);
        assert_eq!(states, ["{state=\"finished\"} 0", "{state=\"restarting\"} 1", "{state=\"running\"} 2"]);
        poller.restarted();
        reload.finished();
        let states = samples(&tasks, &clusters, &catalogue::KAFKASCOPE_TASKS);
        assert_eq!(states, ["{state=\"finished\"} 1", "{state=\"restarting\"} 0", "{state=\"running\"} 2"]);
        let counted = |family| samples(&tasks, &clusters, family);
        let a = "{cluster_name=\"a\",task=\"poller\"}";
        assert!(counted(&catalogue::KAFKASCOPE_TASKS_STARTED_TOTAL).contains(&format!("{a} 2")));
        assert!(counted(&catalogue::KAFKASCOPE_TASKS_RESTARTED_TOTAL).contains(&format!("{a} 1")));
        assert!(counted(&catalogue::KAFKASCOPE_TASK_PANICS_TOTAL).contains(&format!("{a} 1")));
        let finished = counted(&catalogue::KAFKASCOPE_TASKS_FINISHED_TOTAL);
        assert!(finished.contains(&"{task=\"reload\"} 1".to_owned()), "{finished:?}");
    }

    #[test]
    fn what_is_removed_is_gone_and_its_counters_go_with_the_cluster() {
        let tasks = tasks();
        let clusters = [cluster("a")];
        let poller = tasks.register("poller", Some(&clusters[0]));
        let _reload = tasks.register("reload", None);
        tasks.remove(&poller);
        assert_eq!(tasks.list().len(), 1);
        let finished = samples(&tasks, &clusters, &catalogue::KAFKASCOPE_TASKS_FINISHED_TOTAL);
        assert!(finished.contains(&"{cluster_name=\"a\",task=\"poller\"} 1".to_owned()), "{finished:?}");
        tasks.forget(&poller);
        let started = samples(&tasks, &clusters, &catalogue::KAFKASCOPE_TASKS_STARTED_TOTAL);
        assert_eq!(started, ["{task=\"reload\"} 1"]);
    }

    #[test]
    fn a_task_that_turns_without_getting_on_is_stuck_until_it_does() {
        let tasks = tasks();
        let poller = tasks.register("poller", None);
        let is_stuck = |after_ms| {
            tasks.mark_stuck(Duration::from_millis(after_ms));
            let shown = samples(&tasks, &[], &catalogue::KAFKASCOPE_TASK_STUCK) == ["{task=\"poller\"} 1"];
            assert_eq!(shown, tasks.list()[0].is_stuck);
            shown
        };
        assert!(!is_stuck(60_000));
        std::thread::sleep(Duration::from_millis(20));
        poller.touch();
        assert!(is_stuck(5));
        poller.progress();
        assert!(!is_stuck(60_000));
        poller.finished();
        std::thread::sleep(Duration::from_millis(20));
        assert!(!is_stuck(5), "what has finished does not hang");
    }

    #[test]
    fn a_task_that_died_is_still_watched() {
        let tasks = tasks();
        drop(tasks.register("dead", None));
        assert_eq!(tasks.list().len(), 1);
    }
}
