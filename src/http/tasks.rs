//! The long-lived tasks as JSON: `/api/v1/tasks`.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use super::HttpState;
use super::response::{json, text};
use super::routes::{Answer, Head};
use crate::metrics::TaskView;

#[derive(Serialize)]
struct Listed {
    tasks: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    task: &'static str,
    cluster: Option<String>,
    state: &'static str,
    since_timestamp_seconds: f64,
    last_turn_age_seconds: f64,
    last_progress_age_seconds: f64,
    stuck: bool,
    panics: u64,
    restarts: u64,
}

impl From<TaskView> for Entry {
    fn from(task: TaskView) -> Self {
        Self {
            task: task.name,
            cluster: task.cluster,
            state: task.state.as_str(),
            since_timestamp_seconds: task.since.as_seconds(),
            last_turn_age_seconds: task.silent.as_secs_f64(),
            last_progress_age_seconds: task.idle.as_secs_f64(),
            stuck: task.is_stuck,
            panics: task.panics,
            restarts: task.restarts,
        }
    }
}

/// Answers with every task.
pub(super) fn list(state: &Arc<HttpState>, _: &Head) -> Answer {
    let listed = Listed { tasks: state.tasks.list().into_iter().map(Entry::from).collect() };
    match serde_json::to_vec(&listed) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("the tasks cannot be written as JSON: {error}\n"))
        }
    }
}
