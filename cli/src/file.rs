//! The queue of whoever has none: a file of one CloudEvent a line, which outlives this process and the machine's power.

use shared::error::Fault;
use shared::event::Envelope;
use shared::queue::{Putting, Store, Unkept};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// An events file that is open for appending.
#[derive(Clone)]
pub struct EventsFile {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    file: File,
    /// Whether the last line has no end: it was cut short by a crash or by a full disk. Nothing may be appended to it.
    cut: bool,
}

/// What was found when the file was opened.
#[derive(Debug, Default, Clone, Copy)]
pub struct Found {
    /// The last line was cut short by a crash. It has been ended, and what follows stands on its own.
    pub cut: bool,
    /// Others than the owner may read it.
    pub open_to_others: bool,
}

impl EventsFile {
    /// Opens the file or makes it, readable by its owner alone.
    pub fn open(path: &Path) -> Result<(EventsFile, Found), String> {
        let said = |error: io::Error| format!("{}: {error}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(said)?;
        if !file.metadata().map_err(said)?.is_file() {
            return Err(format!("{} is no file", path.display()));
        }
        // Two that write would take each other's line for one that was cut. Where files cannot be locked, appending is
        // still one write.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(format!("{} is in use by another hookgate", path.display()));
        }
        let cut = ends_within_a_line(&mut file).map_err(said)?;
        let mut inner = Inner { file, cut };
        let found = Found { cut, open_to_others: is_open_to_others(&inner.file).map_err(said)? };
        inner.append("").map_err(said)?;
        sync_folder(path).map_err(said)?;
        Ok((EventsFile { inner: Arc::new(Mutex::new(inner)) }, found))
    }

    fn append(&self, lines: &str) -> io::Result<()> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).append(lines)
    }
}

impl Inner {
    /// Appends whole lines and waits until they are on the disk.
    fn append(&mut self, lines: &str) -> io::Result<()> {
        if self.cut {
            self.file.write_all(b"\n")?;
        }
        self.cut = true;
        self.file.write_all(lines.as_bytes())?;
        self.cut = false;
        self.file.sync_data()
    }
}

impl Store for EventsFile {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], until: Instant) -> Putting<'a> {
        Box::pin(async move {
            let unkept = |what| Unkept { fault: Fault::Queue(what), left: (0..events.len()).collect() };
            let lines: String = events.iter().map(|event| line(event.text())).collect();
            let file = self.clone();
            let written = tokio::task::spawn_blocking(move || file.append(&lines));
            match tokio::time::timeout_at(until.into(), written).await {
                Ok(Ok(Ok(()))) => Ok(()),
                Ok(_) => Err(unkept("the events file could not be written")),
                Err(_) => Err(unkept("the events file was not written within the provider's deadline")),
            }
        })
    }
}

/// A JSON text as one line. Line breaks can only stand between its tokens, where a space means the same.
fn line(json: &str) -> String {
    let mut line = json.replace(['\n', '\r'], " ");
    line.push('\n');
    line
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_file: &File) -> io::Result<bool> {
    Ok(false)
}

/// A new file is found after a power cut only if its folder knows of it.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_owned);
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_a_failed_write_left_is_never_continued() {
        let path = std::env::temp_dir().join(format!("hookgate-file-{}", std::process::id()));
        fs::write(&path, "{\"half\":").unwrap();
        // A file that is open for reading alone fails as a full disk does.
        let mut inner = Inner { file: File::open(&path).unwrap(), cut: false };
        inner.append("{}\n").unwrap_err();
        assert!(inner.cut);
        inner.file = OpenOptions::new().append(true).open(&path).unwrap();
        inner.append("{\"whole\":1}\n").unwrap();
        inner.append("{\"whole\":2}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"half\":\n{\"whole\":1}\n{\"whole\":2}\n");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_event_is_one_line_whatever_its_layout() {
        assert_eq!(line("{\r\n \"a\": \"b\\n\"\n}"), "{   \"a\": \"b\\n\" }\n");
    }
}
