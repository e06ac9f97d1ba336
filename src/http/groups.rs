//! The groups of every cluster as JSON, with what is wrong with them: `/api/v1/groups`.

use std::iter::once;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use super::HttpState;
use super::pieces::{Piece, json_pieces, open, plain, separated};
use super::query::{self, GroupQuery};
use super::response::text;
use super::routes::{Answer, Head};
use crate::derive::{Snapshot, Standing};
use crate::metrics::ClusterSource;
use crate::model::WallTime;
use crate::report::{GroupReport, scope_in_words};

/// What is said of a cluster before its groups.
#[derive(Serialize)]
struct ClusterHead<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<&'a str>,
    up: bool,
    /// Which part of the cluster's groups these are; left out when it is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// When what follows was derived from what Kafka said; left out while nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_timestamp_seconds: Option<f64>,
}

/// Answers with the groups; `?cluster=` and `?group=` narrow them.
pub(super) fn list(state: &Arc<HttpState>, head: &Head) -> Answer {
    let clusters = state.clusters();
    let query = match query::parse_groups(head.uri.query().unwrap_or(""), &clusters) {
        Ok(query) => Arc::new(query),
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let is_asked_for = |cluster: &&Arc<ClusterSource>| {
        query.clusters.is_empty() || cluster.name.as_ref().is_some_and(|name| query.clusters.contains(name))
    };
    let shown: Vec<Arc<ClusterSource>> = clusters.iter().filter(is_asked_for).cloned().collect();
    let clusters = shown.into_iter().enumerate().flat_map(move |(place, cluster)| {
        let comma = (place > 0).then(|| plain(","));
        comma.into_iter().chain(of_cluster(&cluster, &query))
    });
    json_pieces(state, once(plain("{\"clusters\":[")).chain(clusters).chain(once(plain("]}\n"))))
}

fn of_cluster(cluster: &ClusterSource, query: &Arc<GroupQuery>) -> impl Iterator<Item = Piece> + use<> {
    let (snapshot, query) = (cluster.snapshot.load_full(), query.clone());
    let known = snapshot.as_deref();
    let now = cluster.told_at(known);
    let head = ClusterHead {
        name: cluster.name.as_deref(),
        cluster_id: known.and_then(|snapshot| snapshot.world.cluster_id.as_deref()),
        up: known.is_some_and(|snapshot| snapshot.world.up),
        scope: known.map(|snapshot| &snapshot.world.scope).filter(|scope| !scope.is_cluster()).map(scope_in_words),
        snapshot_timestamp_seconds: known.map(|snapshot| snapshot.derived_at.wall.as_seconds()),
    };
    let head = open(&head, "groups", '[');
    let groups = snapshot.into_iter().flat_map(move |snapshot| {
        let query = query.clone();
        (0..snapshot.groups.len()).filter_map(move |place| group(&snapshot, place, &query, now))
    });
    once(head).chain(separated(groups)).chain(once(plain("]}")))
}

fn group(snapshot: &Snapshot, place: usize, query: &GroupQuery, now: WallTime) -> Option<Piece> {
    let standing = Standing::of(snapshot, place, now)?;
    query.asks_for(&standing.group.table.name).then(|| serde_json::to_vec(&GroupReport::new(snapshot, standing, now)))
}
