//! Health and readiness: whether the exporter itself turns, and whether it knows something yet.
//!
//! Kafka's troubles are metrics, not unhealthiness: restarting the exporter would not mend them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::StatusCode;

use super::response::text;
use super::{HttpState, routes::Answer};
use crate::metrics::{ClusterSource, TaskView};

/// A loop that has not turned for so long is stuck.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// `/-/healthy`: 503 only when a loop of the exporter is stuck.
pub(super) fn healthy(state: &Arc<HttpState>, _: &super::routes::Head) -> Answer {
    let lines = silent_lines(&state.tasks.list());
    if lines.is_empty() {
        return text(StatusCode::OK, "ok\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, lines)
}

/// A line for each task that is silent for too long.
fn silent_lines(tasks: &[TaskView]) -> String {
    let silent = tasks.iter().filter(|task| task.silent > MAX_SILENCE);
    silent.map(|task| format!("{} has not turned for {} s\n", task.title(), task.silent.as_secs())).collect()
}

/// `/-/ready`: 200 once every cluster has had its first pass or its first failure.
pub(super) fn ready(state: &Arc<HttpState>, _: &super::routes::Head) -> Answer {
    let clusters = state.clusters();
    let pending: Vec<&ClusterSource> =
        clusters.iter().map(AsRef::as_ref).filter(|cluster| !cluster.was_polled()).collect();
    if pending.is_empty() || state.was_ready.load(Ordering::Relaxed) {
        return text(StatusCode::OK, "ready\n");
    }
    let lines = pending.iter().map(|cluster| match &cluster.name {
        Some(name) => format!("cluster {name}: first pass is not over\n"),
        None => format!("cluster at {}: first pass is not over\n", cluster.bootstrap_servers.join(",")),
    });
    text(StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::TaskState;
    use crate::model::WallTime;

    #[test]
    fn a_task_that_has_not_turned_for_a_minute_is_named() {
        let task = |silent| TaskView {
            name: "poller",
            cluster: Some("prod".to_owned()),
            state: TaskState::Running,
            since: WallTime(0),
            silent,
            idle: Duration::from_secs(3600),
            is_stuck: true,
            panics: 0,
            restarts: 0,
        };
        assert_eq!(silent_lines(&[task(MAX_SILENCE)]), "");
        let lines = silent_lines(&[task(Duration::ZERO), task(MAX_SILENCE + Duration::from_secs(1))]);
        assert_eq!(lines, "poller of cluster prod has not turned for 61 s\n");
    }
}
