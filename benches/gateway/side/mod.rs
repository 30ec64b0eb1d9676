//! The processes between load and upstream, and the upstream itself.

pub(crate) mod config;
mod process;

pub(crate) use self::process::{Process, found};

use std::{net::SocketAddr, path::Path};

use crate::{Result, load::Ask, machine::Pins, scenario, scenario::Prompt, scenario::Scenario};

/// The program that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Tollgate,
    Nginx,
    Haproxy,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tollgate => "tollgate",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Returns true if the program can be started here.
    pub(crate) fn is_here(self) -> bool {
        match self {
            Self::Floor | Self::Tollgate => true,
            Self::Nginx | Self::Haproxy => found(self.name()).is_some(),
        }
    }

    /// Returns the request for this side, and the expected response.
    pub(crate) fn ask(self, scenario: Scenario, prompt: Prompt) -> Ask {
        Ask {
            path: match self {
                Self::Tollgate => "/v1/chat/completions".to_owned(),
                Self::Floor | Self::Nginx | Self::Haproxy => {
                    format!("/{}/v1/chat/completions", scenario.name())
                }
            },
            bodies: [scenario::body(scenario.name(), scenario.streams(), prompt)].into(),
            length: scenario.length(),
            units: if scenario.streams() { scenario::EVENTS } else { 1 },
        }
    }
}

/// A process that takes part, and its name in the report.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) process: Process,
}

/// Starts sides in front of one upstream.
#[derive(Debug)]
pub(crate) struct Starter {
    pub(crate) pins: Pins,
    pub(crate) upstream: SocketAddr,
}

impl Starter {
    /// The upstream itself, and a starter of sides in front of it.
    pub(crate) async fn with_upstream(pins: Pins) -> Result<(Self, Process)> {
        let upstream = Process::role(&["upstream"], pins.load.as_deref()).await?;
        Ok((Self { pins, upstream: upstream.at }, upstream))
    }

    /// A fresh process of this kind.
    pub(crate) async fn start(&self, kind: Kind) -> Result<Process> {
        match kind {
            Kind::Floor => Process::role(&["floor", &self.base()], self.cores()).await,
            Kind::Tollgate => self.build(env!("CARGO_BIN_EXE_tollgate")).await,
            Kind::Nginx => {
                let (at, file) = (config::free_port().await?, config::path("nginx.conf")?);
                std::fs::write(&file, config::nginx(at, self.upstream, file.with_extension("d")))?;
                std::fs::create_dir_all(file.with_extension("d"))?;
                self.other(&["nginx", "-e", "stderr", "-c"], &file, at).await
            }
            Kind::Haproxy => {
                let (at, file) = (config::free_port().await?, config::path("haproxy.cfg")?);
                std::fs::write(&file, config::haproxy(at, self.upstream))?;
                self.other(&["haproxy", "-db", "-f"], &file, at).await
            }
        }
    }

    /// A fresh process of this kind, with so many worker threads, on any core; tollgate with this configuration.
    pub(crate) async fn start_with_workers(&self, kind: Kind, workers: usize, yaml: &str) -> Result<Process> {
        let workers = format!("TOKIO_WORKER_THREADS={workers}");
        start_with(&workers, kind, (&self.base(), yaml), self.pins.all.as_deref()).await
    }

    /// A build of tollgate with the owner's kind of configuration.
    pub(crate) async fn build(&self, program: &str) -> Result<Process> {
        self.configured(program, &config::owners(&self.base())).await
    }

    /// A tollgate with this configuration.
    pub(crate) async fn tollgate(&self, yaml: &str) -> Result<Process> {
        self.configured(env!("CARGO_BIN_EXE_tollgate"), yaml).await
    }

    async fn configured(&self, program: &str, yaml: &str) -> Result<Process> {
        start_configured(&[program], yaml, self.cores()).await
    }

    /// A tollgate with the owner's kind of configuration, these variables of the environment (`NAME=VALUE`) and these
    /// arguments.
    pub(crate) async fn start_with_arguments(
        &self,
        variables: &[&str],
        arguments: &[&str],
    ) -> Result<Process> {
        let command = [&["env"], variables, &[env!("CARGO_BIN_EXE_tollgate")], arguments].concat();
        start_configured(&command, &config::owners(&self.base()), self.cores()).await
    }

    /// A fresh floor or tollgate, which trusts the certificate in `roots`, in front of an upstream with TLS. The floor
    /// speaks what the upstream offers, tollgate HTTP/2 only where its configuration has it.
    pub(crate) async fn start_with_tls(
        &self,
        kind: Kind,
        (base, http2): (&str, bool),
        roots: &Path,
    ) -> Result<Process> {
        let roots = format!("SSL_CERT_FILE={}", roots.display());
        let yaml = config::owners(base).replace("      rpm:", &format!("      http2: {http2}\n      rpm:"));
        start_with(&roots, kind, (base, &yaml), self.cores()).await
    }

    async fn other(&self, command: &[&str], file: &Path, at: SocketAddr) -> Result<Process> {
        let file = file.display().to_string();
        Process::listening(&[command, &[&file]].concat(), self.cores(), at).await
    }

    /// The upstream's URL, without a path.
    fn base(&self) -> String {
        format!("http://{}", self.upstream)
    }

    fn cores(&self) -> Option<&str> {
        self.pins.side.as_deref()
    }
}

/// A fresh floor in front of the upstream `base`, or tollgate with this configuration, with a variable of the environment:
/// `NAME=VALUE`.
async fn start_with(
    variable: &str,
    kind: Kind,
    (base, yaml): (&str, &str),
    cores: Option<&str>,
) -> Result<Process> {
    if kind == Kind::Floor {
        let program = std::env::current_exe()?.display().to_string();
        return Process::announced(&["env", variable, &program, crate::ROLE, "floor", base], cores).await;
    }
    start_configured(&["env", variable, env!("CARGO_BIN_EXE_tollgate")], yaml, cores).await
}

/// Starts the command of a tollgate with this configuration.
async fn start_configured(command: &[&str], yaml: &str, cores: Option<&str>) -> Result<Process> {
    let file = config::path("tollgate.yaml")?;
    std::fs::write(&file, yaml)?;
    let file = file.display().to_string();
    let arguments = ["--config", &file, "--host", "127.0.0.1", "--port", "0"];
    Process::announced(&[command, &arguments].concat(), cores).await
}
