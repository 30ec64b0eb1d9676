//! A process that is started, waited for, and ended when it is dropped.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::oneshot,
    time::Instant,
};

use crate::Result;

/// A side has that long until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of bytes of a process's output that are kept for an error message.
const KEPT: usize = 4096;

/// A program on the search path.
pub(crate) fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Daemons live where the search path of an ordinary user may not lead.
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// A running process that listens.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) at: SocketAddr,
    /// From the start of the process until it listened.
    pub(crate) started_in: Duration,
    _child: Child,
}

impl Process {
    /// Starts this program in a role. It ends when its standard input is closed.
    pub(crate) async fn role(role: &[&str], cores: Option<&str>) -> Result<Self> {
        let program = std::env::current_exe()?.display().to_string();
        Self::announced(&[&[&*program, crate::ROLE], role].concat(), cores).await
    }

    /// A program that says `listening on http://HOST:PORT`.
    pub(crate) async fn announced(command: &[&str], cores: Option<&str>) -> Result<Self> {
        let starting = Starting::new(command, cores)?;
        let Starting { since, child, said, port } = starting;
        match tokio::time::timeout(PATIENCE, port).await {
            Ok(Ok(at)) => Self::new(child, at, since),
            Ok(Err(_)) => Err(format!("{} did not start: {}", command[0], heard(&said)).into()),
            Err(_) => Err(format!("{} is not up after {PATIENCE:?}: {}", command[0], heard(&said)).into()),
        }
    }

    /// A program that says nothing: it is up when it accepts connections.
    pub(crate) async fn listening(command: &[&str], cores: Option<&str>, at: SocketAddr) -> Result<Self> {
        let Starting { since, mut child, said, port: _ } = Starting::new(command, cores)?;
        while TcpStream::connect(at).await.is_err() {
            if since.elapsed() > PATIENCE || child.try_wait()?.is_some() {
                return Err(format!("{} did not start: {}", command[0], heard(&said)).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self::new(child, at, since)
    }

    fn new(child: Child, at: SocketAddr, since: Instant) -> Result<Self> {
        let pid = child.id().ok_or("it ended at once")?;
        Ok(Self { pid, at, started_in: since.elapsed(), _child: child })
    }
}

/// The beginning of a process's output.
type Said = Arc<Mutex<String>>;

fn heard(said: &Said) -> String {
    said.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

struct Starting {
    since: Instant,
    child: Child,
    said: Said,
    port: oneshot::Receiver<SocketAddr>,
}

impl Starting {
    fn new(command: &[&str], cores: Option<&str>) -> Result<Self> {
        let program = found(command[0]).unwrap_or_else(|| command[0].into());
        let mut pinned = match cores {
            // It replaces itself by the program: the process id is the program's.
            Some(cores) => {
                let mut taskset = Command::new("taskset");
                taskset.args([OsStr::new("-c"), OsStr::new(cores), program.as_os_str()]);
                taskset
            }
            None => Command::new(program),
        };
        // What the caller wants to read from his own programs must not slow these.
        pinned.args(&command[1..]).env_remove("RUST_LOG").kill_on_drop(true);
        pinned.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let since = Instant::now();
        let mut child = pinned.spawn()?;
        let said = Said::default();
        let (announce, port) = oneshot::channel();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(listen(stderr, said.clone(), None));
        }
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(listen(stdout, said.clone(), Some(announce)));
        }
        Ok(Self { since, child, said, port })
    }
}

/// Reads to the end, so that the process never blocks on what it says; announces where it listens.
async fn listen(from: impl AsyncRead + Unpin, said: Said, mut announce: Option<oneshot::Sender<SocketAddr>>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(announce) = address(&line).and_then(|at| Some((announce.take()?, at))) {
            // Nobody waits any more when it took too long.
            let _late = announce.0.send(announce.1);
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < KEPT {
            said.push_str(&line);
            said.push('\n');
        }
    }
}

fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    rest.split(|c: char| c == ',' || c.is_whitespace()).next()?.parse().ok()
}
