//! `tollgate --config ..`: serves until a signal ends it, and reads the configuration again when one asks for it.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{self, SignalKind},
};
use tracing_subscriber::EnvFilter;

use super::{check::summary, failed, read};
use crate::{
    config::Config,
    gateway::Gateway,
    server::{self, Listener},
    stack,
    state::State,
};

/// Whoever sends clients here, and has us terminated, goes on for some seconds: that is how long it takes Kubernetes to tell
/// all of its nodes. Until then nobody is turned away.
const NOTICE: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: the YAML that LiteLLM's proxy reads; SIGHUP has it read again
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// The address to listen on; 0.0.0.0 is every one
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Check the configuration, print what it makes, and exit (78 when it is wrong)
    #[arg(long)]
    check: bool,
    /// Tell clients each answer's upstream in `x-litellm-model-api-base`
    #[arg(long)]
    expose_upstreams: bool,
}

impl Arguments {
    const fn options(&self) -> stack::Options {
        stack::Options { expose_upstreams: self.expose_upstreams }
    }
}

/// Serves what the arguments name, or prints it with `--check`.
pub(super) fn serve(arguments: Arguments) -> ExitCode {
    let (config, warnings) = match read(&arguments.config) {
        Ok(read) => read,
        Err(code) => return code,
    };
    if arguments.check {
        eprint!("{warnings}");
        print!("{}", summary(&config));
        return ExitCode::SUCCESS;
    }
    log();
    eprint!("{warnings}");
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed("cannot start the runtime", &error),
    };
    let code = runtime.block_on(run(arguments, &config));
    // A thread may still wait for a name's address, or for a file.
    runtime.shutdown_background();
    code
}

fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

async fn run(arguments: Arguments, config: &Config) -> ExitCode {
    let state = match State::new() {
        Ok(state) => state,
        Err(error) => return failed("cannot set up TLS", &error),
    };
    let gateway = match stack::gateway(config, &state, arguments.options()) {
        Ok(gateway) => gateway,
        Err(error) => return failed("cannot build the gateway", &error),
    };
    let listener = match TcpListener::bind((arguments.host.as_str(), arguments.port)).await {
        Ok(listener) => listener,
        Err(error) => {
            return failed(&format!("cannot listen on {}:{}", arguments.host, arguments.port), &error);
        }
    };
    let at = match listener.local_addr() {
        Ok(at) => at,
        Err(error) => return failed("cannot listen", &error),
    };
    let (leave, hangup) = match (Leave::new(), unix::signal(SignalKind::hangup())) {
        (Ok(leave), Ok(hangup)) => (leave, hangup),
        (Err(error), _) | (_, Err(error)) => return failed("cannot listen for signals", &error),
    };
    announce(at, config);
    let listener = Listener::new(listener, connections(config));
    let (served, draining, leave) = (gateway.clone(), state.draining.clone(), leave.asked());
    let max_connections = config.settings.max_connections;
    tokio::spawn(Reload { arguments, state, gateway, at, max_connections }.whenever(hangup));
    let finished = if server::is_traced() {
        server::serve(listener, server::traced(served), draining, leave).await
    } else {
        server::serve(listener, served, draining, leave).await
    };
    if finished {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "tollgate: {} s have passed: what is still in flight is dropped",
        server::DRAIN_TIMEOUT.as_secs()
    );
    ExitCode::FAILURE
}

/// Reads the configuration file again and replaces the tree that serves.
struct Reload {
    arguments: Arguments,
    state: State,
    gateway: Gateway,
    at: SocketAddr,
    /// The value of the file when the listener was created.
    max_connections: Option<usize>,
}

impl Reload {
    async fn whenever(self, mut hangup: unix::Signal) {
        let this = Arc::new(self);
        while hangup.recv().await.is_some() {
            let this = Arc::clone(&this);
            // A large file takes its time, which no request should wait for. One that panics has changed nothing.
            let _ = tokio::task::spawn_blocking(move || this.now()).await;
        }
    }

    /// Prints the errors of an invalid file; the tree that serves stays.
    fn now(&self) {
        let told = match read(&self.arguments.config) {
            Err(_) => "the configuration stays as it was".to_owned(),
            Ok((config, warnings)) => {
                eprint!("{warnings}");
                match stack::gateway(&config, &self.state, self.arguments.options()) {
                    Ok(gateway) => {
                        self.gateway.replace(&gateway);
                        self.warn(&config);
                        format!("reloaded, serving {}", groups(&config))
                    }
                    Err(error) => format!("the configuration stays as it was: {error}"),
                }
            }
        };
        eprintln!("tollgate: {told}");
    }

    /// Prints the warnings of a start, and names the settings that only a restart changes.
    fn warn(&self, config: &Config) {
        warn_open(self.at, config);
        if config.settings.max_connections != self.max_connections {
            eprintln!("warning: max_connections stays as it was until tollgate is started again.");
        }
    }
}

/// Returns the limit of concurrent client connections. The shell's limit of open files, often 1,024, is raised as far as we may.
fn connections(config: &Config) -> usize {
    // Where it cannot be asked for, it is the least that is common.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let most = config.settings.max_connections.unwrap_or(Listener::default_max_connections(files));
    if most.saturating_mul(2) > files {
        eprintln!(
            "warning: max_connections is {most}, and each may take two files, but only {files} may be open (ulimit -n)."
        );
    }
    most
}

/// Prints the address and the groups in one line.
fn announce(at: SocketAddr, config: &Config) {
    println!("tollgate listening on http://{at}, serving {}", groups(config));
    warn_open(at, config);
}

fn warn_open(at: SocketAddr, config: &Config) {
    if !at.ip().is_loopback() && config.master_key.is_none() {
        eprintln!(
            "warning: everyone who can reach {at} may call these models with your keys, because there is no \
             master_key. Set general_settings.master_key or LITELLM_MASTER_KEY, or listen on 127.0.0.1 (the default)."
        );
    }
}

fn groups(config: &Config) -> String {
    let groups: Vec<&str> = config.groups.iter().map(|group| &*group.name).collect();
    groups.join(", ")
}

/// The signals that ask the process to go.
struct Leave {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Leave {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    /// The first signal asks nicely; from then on a second one ends the process at once. How long clients may still come.
    async fn asked(mut self) -> Duration {
        let notice = self.any().await;
        eprintln!("tollgate: finishing what is in flight; a second signal ends it at once");
        tokio::spawn(async move {
            self.any().await;
            std::process::exit(130);
        });
        notice
    }

    async fn any(&mut self) -> Duration {
        tokio::select! {
            // Somebody at a terminal, who sends nobody here.
            _ = self.interrupt.recv() => Duration::ZERO,
            _ = self.terminate.recv() => NOTICE,
        }
    }
}
