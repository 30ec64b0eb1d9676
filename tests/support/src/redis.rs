//! Redis and Valkey servers for tests: [`RedisServer`].

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, AtomicU32, Ordering},
};

/// The programs that the tests run against. They are looked up in `PATH`.
pub const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// The environment variable with which `tests/run` states that both programs are installed.
const REQUIRED: &str = "TOLLGATE_TESTS_REDIS";

/// A server without persistence on a Unix socket, and some on a port. It is killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    program: &'static str,
    process: Child,
    folder: PathBuf,
    /// The port; zero for none.
    port: u16,
    /// Further arguments of the program.
    arguments: Vec<String>,
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
        Self::start_with(program, 0, Vec::new())
    }

    /// Starts a server that is a cluster of one node.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_cluster(program: &'static str) -> io::Result<Self> {
        let mut nodes = Self::start_cluster_of(program, 1)?;
        nodes.pop().ok_or_else(|| io::Error::other("no node"))
    }

    /// Starts a cluster of so many primaries.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_cluster_of(program: &'static str, count: u16) -> io::Result<Vec<Self>> {
        let enabled = || vec!["--cluster-enabled".to_owned(), "yes".to_owned()];
        let start = |_| Self::start_with(program, free_port()?, enabled());
        let nodes: Vec<Self> = (0..count).map(start).collect::<io::Result<_>>()?;
        for (n, node) in (0..).zip(&nodes) {
            let slot = |n: u32| n * 16_384 / u32::from(count);
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {} {}", slot(n), slot(n + 1) - 1))?;
            if n > 0 {
                node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {n}"))?;
                node.ask(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[0].port))?;
            }
        }
        for node in &nodes {
            node.wait_for("CLUSTER INFO", "cluster_state:ok")?;
        }
        Ok(nodes)
    }

    /// Starts a primary, its replica, and a sentinel that replaces the one by the other half a second after it has ended. Its
    /// name for them is `tollgate`.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start_sentinel(program: &'static str) -> io::Result<[Self; 3]> {
        let primary = Self::start_with(program, free_port()?, Vec::new())?;
        let replica_of = ["--replicaof".to_owned(), format!("127.0.0.1 {}", primary.port)];
        let replica = Self::start_with(program, free_port()?, replica_of.into())?;
        replica.wait_for("INFO replication", "master_link_status:up")?;
        let folder = folder(program)?;
        let (port, file) = (free_port()?, folder.join("sentinel.conf"));
        let watched = primary.port;
        std::fs::write(
            &file,
            format!(
                "sentinel monitor tollgate 127.0.0.1 {watched} 1\nsentinel down-after-milliseconds tollgate 500\n\
                 sentinel failover-timeout tollgate 3000\n"
            ),
        )?;
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        let sentinel = Self::launched(program, port, (arguments, folder))?;
        sentinel.wait_for("INFO sentinel", "slaves=1")?;
        Ok([primary, replica, sentinel])
    }

    /// Waits until the response to a command contains this text.
    fn wait_for(&self, command: &str, text: &str) -> io::Result<()> {
        while !self.text(command)?.contains(text) {
            std::thread::yield_now();
        }
        Ok(())
    }

    fn start_with(program: &'static str, port: u16, arguments: Vec<String>) -> io::Result<Self> {
        Self::launched(program, port, (arguments, folder(program)?))
    }

    fn launched(
        program: &'static str,
        port: u16,
        (arguments, folder): (Vec<String>, PathBuf),
    ) -> io::Result<Self> {
        let process = launch(program, (port, &arguments), &folder)?;
        Ok(Self { program, process, folder, port, arguments })
    }

    /// Returns the URL of the Unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Returns the URL of a server with a port: of a node of a cluster, or a sentinel.
    #[must_use]
    pub fn cluster_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the port of such a server.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path of the Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Returns the id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
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
        self.info("clients", "connected_clients:")
    }

    /// Returns the bytes that the server has allocated.
    ///
    /// # Errors
    /// If the server does not respond.
    pub fn used_memory(&self) -> io::Result<usize> {
        self.info("memory", "used_memory:")
    }

    fn info(&self, section: &str, name: &str) -> io::Result<usize> {
        let text = self.text(&format!("INFO {section}"))?;
        let number = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        number.ok_or_else(|| io::Error::other(format!("INFO without {name}")))
    }

    /// Returns the text with which the server responds to a command.
    fn text(&self, command: &str) -> io::Result<String> {
        let (mut response, mut head) = (self.connect(command)?, String::new());
        response.read_line(&mut head)?;
        let length = head.trim().strip_prefix('$').and_then(|length| length.parse().ok());
        let length = length.ok_or_else(|| io::Error::other(format!("{command}: {head}")))?;
        let mut text = vec![0; length];
        response.read_exact(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Returns the first line of the response to a command.
    fn ask(&self, command: &str) -> io::Result<String> {
        self.connect(command)?.lines().next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    fn connect(&self, command: &str) -> io::Result<BufReader<UnixStream>> {
        let mut socket = UnixStream::connect(self.socket())?;
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
        self.process = launch(self.program, (self.port, &self.arguments), &self.folder)?;
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.kill());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Makes a folder for a server.
fn folder(program: &str) -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("tollgate-{program}-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Returns a port that no other call of this process has returned. The port of a cluster's bus is 10,000 above, so that those
/// of the system are too high.
fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed)).take(1_000);
    ports.find(is_free).ok_or_else(|| io::Error::other("no free port"))
}

/// Starts a server, and returns when it accepts connections.
fn launch(program: &str, (port, arguments): (u16, &[String]), folder: &Path) -> io::Result<Child> {
    let is_sentinel = arguments.iter().any(|argument| argument == "--sentinel");
    // Some proxies and services refuse the command. Sentinels do not have it.
    let refused: &[&str] = if is_sentinel { &[] } else { &["--rename-command", "SCRIPT", ""] };
    let mut process = Command::new(program)
        .args(arguments)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        .args(refused)
        .arg("--unixsocket")
        .arg(folder.join("socket"))
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let mut lines = BufReader::new(output).lines();
    let is_ready = |line: String| line.contains("eady to accept connections") || line.contains("+monitor");
    if !lines.by_ref().map_while(Result::ok).any(is_ready) {
        return Err(io::Error::other(format!("{program} did not start")));
    }
    // The rest of the log is read, so that the server never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(process)
}
