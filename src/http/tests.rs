//! The server over real connections: what is promised to clients, and what is not let happen to the exporter.

#![allow(clippy::unwrap_used, reason = "a connection that fails ends the test, as it should")]

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::HttpSettings;
use super::testing::{Cluster, Received, Server, request, send, state, state_and_reloads, state_with};

/// Nothing in these tests takes so long unless it hangs.
const BOUND: Duration = Duration::from_secs(30);

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0\r\n";

fn two_clusters() -> Server {
    Server::start(state(vec![Cluster::polled(Some("a"), 2, 3), Cluster::failed(Some("b"), "away")]))
}

/// Lines of a body that are the same for every scrape.
fn of_kafka(body: &str) -> Vec<&str> {
    body.lines().filter(|line| line.starts_with("kafka_")).collect()
}

#[tokio::test]
async fn both_formats_are_served_by_accept() {
    let server = two_clusters();
    let text = request(server.address, "GET", "/metrics", "").await;
    assert_eq!((text.status, text.is_complete), (200, true));
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(text.header("vary"), Some("Accept, Accept-Encoding"));
    assert!(text.text().starts_with("# HELP kafka_up "));
    assert!(text.text().contains("\nkafka_up{cluster_name=\"a\"} 1\nkafka_up{cluster_name=\"b\"} 0\n"));
    assert!(!text.text().contains("# EOF"));
    let open = request(server.address, "GET", "/metrics", OPENMETRICS).await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("\n# EOF\n"));
    assert!(open.text().contains("# TYPE kafkascope_scrapes counter\n"));
    assert!(open.text().contains("\nkafkascope_scrapes_total{format=\"text\"} 1\n"), "the first scrape is counted");
    assert_eq!(of_kafka(text.text()), of_kafka(open.text()));
    server.stop().await;
}

