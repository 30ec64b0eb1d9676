//! Redis and Valkey servers for tests: [`RedisServer`].

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// The programs that the tests run against. They are looked up in `PATH`.
pub const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// The environment variable with which `tests/run` states that both programs are installed.
const REQUIRED: &str = "TOLLGATE_TESTS_REDIS";

/// A server without persistence on a Unix socket. It is killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    program: &'static str,
    process: Child,
    folder: PathBuf,
}

/// Returns those of [`PROGRAMS`] that are installed.
///
/// # Panics
/// If one is missing and `tests/run` has started the tests.
#[must_use]
pub fn programs() -> Vec<&'static str> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let installed = |program: &&str| folders.iter().any(|folder| folder.join(program).is_file());
    let found: Vec<&str> = PROGRAMS.into_iter().filter(installed).collect();
    assert!(
        found.len() == PROGRAMS.len() || env::var_os(REQUIRED).is_none(),
        "only {found:?} of {PROGRAMS:?} are installed"
    );
    found
}

impl RedisServer {
    /// Starts a server.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: &'static str) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("tollgate-{program}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let process = launch(program, &folder)?;
        Ok(Self { program, process, folder })
    }

    /// Returns the URL of the Unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.join("socket").display())
    }

    /// Sends a signal by its name, such as `STOP`.
    ///
    /// # Errors
    /// If there is no such signal, or no process.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name}: {status}"))) }
    }

    /// Loses all data.
    ///
    /// # Errors
    /// If the server does not respond.
    pub fn clear(&self) -> io::Result<()> {
        let mut socket = UnixStream::connect(self.folder.join("socket"))?;
        socket.write_all(b"FLUSHALL\r\n")?;
        let mut response = [0; 5];
        socket.read_exact(&mut response)?;
        if &response == b"+OK\r\n" { Ok(()) } else { Err(io::Error::other("FLUSHALL was refused")) }
    }

    /// Kills the server.
    ///
    /// # Errors
    /// If it has been killed before.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts the server again after a kill, without its data.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process = launch(self.program, &self.folder)?;
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.kill());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Starts a server, and returns when it accepts connections.
fn launch(program: &str, folder: &Path) -> io::Result<Child> {
    let mut process = Command::new(program)
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--unixsocket")
        .arg(folder.join("socket"))
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let mut lines = BufReader::new(output).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("eady to accept connections"));
    if !ready {
        return Err(io::Error::other(format!("{program} did not start")));
    }
    // The rest of the log is read, so that the server never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(process)
}
