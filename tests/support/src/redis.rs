//! Redis and Valkey servers for tests: [`RedisServer`].

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::TcpListener,
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
    /// The port of a node of a cluster; zero for none.
    port: u16,
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
        Self::start_at(program, 0)
    }

    /// Starts a server that is a cluster of one node.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_cluster(program: &'static str) -> io::Result<Self> {
        // The port of the cluster's bus is 10,000 above, so that those of the system are too high.
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or_default();
        let port = (first..).find(is_free).ok_or_else(|| io::Error::other("no free port"))?;
        let server = Self::start_at(program, port)?;
        server.ask("CLUSTER ADDSLOTSRANGE 0 16383")?;
        while !server.is_ok()? {
            std::thread::yield_now();
        }
        Ok(server)
    }

    fn is_ok(&self) -> io::Result<bool> {
        let mut lines = self.connect("CLUSTER INFO")?.lines().map_while(Result::ok);
        let state = lines.find(|line| line.starts_with("cluster_state:"));
        Ok(state.is_some_and(|state| state.trim().ends_with("ok")))
    }

    fn start_at(program: &'static str, port: u16) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("tollgate-{program}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let process = launch(program, port, &folder)?;
        Ok(Self { program, process, folder, port })
    }

    /// Returns the URL of the Unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.join("socket").display())
    }

    /// Returns the URL of the node of a cluster.
    #[must_use]
    pub fn cluster_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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
        if self.ask("FLUSHALL")? == "+OK" { Ok(()) } else { Err(io::Error::other("FLUSHALL was refused")) }
    }

    /// Returns the number of connections, including the one of this call.
    ///
    /// # Errors
    /// If the server does not respond.
    pub fn connections(&self) -> io::Result<usize> {
        let mut lines = self.connect("INFO clients")?.lines().map_while(Result::ok);
        let count = lines.find_map(|line| line.strip_prefix("connected_clients:")?.trim().parse().ok());
        count.ok_or_else(|| io::Error::other("INFO without a count"))
    }

    /// Returns the first line of the response to a command.
    fn ask(&self, command: &str) -> io::Result<String> {
        self.connect(command)?.lines().next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    fn connect(&self, command: &str) -> io::Result<BufReader<UnixStream>> {
        let mut socket = UnixStream::connect(self.folder.join("socket"))?;
        socket.write_all(format!("{command}\r\n").as_bytes())?;
        Ok(BufReader::new(socket))
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
        self.process = launch(self.program, self.port, &self.folder)?;
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
fn launch(program: &str, port: u16, folder: &Path) -> io::Result<Child> {
    let cluster: &[&str] = if port == 0 { &[] } else { &["--cluster-enabled", "yes"] };
    let mut process = Command::new(program)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        // Some proxies and services refuse it.
        .args(["--rename-command", "SCRIPT", ""])
        .args(cluster)
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