#[tokio::test]
async fn gzip_holds_the_same_body() {
    let server = Server::start(state(vec![Cluster::polled(None, 300, 20)]));
    let plain = request(server.address, "GET", "/metrics", "").await;
    let packed = request(server.address, "GET", "/metrics", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(plain.header("content-encoding"), None);
    let mut unpacked = String::new();
    GzDecoder::new(packed.body.as_slice()).read_to_string(&mut unpacked).unwrap();
    assert!(plain.body.len() > 1_000_000, "more than one chunk: {}", plain.body.len());
    assert!(packed.body.len() < plain.body.len() / 5);
    assert_eq!(of_kafka(&unpacked), of_kafka(plain.text()));
    let refused = request(server.address, "GET", "/metrics", "Accept-Encoding: gzip;q=0\r\n").await;
    assert_eq!(refused.header("content-encoding"), None);
    server.stop().await;
}

#[tokio::test]
async fn zstd_holds_the_same_body() {
    let server = Server::start(state(vec![Cluster::polled(None, 300, 20)]));
    for format in ["", OPENMETRICS] {
        let plain = request(server.address, "GET", "/metrics", format).await;
        let packed = request(server.address, "GET", "/metrics", &format!("{format}Accept-Encoding: zstd\r\n")).await;
        assert_eq!(packed.header("content-encoding"), Some("zstd"));
        let unpacked = String::from_utf8(zstd::stream::decode_all(packed.body.as_slice()).unwrap()).unwrap();
        assert!(packed.body.len() < plain.body.len() / 5);
        assert_eq!(of_kafka(&unpacked), of_kafka(plain.text()));
    }
    server.stop().await;
}

fn unpacked(received: &Received) -> String {
    let mut unpacked = String::new();
    GzDecoder::new(received.body.as_slice()).read_to_string(&mut unpacked).unwrap();
    unpacked
}

const GZIP: &str = "Accept-Encoding: gzip\r\n";

#[tokio::test]
async fn a_compressed_scrape_shows_what_was_published_before_it() {
    let server = two_clusters();
    let first = unpacked(&request(server.address, "GET", "/metrics", GZIP).await);
    assert!(first.contains("kafka_topic_partitions{cluster_name=\"a\",topic=\"topic-00001\"} 3\n"));
    assert!(!first.contains("topic=\"topic-00002\""));
    let clusters = server.state.clusters();
    clusters[0].snapshot.store(Cluster::polled(None, 3, 4).snapshot.load_full());
    let second = unpacked(&request(server.address, "GET", "/metrics", GZIP).await);
    assert!(second.contains("kafka_topic_partitions{cluster_name=\"a\",topic=\"topic-00002\"} 4\n"));
    let narrowed = unpacked(&request(server.address, "GET", "/metrics?collect[]=topics&cluster=a", GZIP).await);
    assert!(narrowed.lines().all(|line| line.starts_with('#') || line.starts_with("kafka_topic_")));
    assert!(narrowed.contains("kafka_topic_partitions{cluster_name=\"a\",topic=\"topic-00002\"} 4\n"));
    let other = unpacked(&request(server.address, "GET", "/metrics?cluster=b", GZIP).await);
    assert!(other.contains("kafka_up{cluster_name=\"b\"} 0\n") && !other.contains("cluster_name=\"a\""));
    // A reload takes a cluster away.
    server.state.show_clusters(vec![clusters[1].clone()]);
    let third = unpacked(&request(server.address, "GET", "/metrics", GZIP).await);
    assert!(third.contains("kafka_up{cluster_name=\"b\"} 0\n") && !third.contains("cluster_name=\"a\""));
    server.stop().await;
}

#[tokio::test]
async fn what_was_asked_for_is_made_ready_after_a_publication() {
    let server = two_clusters();
    server.state.keep_renderings().await;
    assert_eq!(server.state.rendering_bytes(), 0, "nobody has asked");
    request(server.address, "GET", "/metrics?collect[]=exporter", GZIP).await;
    assert_eq!(server.state.rendering_bytes(), 0, "no blocks were needed");
    request(server.address, "GET", "/metrics", GZIP).await;
    let before = server.state.rendering_bytes();
    server.state.clusters()[0].snapshot.store(Cluster::polled(None, 30, 4).snapshot.load_full());
    server.state.keep_renderings().await;
    assert!(before > 0 && server.state.rendering_bytes() > before);
    server.stop().await;
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let server = two_clusters();
    for target in [
        "/metrics",
        "/",
        "/-/healthy",
        "/-/ready",
        "/healthz",
        "/nothing",
        "/metrics?cluster=x",
        "/api/v1/groups",
        "/v3/kafka",
    ] {
        for headers in ["", OPENMETRICS, "Accept-Encoding: gzip\r\n", "Accept-Encoding: zstd\r\n"] {
            // How a body is cut up, and how long the page is just now, is known with the body only.
            let varies = |name: &str| name == "transfer-encoding" || (target == "/" && name == "content-length");
            let comparable = |received: &Received| {
                let headers = received.headers.iter().filter(|(name, _)| name != "date" && !varies(name)).cloned();
                (received.status, headers.collect::<Vec<_>>())
            };
            let get = request(server.address, "GET", target, headers).await;
            let head = request(server.address, "HEAD", target, headers).await;
            assert_eq!(comparable(&head), comparable(&get), "{target}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn queries_narrow_and_unknown_ones_are_refused() {
    let server = two_clusters();
    let one = request(server.address, "GET", "/metrics?collect[]=topics&cluster=a", "").await;
    let names: Vec<&str> = one.text().lines().filter(|line| !line.starts_with('#')).collect();
    assert!(names.iter().all(|line| line.starts_with("kafka_topic_") && line.contains("cluster_name=\"a\"")));
    assert!(!names.is_empty());
    let other = request(server.address, "GET", "/metrics?collect[]=exporter&cluster=b", "").await;
    assert!(other.text().contains("kafkascope_build_info"));
    assert!(!other.text().contains("cluster_name=\"a\""));
    let wrong = request(server.address, "GET", "/metrics?cluster=c", "").await;
    assert_eq!((wrong.status, wrong.text()), (400, "cluster=\"c\" is not configured; there are a, b\n"));
    server.stop().await;
}

#[tokio::test]
async fn other_methods_and_paths_are_told_what_there_is() {
    let settings = HttpSettings { telemetry_path: "/probe".to_owned(), ..HttpSettings::default() };
    let server = Server::start(state_with(vec![Cluster::polled(None, 1, 1)], settings));
    let post = request(server.address, "POST", "/probe", "Content-Length: 0\r\n").await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    let lost = request(server.address, "GET", "/metrics", "").await;
    assert_eq!(lost.status, 404);
    assert!(lost.text().contains("\n/probe  Metrics\n"), "{}", lost.text());
    assert_eq!(request(server.address, "GET", "/probe", "").await.status, 200);
    let counted = request(server.address, "GET", "/probe", "").await;
    assert!(counted.text().contains("kafkascope_http_requests_total{path=\"other\",code=\"404\"} 1\n"));
    assert!(counted.text().contains("kafkascope_http_requests_total{path=\"/probe\",code=\"405\"} 1\n"));
    server.stop().await;
}

#[tokio::test]
async fn ready_once_every_cluster_was_polled_and_healthy_at_once() {
    let server = Server::start(state(vec![Cluster::pending(Some("slow")), Cluster::failed(Some("down"), "away")]));
    let ready = request(server.address, "GET", "/-/ready", "").await;
    assert_eq!((ready.status, ready.text()), (503, "cluster slow: first pass is not over\n"));
    for path in ["/-/healthy", "/healthz"] {
        let healthy = request(server.address, "GET", path, "").await;
        assert_eq!((healthy.status, healthy.text()), (200, "ok\n"));
    }
    server.state.clusters()[0].last_error.store(Some(std::sync::Arc::new("no broker answered".to_owned())));
    assert_eq!(request(server.address, "GET", "/-/ready", "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_dribbles_its_head_is_let_go() {
    let settings = HttpSettings { header_timeout: Duration::from_millis(200), ..HttpSettings::default() };
    let server = Server::start(state_with(vec![Cluster::polled(None, 1, 1)], settings));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut dribbling = TcpStream::connect(server.address).await.unwrap();
    dribbling.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    send(&mut second, "GET", "/-/healthy", "").await;
    assert_eq!(Received::read(&mut second, true).await.status, 200);
    second.write_all(b"GET /met").await.unwrap();
    for (name, stream) in [("silent", &mut silent), ("dribbling", &mut dribbling), ("second head", &mut second)] {
        let mut rest = Vec::new();
        let ended = timeout(BOUND, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && !rest.starts_with(b"HTTP/1.1 200"), "{name} is still connected");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_quiet_scraper_keeps_its_connection() {
    let settings = HttpSettings { header_timeout: Duration::from_millis(100), ..HttpSettings::default() };
    let server = Server::start(state_with(vec![Cluster::polled(None, 1, 1)], settings));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        send(&mut stream, "GET", "/metrics", "").await;
        assert_eq!(Received::read(&mut stream, true).await.status, 200);
        sleep(Duration::from_millis(300)).await;
    }
    server.stop().await;
}

async fn a_scrape_is_served(server: &Server) {
    let served = async {
        while request(server.address, "GET", "/metrics", "").await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, served).await.unwrap();
}

#[tokio::test]
async fn beyond_the_bound_health_still_answers_and_the_rest_waits() {
    let settings = HttpSettings { max_connections: 1, ..HttpSettings::default() };
    let server = Server::start(state_with(vec![Cluster::polled(None, 1, 1)], settings));
    let holder = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(request(server.address, "GET", "/-/healthy", "").await.status, 200);
    let refused = request(server.address, "GET", "/metrics", "").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    // A reserved connection is for one question only.
    let mut reserved = TcpStream::connect(server.address).await.unwrap();
    send(&mut reserved, "GET", "/-/healthy", "").await;
    assert_eq!(Received::read(&mut reserved, true).await.header("connection"), Some("close"));
    // Silent clients take every reserved place, and lose it again.
    let silent: Vec<_> = futures_util::future::join_all((0..8).map(|_| TcpStream::connect(server.address))).await;
    let waiting = timeout(BOUND, request(server.address, "GET", "/-/healthy", "")).await;
    assert_eq!(waiting.unwrap().status, 200);
    drop((silent, holder));
    a_scrape_is_served(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn idle_clients_do_not_lock_a_scraper_out() {
    let settings = HttpSettings { max_connections: 2, ..HttpSettings::default() };
    let server = Server::start(state_with(vec![Cluster::polled(None, 1, 1)], settings));
    let mut idle = Vec::new();
    for kept in [None, Some("close")] {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        send(&mut client, "GET", "/-/healthy", "").await;
        assert_eq!(Received::read(&mut client, true).await.header("connection"), kept, "the last place is not kept");
        idle.push(client);
    }
    a_scrape_is_served(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn clients_that_do_not_read_are_let_go_and_hinder_nobody() {
    let settings = HttpSettings { request_timeout: Duration::from_millis(500), ..HttpSettings::default() };
    let server = Server::start(state_with(vec![Cluster::polled(None, 2000, 50)], settings));
    let mut stuck = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        send(&mut stream, "GET", "/metrics", "").await;
        stuck.push(stream);
    }
    assert_eq!(timeout(BOUND, request(server.address, "GET", "/-/healthy", "")).await.unwrap().status, 200);
    wait_until_alone(&server).await;
    for mut stream in stuck {
        assert!(!Received::read(&mut stream, true).await.is_complete, "the body must not look whole");
    }
    server.stop().await;
}

/// Waits until the one connection that asks is the only one.
async fn wait_until_alone(server: &Server) {
    let alone = async {
        loop {
            let own = request(server.address, "GET", "/metrics?collect[]=exporter", "").await;
            if own.text().contains("\nkafkascope_http_connections 1\n") {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BOUND, alone).await.unwrap();
}

#[tokio::test]
async fn a_client_for_which_all_is_buffered_and_who_takes_none_of_it_is_let_go() {
    // Long enough for the buffers to fill first: from then on nothing is rendered that could notice the time.
    let settings = HttpSettings { request_timeout: Duration::from_secs(3), ..HttpSettings::default() };
    let server = Server::start(state_with(vec![Cluster::polled(None, 2000, 50)], settings));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    send(&mut stream, "GET", "/metrics", "").await;
    wait_until_alone(&server).await;
    assert!(!Received::read(&mut stream, true).await.is_complete, "the body must not look whole");
    server.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_nobody_for_long() {
    let server = Server::start(state(vec![Cluster::polled(None, 2000, 50)]));
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    send(&mut idle, "GET", "/-/healthy", "").await;
    assert_eq!(Received::read(&mut idle, true).await.status, 200);
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    send(&mut stuck, "GET", "/metrics", "").await;
    stuck.readable().await.unwrap();
    let address = server.address;
    timeout(BOUND, server.stop()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0, "idle connections are closed");
}

#[tokio::test]
async fn answered_scrapes_are_taken_note_of_and_the_first_wakes() {
    let server = two_clusters();
    let mut wakes = server.state.feed.wakes();
    for (method, target) in [("HEAD", "/metrics"), ("GET", "/"), ("GET", "/metrics?cluster=x"), ("POST", "/metrics")] {
        request(server.address, method, target, "").await;
        assert_eq!(server.state.feed.rhythm().last, None, "{method} {target} is no answered scrape");
    }
    request(server.address, "GET", "/metrics?cluster=a", "").await;
    assert!(server.state.feed.rhythm().last.is_some());
    timeout(BOUND, wakes.next()).await.unwrap();
    request(server.address, "GET", "/metrics", "").await;
    assert!(futures_util::FutureExt::now_or_never(wakes.next()).is_none(), "no pause was before the second");
    server.stop().await;
}

#[tokio::test]
async fn once_ready_it_stays_ready_when_a_cluster_is_added() {
    let server = Server::start(state(vec![Cluster::failed(None, "away")]));
    server.state.show_clusters(vec![std::sync::Arc::new(Cluster::pending(Some("new")))]);
    assert_eq!(request(server.address, "GET", "/-/ready", "").await.status, 200);
    let shown = request(server.address, "GET", "/metrics?cluster=new", "").await;
    assert!(shown.text().contains("kafka_up{cluster_name=\"new\"} 0\n"), "{}", shown.text());
    server.stop().await;
}

#[tokio::test]
async fn a_reload_takes_post_and_permission() {
    let server = Server::start(state(Vec::new()));
    let get = request(server.address, "GET", "/-/reload", "").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    let refused = request(server.address, "POST", "/-/reload", "Content-Length: 0\r\n").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("web.admin: true") && refused.text().contains("SIGHUP"), "{}", refused.text());
    server.stop().await;
}

#[tokio::test]
async fn a_reload_is_answered_with_its_outcome() {
    let settings = HttpSettings { admin: true, ..HttpSettings::default() };
    let (state, mut reloads) = state_and_reloads(Vec::new(), settings);
    let server = Server::start(state);
    let mut ask = async |outcome: Option<Result<String, String>>| {
        let address = server.address;
        let asked = tokio::spawn(async move { request(address, "POST", "/-/reload", "Content-Length: 0\r\n").await });
        let done = timeout(BOUND, reloads.recv()).await.unwrap().unwrap();
        match outcome {
            Some(outcome) => done.send(outcome).unwrap(),
            None => drop(done),
        }
        let answer = asked.await.unwrap();
        (answer.status, answer.text().to_owned())
    };
    assert_eq!(ask(Some(Ok("all is new".to_owned()))).await, (200, "all is new\n".to_owned()));
    assert_eq!(ask(Some(Err("line 3".to_owned()))).await, (500, "line 3\n".to_owned()));
    assert_eq!(ask(None).await.0, 503);
    server.stop().await;
}

#[tokio::test]
async fn tasks_are_listed_as_json() {
    let server = two_clusters();
    server.state.tasks.register("poller", Some(&server.state.clusters()[0])).panicked();
    let answer = request(server.address, "GET", "/api/v1/tasks", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let listed: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let task = &listed["tasks"][0];
    assert_eq!((task["task"].as_str(), task["cluster"].as_str()), (Some("poller"), Some("a")));
    assert_eq!((task["state"].as_str(), task["panics"].as_u64()), (Some("restarting"), Some(1)));
    server.stop().await;
}
