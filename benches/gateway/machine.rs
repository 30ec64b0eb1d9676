//! The machine: which cores each side gets, how many files may be open, and what it all was.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{account, side};

/// Enough for 10,000 streams through a side, and some.
const OPEN_FILES: usize = 32_768;

/// Which cores each part runs on, as lists for `taskset`; none leaves it to the scheduler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins {
    /// The side that is measured.
    pub(crate) side: Option<String>,
    /// The upstream and the load.
    pub(crate) load: Option<String>,
    /// Both.
    pub(crate) all: Option<String>,
}

impl Pins {
    /// The first half of the cores, at most four, for the sides; the rest for upstream and load.
    pub(crate) fn halves() -> Self {
        let cores = cores();
        if cores.len() < 2 || side::found("taskset").is_none() {
            return Self::default();
        }
        let list = |cores: &[String]| Some(cores.join(","));
        let (sides, rest) = cores.split_at((cores.len() / 2).min(4));
        Self { side: list(sides), load: list(rest), all: list(&cores) }
    }

    /// Moves this process to the load's cores. To be called while it has one thread: later ones inherit it.
    pub(crate) fn apply(&self) {
        if let Some(cores) = &self.load {
            quietly(Command::new("taskset").args(["-p", "-c", cores, &std::process::id().to_string()]));
        }
    }
}

/// As many open files as we may have; what we start inherits it. Only a privileged user may go beyond the hard limit.
pub(crate) fn raise_open_files() {
    let hard = limit(4).and_then(|hard| hard.parse().ok()).unwrap_or(0);
    for wanted in [OPEN_FILES.max(hard), hard] {
        if open_files() < wanted {
            let id = std::process::id().to_string();
            quietly(Command::new("prlimit").args(["--pid", &id, &format!("--nofile={wanted}:{wanted}")]));
        }
    }
}

/// Returns the limit of open files of this process.
pub(crate) fn open_files() -> usize {
    limit(3).and_then(|soft| soft.parse().ok()).unwrap_or(1024)
}

/// A column of the line `Max open files   soft   hard   files`.
fn limit(column: usize) -> Option<String> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(column).map(str::to_owned)
}

/// Best effort: a machine without the tool is measured as it is.
fn quietly(command: &mut Command) {
    let _done = command.output();
}

/// The cores this process may use.
fn cores() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    list.trim().split(',').flat_map(range).map(|core| core.to_string()).collect()
}

/// `2-5` or `7`.
fn range(text: &str) -> Vec<u32> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<u32>(), last.parse()) {
        (Ok(first), Ok(last)) => (first..=last).collect(),
        _ => Vec::new(),
    }
}

/// Returns a description of the measured build and of the machine.
pub(crate) fn describe(pins: &Pins) -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name);
    let memory = account::kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:");
    json!({
        "cpu": model,
        "cores": cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        "memory_mb": memory / 1024,
        "kernel": first_line(Command::new("uname").args(["-srm"])),
        "open_files": open_files(),
        "pinned": { "sides": pins.side, "upstream_and_load": pins.load },
    })
}

/// Of ourselves, of what we are made of, and of the others.
pub(crate) fn versions() -> Value {
    let lock = include_str!("../../Cargo.lock");
    let locked = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        rest.split('"').next().map(str::to_owned)
    };
    let changed = first_line(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]));
    json!({
        "tollgate": env!("CARGO_PKG_VERSION"),
        "commit": first_line(Command::new("git").args(["rev-parse", "HEAD"])),
        "changed_since": changed.is_some_and(|line| !line.is_empty()),
        "rustc": first_line(Command::new("rustc").arg("-V")),
        "hyper": locked("hyper"),
        "hyper-util": locked("hyper-util"),
        "tokio": locked("tokio"),
        "nginx": side::found("nginx").and_then(|nginx| first_line(Command::new(nginx).arg("-v"))),
        "haproxy": side::found("haproxy").and_then(|haproxy| first_line(Command::new(haproxy).arg("-v"))),
    })
}

/// The first line that a command says, on whichever output.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().map(str::to_owned)
}
