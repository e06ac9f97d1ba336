//! The JSON that programs read, over real connections: the groups and Burrow's API.

#![allow(clippy::unwrap_used, reason = "an answer that is no JSON ends the test, as it should")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::testing::{Cluster, Server, request, state};
use crate::metrics::ClusterSource;
use crate::model::{GroupState, GroupStatus};
use crate::report::testing::{Group, NOW, Told, Topic, row, snapshot};

/// A stopped group, one that is well, one without commits, and one with a slash in its name.
fn groups() -> Vec<Group> {
    let empty = Told { ago: 60, members: 0, state: GroupState::Empty };
    let stopped = vec![row(40, 100, GroupStatus::Stop), row(0, 0, GroupStatus::Ok)];
    vec![
        Group::told("billing", vec![empty], vec![Topic::new("orders", stopped)]),
        Group::stable("checkout", vec![Topic::new("payments", vec![row(2, 1, GroupStatus::Ok)])]),
        Group::stable("idle", Vec::new()),
        Group::stable("team/ä 1+1", vec![Topic::new("clicks", vec![row(0, 0, GroupStatus::Ok)])]),
    ]
}

fn polled(name: Option<&str>) -> ClusterSource {
    let cluster = Cluster::pending(name);
    cluster.snapshot.store(Some(Arc::new(snapshot(&groups()))));
    cluster
}

async fn get(server: &Server, target: &str) -> (u16, Value) {
    let received = request(server.address, "GET", target, "").await;
    assert_eq!(received.header("content-type"), Some("application/json"), "{target}");
    assert!(received.is_complete, "{target}");
    (received.status, serde_json::from_slice(&received.body).unwrap())
}

/// The answer without the name of this machine.
async fn burrow(server: &Server, target: &str) -> (u16, Value) {
    let (status, mut answer) = get(server, target).await;
    let host = answer["request"].as_object_mut().unwrap().remove("host");
    assert!(host.is_some_and(|host| host.is_string()), "{target}");
    (status, answer)
}

