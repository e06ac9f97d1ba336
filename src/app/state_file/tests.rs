//! Files that are there, damaged, foreign, out of reach, and writers that are killed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::*;
use crate::metrics::exposition::{Exposition, Format, View};
use crate::model::{Offset, PartitionId};
use crate::track::Point;

/// Remembers what it is told.
#[derive(Default)]
struct Memory(Mutex<Vec<TopicHistory>>);

impl Remembers for Memory {
    fn export(&self) -> Vec<TopicHistory> {
        self.0.lock().unwrap().clone()
    }

    fn import(&self, topics: Vec<TopicHistory>) {
        self.0.lock().unwrap().extend(topics);
    }
}

fn topic(name: &str, partitions: i32, until: i64) -> TopicHistory {
    let point = Point { offset: Offset::new(7).unwrap(), since: WallTime(1), until: WallTime(until) };
    let partitions = (0..partitions).map(|partition| (PartitionId(partition), vec![point])).collect();
    TopicHistory { topic: name.into(), id: None, partitions }
}

fn memory(topics: Vec<TopicHistory>) -> Arc<Memory> {
    Arc::new(Memory(Mutex::new(topics)))
}

fn of(memory: &Arc<Memory>) -> Memories {
    vec![(None, memory.clone())]
}

fn file(path: &Path) -> StateFile {
    StateFile::new(path.to_owned(), Arc::new(OwnMetrics::new("0", None).unwrap()), SystemClock::start())
}

/// What a new process finds.
fn restored(path: &Path) -> Vec<TopicHistory> {
    let empty = memory(Vec::new());
    file(path).restore(&of(&empty));
    empty.export()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// Whether it complains just now.
fn complaint(file: &StateFile) -> Option<String> {
    file.progress.lock().unwrap().complaint.as_ref().map(|complaint| complaint.text.clone())
}

#[test]
fn what_is_remembered_survives_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let topics = vec![topic("a", 2, 5), topic("b", 1, 9)];
    file(&path).save(&of(&memory(topics.clone())));
    assert_eq!(names(directory.path()), ["state"], "nothing is left beside it");
    assert_eq!(restored(&path), topics);
    fs::write(&path, "").unwrap();
    assert_eq!(restored(&path), [], "an empty file is a file to write to");
}

#[test]
fn clusters_get_their_own_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let named = |name: &str, memory: &Arc<Memory>| (Some(Arc::from(name)), memory.clone() as Arc<dyn Remembers>);
    let (a, b) = (memory(vec![topic("a", 1, 5)]), memory(vec![topic("b", 1, 5)]));
    file(&path).save(&vec![named("a", &a), named("b", &b)]);
    let (a, c) = (memory(Vec::new()), memory(Vec::new()));
    file(&path).restore(&vec![named("c", &c), named("a", &a)]);
    assert_eq!(a.export(), [topic("a", 1, 5)]);
    assert_eq!(c.export(), []);
}

#[test]
fn what_cannot_be_used_is_set_aside_and_does_not_stop_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let topics = vec![topic("a", 3, 5)];
    file(&path).save(&of(&memory(topics.clone())));
    let whole = fs::read(&path).unwrap();
    let damaged = &whole[..whole.len() - 1];
    fs::write(&path, damaged).unwrap();
    assert_eq!(restored(&path), []);
    assert_eq!(names(directory.path()), ["state.damaged"]);
    assert_eq!(fs::read(directory.path().join("state.damaged")).unwrap(), damaged);
    file(&path).save(&of(&memory(topics.clone())));
    assert_eq!(restored(&path), topics);
}

#[test]
fn what_is_not_a_state_file_is_never_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("passwd");
    fs::write(&path, "root:x:0:0").unwrap();
    let (kept, of_somebody) = (memory(vec![topic("a", 1, 5)]), file(&path));
    of_somebody.restore(&of(&kept));
    of_somebody.save(&of(&kept));
    assert_eq!(fs::read(&path).unwrap(), b"root:x:0:0");
    assert!(complaint(&of_somebody).unwrap().contains("is no state file of kafkascope: it is left as it is"));
    // As soon as it is out of the way the state is kept, without a restart.
    fs::remove_file(&path).unwrap();
    of_somebody.save(&of(&kept));
    assert_eq!(complaint(&of_somebody), None);
    assert_eq!(restored(&path), [topic("a", 1, 5)]);
}

