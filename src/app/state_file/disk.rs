//! The state file on disk: read with care, written so that there is always a whole one, never somebody else's overwritten.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::track::persist::{self, DecodeError, SavedState};

/// The largest state file that is read or written: ten million points take about 60 MB.
pub(super) const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There was no file, or an empty one.
    Nothing,
    /// A state, and the size of its file.
    State(SavedState, usize),
    /// A state file that cannot be used; it has another name now.
    SetAside(SetAside),
}

/// A state file that was renamed because it cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SetAside {
    pub(super) why: DecodeError,
    pub(super) kept_as: PathBuf,
}

/// Why a state file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateFileError {
    #[error("cannot read the state file {}: {cause}; it is left as it is, and nothing is kept until it can be read", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{} is no state file of kafkascope: it is left as it is, and nothing is kept; remove it, or name another state_file", path.display())]
    Foreign { path: PathBuf },
    #[error("the state file {} cannot be used, for {why}, nor set aside as {}: {cause}; nothing is kept until one of them is out of the way", path.display(), kept_as.display())]
    SetAside { path: PathBuf, kept_as: PathBuf, why: DecodeError, cause: io::Error },
    #[error("the state to keep has {bytes} bytes, more than the {MAX_BYTES} of a state file: it is not written to {}; export fewer topics", path.display())]
    TooLarge { path: PathBuf, bytes: usize },
    #[error("cannot write the state file {} ({step}): {cause}; the one before stands", path.display())]
    Write { path: PathBuf, step: &'static str, cause: io::Error },
}

/// Reads the file. One that cannot be used is renamed, so that it is not overwritten; on an error it stays as it is.
pub(super) fn read(path: &Path) -> Result<Found, StateFileError> {
    let failed = |cause| StateFileError::Read { path: path.to_owned(), cause };
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_BYTES || !found.is_file() => {
            return Err(StateFileError::Foreign { path: path.to_owned() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.is_empty() {
        return Ok(Found::Nothing);
    }
    match persist::decode(&bytes) {
        Ok(state) => Ok(Found::State(state, bytes.len())),
        Err(DecodeError::Foreign) => Err(StateFileError::Foreign { path: path.to_owned() }),
        Err(why) => set_aside(path, why).map(Found::SetAside),
    }
}

fn set_aside(path: &Path, why: DecodeError) -> Result<SetAside, StateFileError> {
    let kept_as = match why {
        DecodeError::OtherVersion { version } => with_suffix(path, &format!(".version-{version}")),
        DecodeError::Damaged | DecodeError::Foreign => with_suffix(path, ".damaged"),
    };
    match fs::rename(path, &kept_as) {
        Ok(()) => Ok(SetAside { why, kept_as }),
        Err(cause) => Err(StateFileError::SetAside { path: path.to_owned(), kept_as, why, cause }),
    }
}

/// Puts these bytes in the file's place. Whatever happens, the file is the one before or the new one, whole.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), StateFileError> {
    if u64::try_from(bytes.len()).map_or(true, |length| length > MAX_BYTES) {
        return Err(StateFileError::TooLarge { path: path.to_owned(), bytes: bytes.len() });
    }
    // In the same directory, for only there renaming is one step; always of the same name, so that no rests heap up.
    let temporary = with_suffix(path, ".tmp");
    let written = write_and_rename(&temporary, path, bytes);
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<(), StateFileError> {
    let failed = |step| move |cause| StateFileError::Write { path: path.to_owned(), step, cause };
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("removing an old rest")(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // A new one and nothing else: what somebody has put in its place is not followed.
    let mut file = options.write(true).create_new(true).mode(0o600).open(temporary).map_err(failed("making a file"))?;
    file.write_all(bytes).map_err(failed("writing"))?;
    file.sync_all().map_err(failed("flushing"))?;
    drop(file);
    fs::rename(temporary, path).map_err(failed("renaming"))?;
    // The new name is on disk when the directory is.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("flushing the directory"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
