//! What Alertmanager pages: a receiver of its webhooks, which keeps what has come.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;

use crate::wait::eventually;

/// How long a notification may take to come in.
const READ: Duration = Duration::from_secs(5);

/// The longest head and body that are read; what is longer is a fault of the test.
const HEAD_BYTES: u64 = 16 * 1024;
const BODY_BYTES: usize = 1024 * 1024;

/// The most pages that are kept; more are a fault of the rules, and told.
const PAGES: usize = 2_000;

/// One alert in one notification: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Page {
    /// The path that it was sent to: the name of the receiver in Alertmanager's configuration.
    #[serde(skip)]
    pub(crate) receiver: String,
    /// "firing" or "resolved".
    pub(crate) status: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// When it began, in RFC 3339: one more incident has another.
    #[serde(rename = "startsAt")]
    pub(crate) starts_at: String,
}

impl Page {
    /// A label; "" stands for none, as with Prometheus.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.label("alertname")
    }
}

#[derive(Deserialize)]
struct Notification {
    alerts: Vec<Page>,
}

/// What has come in, and whether it goes on.
#[derive(Default)]
struct Inbox {
    pages: Mutex<Vec<Page>>,
    faults: Mutex<Vec<String>>,
    ended: AtomicBool,
}

/// A listening receiver; dropping it ends it.
pub(crate) struct Webhook {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl Webhook {
    /// Listens on a free port of loopback.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("its address");
        let inbox = Arc::new(Inbox::default());
        let own = Arc::clone(&inbox);
        let thread = std::thread::spawn(move || {
            // One at a time: notifications are few and small.
            for stream in listener.incoming() {
                if own.ended.load(Ordering::SeqCst) {
                    break;
                }
                // A fault is noted before the connection is closed: who sees that sees the fault too.
                let outcome = match &stream {
                    Ok(stream) => receive(stream, &own),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(fault) = outcome {
                    own.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
                }
            }
        });
        Self { address, inbox, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All pages so far, in the order in which they came; panics where something came that is none.
    #[track_caller]
    pub(crate) fn pages(&self) -> Vec<Page> {
        let faults = self.inbox.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(faults.is_empty(), "the webhook could not read what came: {faults:#?}");
        self.inbox.pages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many there are so far: a mark for [`Webhook::wait`].
    pub(crate) fn count(&self) -> usize {
        self.pages().len()
    }

    /// Waits for a page with this name and status after the first `mark` ones.
    #[track_caller]
    pub(crate) fn wait(&self, name: &str, status: &str, mark: usize, bound: Duration) -> Page {
        eventually(&format!("{name} is {status} at the webhook"), bound, || {
            let pages = self.pages();
            let found = pages.iter().skip(mark).find(|page| page.name() == name && page.status == status);
            found.cloned().ok_or_else(|| format!("{:#?}", told(&pages)))
        })
    }
}

/// Names and statuses, for messages.
pub(crate) fn told(pages: &[Page]) -> Vec<String> {
    pages.iter().map(|page| format!("{} {}: {}", page.name(), page.status, summary(page))).collect()
}

fn summary(page: &Page) -> &str {
    page.annotations.get("summary").map_or("(no summary)", String::as_str)
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.inbox.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it has ended.
        let _wakes = TcpStream::connect_timeout(&self.address, READ);
        if let Some(thread) = self.thread.take() {
            let _over = thread.join();
        }
    }
}

/// Reads one notification, keeps it, and answers.
fn receive(mut stream: &TcpStream, inbox: &Inbox) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    stream.set_read_timeout(Some(READ)).map_err(said)?;
    stream.set_write_timeout(Some(READ)).map_err(said)?;
    let mut reader = BufReader::new(stream);
    let (path, length) = head(&mut reader)?;
    if length > BODY_BYTES {
        return Err(format!("a notification of {length} bytes"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).map_err(said)?;
    let notification: Notification =
        serde_json::from_slice(&body).map_err(|error| format!("{error} in {}", String::from_utf8_lossy(&body)))?;
    let mut pages = inbox.pages.lock().unwrap_or_else(PoisonError::into_inner);
    if pages.len() + notification.alerts.len() > PAGES {
        return Err(format!("more than {PAGES} pages"));
    }
    pages.extend(notification.alerts.into_iter().map(|page| Page { receiver: path.clone(), ..page }));
    drop(pages);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").map_err(said)
}

/// The path without its slash, and the length of the body.
fn head(reader: &mut impl BufRead) -> Result<(String, usize), String> {
    let mut lines = reader.take(HEAD_BYTES);
    let mut line = String::new();
    lines.read_line(&mut line).map_err(|error| error.to_string())?;
    let path =
        line.split(' ').nth(1).ok_or_else(|| format!("no request: {line:?}"))?.trim_start_matches('/').to_owned();
    let mut length = None;
    loop {
        line.clear();
        let read = lines.read_line(&mut line).map_err(|error| error.to_string())?;
        match line.split_once(':') {
            _ if read == 0 => return Err("a head without an end".to_owned()),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok(),
            Some(_) => {}
            None => break,
        }
    }
    Ok((path, length.ok_or("a notification without a length")?))
}

#[cfg(test)]
mod tests {
    use super::{PAGES, Webhook};
    use crate::http;

    const BODY: &str = r#"{"version":"4","status":"firing","alerts":[
        {"status":"firing","labels":{"alertname":"A","team":"t"},"annotations":{"summary":"s"},"startsAt":"2026-01-01T00:00:00Z"},
        {"status":"resolved","labels":{"alertname":"B"},"annotations":{},"startsAt":"2026-01-01T00:00:00Z"}]}"#;

    #[test]
    fn keeps_what_comes_in() {
        let webhook = Webhook::start();
        assert_eq!(webhook.count(), 0);
        let answer = http::request("POST", webhook.address(), "/pager", &[], BODY.as_bytes()).unwrap();
        assert_eq!(answer.status, 200);
        let pages = webhook.pages();
        let told: Vec<_> = pages.iter().map(|page| (page.name(), page.status.as_str())).collect();
        assert_eq!(told, [("A", "firing"), ("B", "resolved")]);
        assert_eq!((pages[0].receiver.as_str(), pages[0].label("team"), pages[1].label("team")), ("pager", "t", ""));
        assert!(pages.len() < PAGES);
    }

    #[test]
    #[should_panic(expected = "the webhook could not read what came")]
    fn what_is_no_notification_is_told() {
        let webhook = Webhook::start();
        let _dropped = http::request("POST", webhook.address(), "/", &[], b"{}");
        webhook.count();
    }
}
