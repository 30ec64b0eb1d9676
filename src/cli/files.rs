//! The files of a configuration, and the watch for changes of them: [`Files`].

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

/// The interval between two looks at the files. A change counts once it lasts for one: a file that is being written is not
/// read.
const INTERVAL: Duration = Duration::from_millis(500);

/// The files that a configuration was read from.
#[derive(Debug, Default)]
pub(super) struct Files {
    paths: Mutex<Vec<PathBuf>>,
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

    /// Adds a file that is read elsewhere.
    pub(super) fn add(&self, path: &Path) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }

    /// Waits until a file has changed, or one that was missing is there.
    ///
    /// `seen` is the state of the files that the caller knows; it becomes that after the change. Names are followed each time, so
    /// the swap of a symbolic link, by which Kubernetes updates a ConfigMap, is a change.
    pub(super) async fn changed(&self, seen: &mut Vec<State>) {
        let mut last = seen.clone();
        loop {
            sleep(INTERVAL).await;
            let now = self.state();
            if now == last && now != *seen {
                *seen = now;
                return;
            }
            last = now;
        }
    }

    /// Returns the state of each file.
    pub(super) fn state(&self) -> Vec<State> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.iter().map(|path| State::of(path)).collect()
    }
}

/// The properties of a file that a change of its content changes; none for a file that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State(Option<(u64, u64, u64, Option<SystemTime>)>);

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
    async fn sees_a_change(files: &Files, seen: &mut Vec<State>) -> bool {
        timeout(Duration::from_secs(60), files.changed(seen)).await.is_ok()
    }

    #[tokio::test]
    async fn a_change_of_a_file_is_seen_once() {
        pause();
        let (files, path) = (Files::default(), directory("change").join("config.yaml"));
        fs::write(&path, "a").unwrap();
        files.read(&path).unwrap();
        let mut seen = files.state();
        assert!(!sees_a_change(&files, &mut seen).await);
        fs::write(&path, "ab").unwrap();
        assert!(sees_a_change(&files, &mut seen).await);
        assert!(!sees_a_change(&files, &mut seen).await);
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
        let mut seen = files.state();
        link("v2");
        assert!(sees_a_change(&files, &mut seen).await);
    }

    #[tokio::test]
    async fn a_file_that_appears_is_a_change() {
        pause();
        let (files, path) = (Files::default(), directory("appears").join("config.yaml"));
        assert!(files.read(&path).is_err());
        let mut seen = files.state();
        fs::write(&path, "a").unwrap();
        assert!(sees_a_change(&files, &mut seen).await);
    }
}
