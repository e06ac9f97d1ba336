//! The status page: what an operator wants to see at a glance, self-contained and without scripts.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};

use super::HttpState;
use super::body::Body;
use super::response::response;
use super::routes::{Answer, Head, ROUTES};
use super::unwell::{diagnoses, write_unwell};
use crate::derive::Snapshot;
use crate::metrics::limit;
use crate::metrics::{ClusterSource, TaskState};
use crate::report::scope_in_words;
use crate::schedule::Schedule;
use crate::state::Scope;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Nothing is loaded from anywhere, and no script runs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// How many silent brokers are named for a cluster.
const MAX_SILENT_BROKERS: usize = 10;

const STYLE: &str = include_str!("page.css");

/// Answers with the page.
pub(super) fn status(state: &Arc<HttpState>, _: &Head) -> Answer {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut answer = response(StatusCode::OK, HTML, Body::full(page(state, now)));
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    answer
}

/// The page at a time since the Unix epoch.
fn page(state: &HttpState, now: Duration) -> String {
    let mut out = String::with_capacity(8 * 1024);
    // Writing into a string cannot fail.
    let _ = write_page(&mut out, state, now);
    out
}

fn write_page(out: &mut String, state: &HttpState, now: Duration) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    let uptime = Span(state.started.elapsed());
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"refresh\" content=\"15\">\n\
         <title>kafkascope</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>kafkascope</h1>\n\
         <p>Prometheus exporter for Apache Kafka · version {version} · up for {uptime}</p>\n</header>\n<main>\n",
    )?;
    let clusters = state.clusters();
    for cluster in clusters.iter() {
        write_cluster(out, cluster, now)?;
    }
    if clusters.is_empty() {
        out.push_str("<section><h2>No cluster is configured</h2></section>\n");
    }
    write_tasks(out, state, now)?;
    write_links(out, state)?;
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

/// What is to be said of a cluster in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Up,
    Down,
}