#[test]
fn a_directory_that_goes_and_comes_back_costs_no_more_than_the_time_between() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("place");
    let path = place.join("state");
    let (kept, state) = (memory(vec![topic("a", 1, 5)]), file(&path));
    state.restore(&of(&kept));
    state.save(&of(&kept));
    assert!(complaint(&state).unwrap().contains("cannot write the state file"), "{:?}", complaint(&state));
    let said_at = |state: &StateFile| state.progress.lock().unwrap().complaint.as_ref().map(|last| last.said_at);
    let first = said_at(&state);
    std::thread::sleep(Duration::from_millis(5));
    state.save(&of(&kept));
    assert_eq!(said_at(&state), first, "the same is not said again at once");
    fs::create_dir(&place).unwrap();
    state.save(&of(&kept));
    assert_eq!((complaint(&state), restored(&path)), (None, vec![topic("a", 1, 5)]));
}

#[test]
fn a_file_that_cannot_be_replaced_stands() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let (kept, state) = (memory(vec![topic("a", 1, 5)]), file(&path));
    state.save(&of(&kept));
    // A directory in the place of the temporary file cannot be removed as a file is.
    fs::create_dir(directory.path().join("state.tmp")).unwrap();
    kept.import(vec![topic("b", 1, 6)]);
    state.save(&of(&kept));
    assert!(complaint(&state).is_some());
    assert_eq!(restored(&path), [topic("a", 1, 5)]);
}

#[test]
fn histories_from_the_future_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let now = SystemClock::start().now().wall.0;
    file(&path).save(&of(&memory(vec![topic("later", 2, now + 3_600_000), topic("now", 1, now + 1_000)])));
    let found = restored(&path);
    let partitions: Vec<_> = found.iter().map(|topic| (&*topic.topic, topic.partitions.len())).collect();
    assert_eq!(partitions, [("later", 0), ("now", 1)]);
}

#[test]
fn the_metrics_are_absent_until_there_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let state = file(&path);
    let kept = memory(vec![topic("a", 1, 5)]);
    let shown = |state: &StateFile| {
        let view = View { own: state.own.gather(), ..View::default() };
        let text = String::from_utf8(Exposition::new(view, Format::Text).into_bytes()).unwrap();
        text.lines().filter(|line| line.starts_with("kafkascope_state_file")).count()
    };
    state.restore(&of(&kept));
    assert_eq!(shown(&state), 0);
    state.save(&of(&kept));
    assert_eq!(shown(&state), 2);
    let again = file(&path);
    again.restore(&of(&kept));
    assert_eq!(shown(&again), 2, "what was read is there");
}

/// Names the file to the copy of this test that writes it for ever.
const WRITER: &str = "KAFKASCOPE_TEST_STATE_WRITER";

/// The writer is a process of its own, and is killed, as by SIGKILL, wherever it is.
#[test]
fn a_writer_that_is_killed_leaves_a_whole_file() {
    let sizes = [1_000, 60_000];
    if let Some(path) = std::env::var_os(WRITER) {
        let state = file(Path::new(&path));
        // What the last one has left is not to be mixed in.
        state.restore(&of(&memory(Vec::new())));
        let memories = sizes.map(|partitions| memory(vec![topic("a", partitions, 5)]));
        loop {
            memories.iter().for_each(|memory| state.save(&of(memory)));
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let name = "app::state_file::tests::a_writer_that_is_killed_leaves_a_whole_file";
    let mut found_half_written = false;
    // As many as it takes to meet one in the middle, however the machine is busy.
    for round in 0..400 {
        if found_half_written && round >= 20 {
            break;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name]).env(WRITER, &path).stdout(Stdio::null()).stderr(Stdio::null());
        let mut writer = command.spawn().unwrap();
        let before = fs::metadata(&path).and_then(|found| found.modified()).ok();
        let is_writing = || {
            let now = fs::metadata(&path).and_then(|found| found.modified()).ok();
            now.is_some() && now != before
        };
        for _ in 0..6_000 {
            if is_writing() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(is_writing(), "the writer does not write");
        std::thread::sleep(Duration::from_micros(1_700 * (round % 20)));
        writer.kill().unwrap();
        writer.wait().unwrap();
        found_half_written |= directory.path().join("state.tmp").exists();
        let found = restored(&path);
        assert!(sizes.iter().any(|size| found == [topic("a", *size, 5)]), "round {round}: {}", found.len());
    }
    assert!(found_half_written, "no writer was killed while it wrote: the test proves nothing");
}
