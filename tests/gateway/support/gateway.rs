//! The gateway, as a process of its own.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{mpsc, watch},
    task::JoinHandle,
};

use tollgate_test_support::memory;

use super::{client::Client, soon};

const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");

/// A directory of its own for each that asks.
pub(crate) fn directory() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The command with nothing of this environment but the search path.
pub(crate) fn command() -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The output and the exit status of a command.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command to its end.
pub(crate) async fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Finished {
    let output = soon("the command's end", command().args(arguments).output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Writes a configuration and gives its path.
pub(crate) fn config(yaml: &str) -> PathBuf {
    let path = directory().join("config.yaml");
    std::fs::write(&path, yaml).unwrap();
    path
}

/// The parameters of a gateway's start.
pub(crate) struct Start {
    command: Command,
}

impl Start {
    pub(crate) fn new(yaml: &str) -> Self {
        Self::at(&config(yaml))
    }

    /// With a file that is there already.
    pub(crate) fn at(path: &Path) -> Self {
        let mut command = command();
        command.arg("--config").arg(path).args(["--port", "0"]);
        Self { command }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// Starts it and waits until it says where it listens.
    pub(crate) async fn go(self) -> Gateway {
        self.argument("--host").argument("127.0.0.1").start().await
    }

    /// Starts the gateway, on the given host or the default.
    pub(crate) async fn start(mut self) -> Gateway {
        let mut child = self.command.spawn().unwrap();
        let said = watch::Sender::new(String::new());
        let (announce, mut announced) = mpsc::unbounded_channel();
        let listeners = vec![
            listen(child.stdout.take().unwrap(), said.clone(), announce.clone()),
            listen(child.stderr.take().unwrap(), said.clone(), announce),
        ];
        match soon("the line that says where it listens", announced.recv()).await {
            Some(port) => Gateway {
                child,
                said,
                listeners,
                port,
                client: Client::new(format!("http://127.0.0.1:{port}")),
            },
            None => panic!("the gateway did not start:\n{}", said.borrow().as_str()),
        }
    }
}

/// Collects what is said; announces the port when it is named.
fn listen<R: AsyncRead + Unpin + Send + 'static>(
    from: R,
    said: watch::Sender<String>,
    announce: mpsc::UnboundedSender<u16>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut announce = Some(announce);
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            said.send_modify(|said| said.push_str(&(line.clone() + "\n")));
            if let Some(port) = port(&line) {
                announce.take().map(|announce| announce.send(port));
            }
        }
    })
}

fn port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("listening on http")?;
    let (_, rest) = rest.split_once(',')?.0.rsplit_once(':')?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    said: watch::Sender<String>,
    listeners: Vec<JoinHandle<()>>,
    pub(crate) port: u16,
    pub(crate) client: Client,
}

impl std::ops::Deref for Gateway {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Gateway {
    pub(crate) async fn start(yaml: &str) -> Self {
        Start::new(yaml).go().await
    }

    /// The process, for those who look at what it holds.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Returns the resident memory of the process, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        memory::resident(&self.pid().to_string()).unwrap()
    }

    /// Returns the highest resident memory of the process so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        memory::peak(&self.pid().to_string()).unwrap()
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that it has said so far, on both outputs.
    pub(crate) fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Waits until it has said all of these, and gives all that it has said.
    pub(crate) async fn says(&self, words: &[&str]) -> String {
        let mut said = self.said.subscribe();
        let all = said.wait_for(|said| words.iter().all(|word| said.contains(word)));
        match tokio::time::timeout(super::PATIENCE, all).await {
            Ok(said) => said.unwrap().clone(),
            Err(_) => panic!("it was to say {words:?}, but said:\n{}", self.said()),
        }
    }

    /// Sends a signal by name, as an operator would.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap();
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().await.unwrap();
        assert!(kill.success());
    }

    /// Waits for its end, and for its last words.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let status = soon("the gateway's end", self.child.wait()).await.unwrap();
        for listener in self.listeners.drain(..) {
            soon("its last words", listener).await.unwrap();
        }
        status
    }
}