impl State {
    fn of(cluster: &ClusterSource, snapshot: Option<&Snapshot>) -> Self {
        match snapshot {
            Some(snapshot) if snapshot.world.up => Self::Up,
            None if !cluster.was_polled() => Self::Pending,
            _ => Self::Down,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Pending => "first pass pending",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

fn write_cluster(out: &mut String, cluster: &ClusterSource, now: Duration) -> fmt::Result {
    let snapshot = cluster.snapshot.load_full();
    let state = State::of(cluster, snapshot.as_deref());
    let name = cluster.name.as_deref().unwrap_or("Cluster");
    write!(
        out,
        "<section class=\"{class}\">\n<h2>{name} <span class=\"badge\">{words}</span></h2>\n<p class=\"servers\">{servers}</p>\n",
        class = state.class(),
        name = Escaped(name),
        words = state.words(),
        servers = Escaped(&cluster.bootstrap_servers.join(", ")),
    )?;
    if let Some(error) = cluster.last_error.load_full() {
        writeln!(out, "<p class=\"error\"><strong>Last error</strong> {}</p>", Escaped(&error))?;
    }
    if let Some(snapshot) = &snapshot {
        let told_at = cluster.told_at(Some(snapshot));
        let unwell = diagnoses(snapshot, told_at);
        write_scope(out, &snapshot.world.scope)?;
        write_numbers(out, snapshot, unwell.len(), &cluster.schedule.load(), now)?;
        write_silent_brokers(out, snapshot)?;
        write_withheld(out, snapshot)?;
        write_unwell(out, snapshot, &unwell, told_at)?;
        write_collectors(out, cluster, snapshot, now)?;
    }
    out.push_str("</section>\n");
    Ok(())
}

/// Says whose part of the cluster is shown, where that is not all.
fn write_scope(out: &mut String, scope: &Scope) -> fmt::Result {
    match scope {
        Scope::Cluster => Ok(()),
        Scope::Beside(_) => writeln!(out, "<p class=\"servers\">{}</p>", scope_in_words(scope)),
        Scope::Unplaced(_) => {
            writeln!(out, "<p class=\"error\"><strong>Not exported</strong> {}</p>", Escaped(&scope_in_words(scope)))
        }
    }
}

fn write_numbers(
    out: &mut String,
    snapshot: &Snapshot,
    unwell: usize,
    schedule: &Schedule,
    now: Duration,
) -> fmt::Result {
    let world = &snapshot.world;
    let brokers = world.watched_brokers().count();
    let answering = world.watched_brokers().filter(|broker| broker.answers).count();
    let (topics, partitions) =
        world.shown_topics().fold((0, 0), |(topics, sum), (_, _, shown)| (topics + 1, sum + shown));
    let age = age(snapshot.derived_at.wall.0, now);
    out.push_str("<dl>\n");
    writeln!(out, "<div><dt>brokers answering</dt><dd>{answering} <small>of {brokers}</small></dd></div>")?;
    writeln!(out, "<div><dt>topics</dt><dd>{topics} <small>{partitions} partitions</small></dd></div>")?;
    let note = if unwell > 0 { format!(" <small>{unwell} not well</small>") } else { String::new() };
    writeln!(out, "<div><dt>groups</dt><dd>{}{note}</dd></div>", snapshot.groups.len())?;
    writeln!(out, "<div><dt>snapshot age</dt><dd>{}</dd></div>", Span(age))?;
    if !schedule.period.is_zero() {
        writeln!(
            out,
            "<div><dt>asked every</dt><dd>{}{}</dd></div>",
            Span(schedule.period),
            stretched(schedule.stretch)
        )?;
    }
    out.push_str("</dl>\n");
    if let Some(id) = &world.cluster_id {
        writeln!(out, "<p class=\"servers\">cluster id {}</p>", Escaped(id))?;
    }
    Ok(())
}

/// That everything is asked for less often than wanted, if it is.
fn stretched(ratio: f64) -> String {
    if ratio < 1.05 {
        String::new()
    } else {
        format!(" <small>stretched {ratio:.1}× to stay within the budget</small>")
    }
}

/// Names the brokers that did not answer, a few of them: who looks at the page wants to know where to go next.
fn write_silent_brokers(out: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let silent = || snapshot.world.watched_brokers().filter(|broker| !broker.answers);
    let count = silent().count();
    if count == 0 {
        return Ok(());
    }
    out.push_str("<p class=\"error\"><strong>Not answering</strong>");
    for broker in silent().take(MAX_SILENT_BROKERS) {
        match &broker.endpoint {
            Some(endpoint) => write!(out, " broker {} at {};", broker.id, Escaped(&endpoint.address()))?,
            None => write!(out, " broker {}, missing from the metadata;", broker.id)?,
        }
    }
    out.pop();
    if count > MAX_SILENT_BROKERS {
        write!(out, " and {} more", count - MAX_SILENT_BROKERS)?;
    }
    out.push_str("</p>\n");
    Ok(())
}

/// Names the families that are left out because there would be too many series.
fn write_withheld(out: &mut String, snapshot: &Snapshot) -> fmt::Result {
    let Some((names, series)) = limit::left_out_in_words(&snapshot.detail) else { return Ok(()) };
    writeln!(out, "<p class=\"error\"><strong>Withheld for max_series</strong> {names}: {series} series</p>")
}

fn write_collectors(out: &mut String, cluster: &ClusterSource, snapshot: &Snapshot, now: Duration) -> fmt::Result {
    out.push_str("<table>\n<thead><tr><th>collector</th><th>last pass</th><th>took</th><th>last success</th></tr></thead>\n<tbody>\n");
    for name in &cluster.collectors {
        let status = snapshot.world.collectors.get(*name).copied().unwrap_or_default();
        let (class, word) = if status.success { ("up", "complete") } else { ("down", "incomplete") };
        write!(out, "<tr class=\"{class}\"><td>{}</td><td class=\"word\">{word}</td>", name.as_str())?;
        write!(out, "<td>{} ms</td>", status.duration.as_millis())?;
        match status.last_success {
            Some(at) => writeln!(out, "<td>{} ago</td></tr>", Span(age(at.0, now)))?,
            None => out.push_str("<td>never</td></tr>\n"),
        }
    }
    out.push_str("</tbody>\n</table>\n");
    Ok(())
}

fn write_tasks(out: &mut String, state: &HttpState, now: Duration) -> fmt::Result {
    let tasks = state.tasks.list();
    if tasks.is_empty() {
        return Ok(());
    }
    out.push_str("<details>\n<summary>Long-lived tasks</summary>\n<table>\n");
    out.push_str(
        "<thead><tr><th>task</th><th>cluster</th><th>state</th><th>since</th><th>panics</th></tr></thead>\n<tbody>\n",
    );
    for task in &tasks {
        let class = if task.state == TaskState::Running && !task.is_stuck { "up" } else { "down" };
        let word = if task.is_stuck { "stuck" } else { task.state.as_str() };
        writeln!(
            out,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td class=\"word\">{word}</td><td>{}</td><td>{}</td></tr>",
            task.name,
            Escaped(task.cluster.as_deref().unwrap_or("–")),
            Span(age(task.since.0, now)),
            task.panics,
        )?;
    }
    out.push_str("</tbody>\n</table>\n</details>\n");
    Ok(())
}

fn write_links(out: &mut String, state: &HttpState) -> fmt::Result {
    out.push_str("<nav>\n");
    for route in ROUTES.iter().filter(|route| route.is_a_page()) {
        let path = Escaped(route.path(state));
        writeln!(out, "<a href=\"{path}\"><code>{path}</code> {}</a>", Escaped(route.title))?;
    }
    out.push_str("</nav>\n");
    Ok(())
}

/// How long ago a time in milliseconds since the Unix epoch was; nothing when the clock was set back.
fn age(wall_ms: i64, now: Duration) -> Duration {
    now.saturating_sub(Duration::from_millis(u64::try_from(wall_ms).unwrap_or(0)))
}

/// A duration in its two largest units.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match () {
            () if days > 0 => write!(f, "{days} d {} h", hours % 24),
            () if hours > 0 => write!(f, "{hours} h {} min", minutes % 60),
            () if minutes > 0 => write!(f, "{minutes} min {} s", seconds % 60),
            () => write!(f, "{seconds} s"),
        }
    }
}

