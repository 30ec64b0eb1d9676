//! The files of a configuration, and the watch for changes of them: [`Files`].

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

/// The interval between two looks at the files. A change counts once it lasts for one: a file that is being written is not
/// read.
const INTERVAL: Duration = Duration::from_millis(500);

/// The files that a configuration was read from, each with its state before it was read.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: Mutex<Vec<(PathBuf, State)>>,
}

impl Files {
    /// Reads a file of the configuration.
    ///
    /// # Errors
    ///
    /// Returns the error of the file system.
    pub(super) fn read(&self, path: &Path) -> io::Result<String> {
        self.add(path);
        fs::read_to_string(path)
    }

    /// Adds a file that is read after this call.
    pub(super) fn add(&self, path: &Path) {
        let (mut known, state) = (self.lock(), State::of(path));
        match known.iter_mut().find(|(known, _)| known == path) {
            Some((_, known)) => *known = state,
            None => known.push((path.to_owned(), state)),
        }
    }

    /// Waits until a file has changed since it was read, or one that was missing is there.
    ///
    /// Names are followed each time, so the swap of a symbolic link, by which Kubernetes updates a ConfigMap, is a change.
    pub(super) async fn changed(&self) {
        let mut last = Vec::new();
        loop {
            sleep(INTERVAL).await;
            let now: Vec<_> = self.lock().iter().map(|(path, _)| State::of(path)).collect();
            if now == last && self.update(&now) {
                return;
            }
            last = now;
        }
    }

    /// Sets the state of each file. Returns true if one has changed.
    fn update(&self, now: &[State]) -> bool {
        let (mut known, mut changed) = (self.lock(), false);
        for ((_, known), now) in known.iter_mut().zip(now) {
            changed |= known != now;
            known.clone_from(now);
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(PathBuf, State)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The properties of a file that a change of its content changes; none for a file that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State(Option<(u64, u64, u64, Option<SystemTime>)>);

impl State {
    fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self(metadata.map(|file| (file.dev(), file.ino(), file.len(), file.modified().ok())))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tokio::time::{pause, timeout};

    use super::*;

    /// Returns an empty directory.
    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        // It is there after a test that was interrupted.
        let _removed = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// Returns true if a change is seen within a minute.
    async fn sees_a_change(files: &Files) -> bool {
        timeout(Duration::from_secs(60), files.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_change_of_a_file_is_seen_once() {
        pause();
        let (files, path) = (Files::default(), directory("change").join("config.yaml"));
        fs::write(&path, "a").unwrap();
        files.read(&path).unwrap();
        assert!(!sees_a_change(&files).await);
        fs::write(&path, "ab").unwrap();
        assert!(sees_a_change(&files).await);
        assert!(!sees_a_change(&files).await);
    }

    #[tokio::test]
    async fn the_swap_of_a_symbolic_link_is_a_change() {
        pause();
        let (files, directory) = (Files::default(), directory("swap"));
        for version in ["v1", "v2"] {
            fs::create_dir(directory.join(version)).unwrap();
            fs::write(directory.join(version).join("config.yaml"), "a").unwrap();
        }
        let link = |version: &str| {
            symlink(version, directory.join("next")).unwrap();
            fs::rename(directory.join("next"), directory.join("data")).unwrap();
        };
        link("v1");
        files.read(&directory.join("data/config.yaml")).unwrap();
        link("v2");
        assert!(sees_a_change(&files).await);
    }

    #[tokio::test]
    async fn a_file_that_appears_is_a_change() {
        pause();
        let (files, path) = (Files::default(), directory("appears").join("config.yaml"));
        assert!(files.read(&path).is_err());
        fs::write(&path, "a").unwrap();
        assert!(sees_a_change(&files).await);
    }
}
