//! Where the things are that `tests/run` installs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The value of a `KAFKASCOPE_TEST_…` variable; a test that lacks one fails, it is never left out.
#[track_caller]
pub(crate) fn installed(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) if Path::new(&path).exists() => PathBuf::from(path),
        Some(path) => panic!("{variable} is {}, which does not exist: run the tests with tests/run", path.display()),
        None => panic!("{variable} is not set: run the tests with tests/run, which installs what they need"),
    }
}

/// A new directory of this process below cargo's own scratch directory.
///
/// What earlier runs left there (a killed one cannot clean up) is removed first.
pub(crate) fn scratch(name: &str) -> tempfile::TempDir {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    if COUNT.fetch_add(1, Ordering::Relaxed) == 0 {
        sweep(root);
    }
    tempfile::Builder::new()
        .prefix(&format!("it-{}-{name}-", std::process::id()))
        .tempdir_in(root)
        .expect("a scratch directory under target/tmp")
}

/// Removes the directories of processes that are no more.
fn sweep(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("it-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Two runs may sweep at once: whoever comes second finds nothing.
            let _gone = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback")).collect();
    held.iter().map(|socket| socket.local_addr().expect("its address").port()).collect()
}