/// Text that came from outside, made harmless in HTML's text and in quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let plain = part.trim_end_matches(['&', '<', '>', '"', '\'']);
            f.write_str(plain)?;
            f.write_str(match &part[plain.len()..] {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                "\"" => "&quot;",
                "'" => "&#39;",
                _ => "",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{self, Cluster};

    #[test]
    fn everything_from_outside_is_escaped() {
        assert_eq!(Escaped("a<b>&\"c'&&d").to_string(), "a&lt;b&gt;&amp;&quot;c&#39;&amp;&amp;d");
        let hostile = "<script>alert(1)</script>";
        let state = testing::state(vec![Cluster::failed(Some(hostile), hostile)]);
        let page = page(&state, Duration::from_secs(1));
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count(), 2, "name and error: {page}");
    }

    #[test]
    fn clusters_are_up_down_or_pending() {
        let state = testing::state(vec![
            Cluster::pending(Some("new")),
            Cluster::failed(Some("lost"), "no broker answered"),
            Cluster::polled(Some("well"), 3, 2),
        ]);
        let page = page(&state, Duration::from_secs(testing::POLLED_AT_SECONDS + 75));
        let after = |text: &str| page.split(text).nth(1).map(str::to_owned).unwrap_or_default();
        assert!(after("<h2>new").starts_with(" <span class=\"badge\">first pass pending</span>"));
        assert!(after("<h2>lost").starts_with(" <span class=\"badge\">down</span>"));
        assert!(after("<h2>lost").contains("no broker answered"));
        assert!(after("<h2>well").starts_with(" <span class=\"badge\">up</span>"));
        assert!(after("<dt>topics</dt>").starts_with("<dd>3 <small>6 partitions</small>"));
        assert!(after("<dt>snapshot age</dt>").starts_with("<dd>1 min 15 s</dd>"));
        assert!(after("<h2>well").contains("<strong>Not answering</strong> broker 1 at broker-1:9092</p>"));
        assert!(page.contains("href=\"/metrics\"") && page.contains("href=\"/-/ready\""));
    }

    #[test]
    fn tasks_are_shown_with_their_state() {
        let state = testing::state(vec![Cluster::polled(Some("<a>"), 1, 1)]);
        let poller = state.tasks.register("poller", Some(&state.clusters()[0]));
        let _reload = state.tasks.register("reload", None);
        poller.panicked();
        let page = page(&state, Duration::ZERO);
        let poller = "<tr class=\"down\"><td>poller</td><td>&lt;a&gt;</td><td class=\"word\">restarting</td>";
        assert!(page.contains(poller) && page.contains("<td>0 s</td><td>1</td></tr>"), "{page}");
        assert!(page.contains("<tr class=\"up\"><td>reload</td><td>–</td><td class=\"word\">running</td>"), "{page}");
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        let span = |seconds| Span(Duration::from_secs(seconds)).to_string();
        assert_eq!([span(0), span(59), span(61)], ["0 s", "59 s", "1 min 1 s"]);
        assert_eq!([span(3661), span(90_000)], ["1 h 1 min", "1 d 1 h"]);
    }
}