/// The names at a place of each element of a list.
fn names(list: &Value, place: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|element| element[place].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn groups_are_listed_cluster_by_cluster() {
    let server = Server::start(state(vec![polled(Some("a")), Cluster::pending(Some("b")), polled(Some("c"))]));
    let (status, all) = get(&server, "/api/v1/groups").await;
    assert_eq!((status, names(&all["clusters"], "name")), (200, vec!["a".into(), "b".into(), "c".into()]));
    let first = &all["clusters"][0];
    assert_eq!((&first["cluster_id"], &first["up"]), (&json!("test-cluster"), &json!(true)));
    assert_eq!(first["snapshot_timestamp_seconds"], json!(NOW.as_seconds()));
    assert_eq!(names(&first["groups"], "group"), ["billing", "checkout", "idle", "team/ä 1+1"]);
    assert_eq!(all["clusters"][1], json!({"name": "b", "up": false, "groups": []}));
    let billing = &first["groups"][0];
    assert_eq!(billing["diagnosis"], json!("`billing` has no members and is 40 messages, 100 s behind on `orders`"));
    assert_eq!((&billing["status"], &billing["lag_sum"]), (&json!("ERR"), &json!(40)));
    let partitions = &billing["topics"][0]["partitions"];
    assert_eq!((&partitions[0]["status"], &partitions[1]["status"]), (&json!("STOP"), &json!("OK")));
    assert_eq!(partitions[1]["lag_seconds"], json!(0.0));
    assert_eq!(partitions[0]["lag_seconds"], json!(100.0));
    assert_eq!(first["groups"][1].get("diagnosis"), None);
    server.stop().await;
}

#[tokio::test]
async fn groups_are_narrowed_by_name() {
    let server = Server::start(state(vec![polled(Some("a")), polled(Some("b"))]));
    let (_, one) = get(&server, "/api/v1/groups?cluster=b&group=idle&group=team%2F%C3%A4+1%2B1&group=gone").await;
    assert_eq!(names(&one["clusters"], "name"), ["b"]);
    assert_eq!(names(&one["clusters"][0]["groups"], "group"), ["idle", "team/ä 1+1"]);
    for (query, message) in [
        ("cluster=x", "cluster=\"x\" is not configured; there are a, b\n"),
        ("topic=x", "unknown parameter \"topic\"; there are cluster and group\n"),
    ] {
        let refused = request(server.address, "GET", &format!("/api/v1/groups?{query}"), "").await;
        assert_eq!((refused.status, refused.text()), (400, message));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_answer_larger_than_a_chunk_is_whole() {
    let rows = || vec![row(5, 5, GroupStatus::Ok); 1500];
    let large = [Group::stable("a", vec![Topic::new("t", rows())]), Group::stable("b", vec![Topic::new("u", rows())])];
    let cluster = Cluster::pending(None);
    cluster.snapshot.store(Some(Arc::new(snapshot(&large))));
    let server = Server::start(state(vec![cluster]));
    let received = request(server.address, "GET", "/api/v1/groups", "").await;
    assert!(received.is_complete && received.body.len() > 200_000, "{}", received.body.len());
    let all: Value = serde_json::from_slice(&received.body).unwrap();
    let count = |group: usize| all["clusters"][0]["groups"][group]["topics"][0]["partitions"].as_array().unwrap().len();
    assert_eq!((count(0), count(1)), (1500, 1500));
    let (_, lag) = burrow(&server, "/v3/kafka/default/consumer/b/lag").await;
    assert_eq!(lag["status"]["partitions"].as_array().unwrap().len(), 1500);
    server.stop().await;
}

#[tokio::test]
async fn burrows_lists_have_its_shapes() {
    let server = Server::start(state(vec![polled(Some("prod eu")), Cluster::pending(Some("new"))]));
    let good = request(server.address, "GET", "/burrow/admin", "").await;
    assert_eq!((good.status, good.text()), (200, "GOOD"));
    let answered = |message: &str, path: &str, member: &str, value: Value| {
        (200, json!({"error": false, "message": message, member: value, "request": {"url": path}}))
    };
    let path = "/v3/kafka";
    let expected = answered("cluster list returned", path, "clusters", json!(["prod eu", "new"]));
    assert_eq!(burrow(&server, path).await, expected);
    let module = json!({"class-name": "kafka", "servers": ["broker-1:9092"]});
    let expected = answered("cluster module detail returned", "/v3/kafka/prod eu", "module", module);
    assert_eq!(burrow(&server, "/v3/kafka/prod%20eu").await, expected);
    let cases = [
        ("/topic", "topic list returned", "topics", json!(["clicks", "orders", "payments"])),
        ("/topic/orders", "topic offsets returned", "offsets", json!([1040, 1000])),
        ("/topic/orders/consumers", "consumers of topic returned", "consumers", json!(["billing"])),
        ("/topic/nothing/consumers", "consumers of topic returned", "consumers", json!([])),
        ("/consumer", "consumer list returned", "consumers", json!(["billing", "checkout", "team/ä 1+1"])),
    ];
    for (below, message, member, value) in cases {
        let expected = answered(message, &format!("/v3/kafka/prod eu{below}"), member, value);
        assert_eq!(burrow(&server, &format!("/v3/kafka/prod%20eu{below}")).await, expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn burrows_group_detail_places_partitions_by_their_number() {
    let server = Server::start(state(vec![polled(None)]));
    let (status, detail) = burrow(&server, "/v3/kafka/default/consumer/billing").await;
    let partition = |lag: u64| {
        let commit = json!({"offset": 1000, "timestamp": null, "observedAt": NOW.0, "lag": lag});
        json!({"offsets": [commit], "owner": "", "client_id": "", "current-lag": lag})
    };
    let expected = json!({
        "error": false,
        "message": "consumer detail returned",
        "topics": {"orders": [partition(40), partition(0)]},
        "request": {"url": "/v3/kafka/default/consumer/billing"},
    });
    assert_eq!((status, detail), (200, expected));
    server.stop().await;
}

#[tokio::test]
async fn burrows_status_names_the_bad_partitions_and_its_lag_all() {
    let server = Server::start(state(vec![polled(None)]));
    let partition = |number: u64, lag: u64, status: &str| {
        json!({
            "topic": "orders", "partition": number, "owner": "", "client_id": "", "status": status, "start": null,
            "end": {"offset": 1000, "timestamp": null, "observedAt": NOW.0, "lag": lag},
            "current_lag": lag, "complete": 1.0,
        })
    };
    let (bad, good) = (partition(0, 40, "STOP"), partition(1, 0, "OK"));
    for (path, partitions) in [("status", json!([bad])), ("lag", json!([bad, good]))] {
        let url = format!("/v3/kafka/default/consumer/billing/{path}");
        let expected = json!({
            "error": false,
            "message": "consumer status returned",
            "status": {
                "cluster": "default", "group": "billing", "status": "ERR", "complete": 1.0, "partitions": partitions,
                "partition_count": 2, "maxlag": bad, "totallag": 40,
            },
            "request": {"url": url},
        });
        assert_eq!(burrow(&server, &url).await, (200, expected));
    }
    let (status, slash) = burrow(&server, "/v3/kafka/default/consumer/team%2F%C3%A4%201+1/status").await;
    assert_eq!((status, &slash["status"]["group"]), (200, &json!("team/ä 1+1")));
    assert_eq!(slash["status"]["partitions"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn burrow_says_what_there_is_not() {
    let server = Server::start(state(vec![polled(None)]));
    let cases = [
        ("/x", "cluster module not found"),
        ("/x/topic", "cluster not found"),
        ("/x/consumer", "cluster not found"),
        ("/x/topic/orders/consumers", "cluster not found"),
        ("/default/topic/x", "cluster or topic not found"),
        ("/default/consumer/x", "cluster or consumer not found"),
        ("/default/consumer/idle", "cluster or consumer not found"),
        ("/default/consumer/billing/x", "invalid request type"),
    ];
    for (below, message) in cases {
        let url = format!("/v3/kafka{below}");
        let expected = json!({"error": true, "message": message, "request": {"url": url}});
        assert_eq!(burrow(&server, &url).await, (404, expected), "{below}");
    }
    for (cluster, group) in [("x", "billing"), ("default", "x"), ("default", "idle")] {
        let (status, answer) = burrow(&server, &format!("/v3/kafka/{cluster}/consumer/{group}/lag")).await;
        assert_eq!((status, &answer["error"]), (404, &json!(false)));
        let expected = json!({
            "cluster": cluster, "group": group, "status": "NOTFOUND", "complete": 1.0, "partitions": [],
            "partition_count": 0, "maxlag": null, "totallag": 0,
        });
        assert_eq!(answer["status"], expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn of_a_cluster_that_was_not_polled_burrow_is_told_nothing() {
    let server = Server::start(state(vec![Cluster::failed(None, "no broker answered")]));
    for below in ["/topic", "/topic/t", "/consumer", "/consumer/g", "/consumer/g/status", "/consumer/g/lag"] {
        let (status, answer) = burrow(&server, &format!("/v3/kafka/default{below}")).await;
        assert_eq!((status, &answer["error"]), (503, &json!(true)), "{below}");
    }
    assert_eq!(request(server.address, "GET", "/v3/kafkas", "").await.status, 404, "a name that only begins alike");
    let deleted = request(server.address, "DELETE", "/v3/kafka/default/consumer/g", "").await;
    assert_eq!(deleted.status, 405);
    let counted = request(server.address, "GET", "/metrics", "").await;
    assert!(counted.text().contains("kafkascope_http_requests_total{path=\"/v3/kafka\",code=\"503\"} 6\n"));
    server.stop().await;
}

#[tokio::test]
async fn the_page_shows_the_groups_that_are_not_well() {
    let hostile = "<script>`x`</script>";
    let bad = |name| Group::stable(name, vec![Topic::new(name, vec![row(9, 9, GroupStatus::Stall)])]);
    let many: Vec<String> = (0..25).map(|number| format!("group-{number:02}")).collect();
    let many = many.into_iter().map(|name| bad(name.leak()));
    let cluster = Cluster::pending(None);
    cluster.snapshot.store(Some(Arc::new(snapshot(&many.chain([bad(hostile)]).collect::<Vec<_>>()))));
    let server = Server::start(state(vec![polled(Some("a")), cluster]));
    let page = request(server.address, "GET", "/", "").await;
    let page = page.text();
    assert!(page.contains("<td class=\"word\">ERR</td><td><code>billing</code> has no members and is 40 messages, 100 s behind on <code>orders</code></td>"));
    assert!(page.contains("<dt>groups</dt><dd>26 <small>26 not well</small></dd>"), "{page}");
    assert!(page.contains("<p class=\"servers\">and 6 more: <a href=\"/api/v1/groups\">as JSON</a></p>"));
    assert!(!page.contains("<script"));
    server.stop().await;
}
