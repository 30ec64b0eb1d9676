//! The command `tollgate --config ..`: serves until SIGINT or SIGTERM, and reloads the configuration on SIGHUP.

use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    signal::unix::{self, SignalKind},
};
use tracing_subscriber::EnvFilter;

use super::{BAD_CONFIG, check::check, environment, failed, read, rules::Rules};
use crate::{
    config::{Config, LeftOut, ListenerSettings},
    gateway::Gateway,
    server::{self, DRAIN_TIMEOUT, Draining, Listener},
    stack,
    state::State,
};

/// The time for which new connections are still accepted after SIGTERM: Kubernetes needs some seconds to remove a
/// terminating pod from the load balancing of all nodes.
const DEREGISTRATION_DELAY: Duration = Duration::from_secs(3);

/// The arguments of `tollgate` without a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// YAML configuration, in the format of LiteLLM's proxy; SIGHUP reloads it [default: TOLLGATE_CONFIG,
    /// CONFIG_FILE_PATH]
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Address to listen on; 0.0.0.0 listens on every interface [default: HOST, else 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 picks a free one [default: PORT, else 8000]
    #[arg(long)]
    port: Option<u16>,
    /// Check the configuration, print a summary, and exit (with code 78 if it is invalid)
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    rules: Rules,
    /// Name the upstream of each response in its header `x-litellm-model-api-base`
    #[arg(long)]
    expose_upstreams: bool,
}

impl Arguments {
    const fn options(&self) -> stack::Options {
        stack::Options { expose_upstreams: self.expose_upstreams }
    }
}

/// Serves the configuration, or checks it with `--check`.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn serve(mut arguments: Arguments) -> Result<ExitCode, ExitCode> {
    let path = environment::config(arguments.config.take())?;
    if arguments.check {
        return check(&path, arguments.rules);
    }
    let (config, warnings) = read(&path)?;
    arguments.rules.apply(&config, &warnings).map_err(refused)?;
    init_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(failed("cannot start the runtime"))?;
    let code = runtime.block_on(run(arguments, path, &config));
    // A blocking thread may still be resolving a name or reading a file.
    runtime.shutdown_background();
    code
}

fn refused(reason: String) -> ExitCode {
    eprintln!("error: {reason}");
    BAD_CONFIG.into()
}

fn init_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

async fn run(arguments: Arguments, path: PathBuf, config: &Config) -> Result<ExitCode, ExitCode> {
    let state = State::new().map_err(failed("cannot set up TLS"))?;
    let (options, rules) = (arguments.options(), arguments.rules);
    let gateway = stack::gateway(config, &state, options);
    let gateway = gateway.map_err(failed("cannot build the gateway"))?;
    let settings = config.settings.listener;
    let (listener, address) = listen(arguments, settings.backlog).await?;
    let signals = ShutdownSignals::new().map_err(failed("cannot listen for signals"))?;
    let hangup = unix::signal(SignalKind::hangup()).map_err(failed("cannot listen for signals"))?;
    announce(address, config);
    let listener =
        Listener::new(listener, max_connections(config)).with_keepalive_timeout(settings.keepalive_timeout);
    let (service, draining) = (gateway.clone(), state.draining.clone());
    let left_out = Mutex::new(config.left_out.clone());
    let reload = Reload { path, options, rules, state, gateway, address, settings, left_out };
    tokio::spawn(reload.on_each(hangup));
    Ok(exit_code(serve_until(signals, listener, service, draining).await))
}

async fn listen(arguments: Arguments, backlog: u32) -> Result<(TcpListener, SocketAddr), ExitCode> {
    let (host, port) = (environment::host(arguments.host), environment::port(arguments.port)?);
    let listener = Listener::bind(&host, port, backlog).await;
    let listener = listener.map_err(failed(format_args!("cannot listen on {host}:{port}")))?;
    let address = listener.local_addr().map_err(failed("cannot listen"))?;
    Ok((listener, address))
}

/// Serves until a shutdown signal. Returns true if the requests in flight were finished then.
async fn serve_until(
    signals: ShutdownSignals,
    listener: Listener,
    gateway: Gateway,
    draining: Draining,
) -> bool {
    if server::is_traced() {
        server::serve(listener, server::traced(gateway), draining, signals.received()).await
    } else {
        server::serve(listener, gateway, draining, signals.received()).await
    }
}

/// Returns the exit code of a server that has shut down, and reports requests that were dropped.
fn exit_code(finished: bool) -> ExitCode {
    if finished {
        return ExitCode::SUCCESS;
    }
    eprintln!("tollgate: {} s have passed: dropping the requests in flight", DRAIN_TIMEOUT.as_secs());
    ExitCode::FAILURE
}

/// Reads the configuration file again and replaces the tree that serves.
struct Reload {
    path: PathBuf,
    options: stack::Options,
    rules: Rules,
    state: State,
    gateway: Gateway,
    address: SocketAddr,
    /// The values in the file when the listener was created.
    settings: ListenerSettings,
    /// The deployments that the tree leaves out.
    left_out: Mutex<Vec<LeftOut>>,
}

impl Reload {
    async fn on_each(self, mut hangup: unix::Signal) {
        let this = Arc::new(self);
        while hangup.recv().await.is_some() {
            let this = Arc::clone(&this);
            tokio::spawn(Arc::clone(&this).prune_after_grace());
            // Reading a large file would block requests. A reload that panics has changed nothing.
            let _result = tokio::task::spawn_blocking(move || this.reload()).await;
        }
    }

    /// Drops the state of the deployments that the reload leaves unused.
    async fn prune_after_grace(self: Arc<Self>) {
        // The grace begins at a first call, and has passed at the second.
        for _ in 0..2 {
            tokio::time::sleep(self.state.grace()).await;
            self.state.prune();
        }
    }

    /// Replaces the tree, or prints the errors of an invalid file and keeps the tree.
    fn reload(&self) {
        let Some(config) = self.read() else {
            return eprintln!("tollgate: the configuration stays as it was");
        };
        match stack::gateway(&config, &self.state, self.options) {
            Ok(gateway) => {
                self.gateway.replace(&gateway);
                self.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&config.left_out);
                self.warn(&config);
                eprintln!("tollgate: reloaded, serving {}", groups(&config));
            }
            Err(error) => eprintln!("tollgate: the configuration stays as it was: {error}"),
        }
    }

    /// Returns the configuration, or none after printing why it is not used.
    fn read(&self) -> Option<Config> {
        let (config, warnings) = read(&self.path).ok()?;
        let rules = Rules { strict: false, ..self.rules };
        let refused = rules.apply(&config, &warnings).err();
        if let Some(reason) = &refused {
            eprintln!("tollgate: {reason}");
        }
        (refused.is_none() && !self.leaves_more_out(&config)).then_some(config)
    }

    /// Returns true, with a message, if the new tree would leave out a deployment for another reason than the present
    /// one: a slip in the file must not end a group that is served.
    fn leaves_more_out(&self, config: &Config) -> bool {
        let known = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |new: &LeftOut| known.iter().any(|old| (&old.group, &old.reason) == (&new.group, &new.reason));
        let new = config.left_out.iter().find(|new| !is_known(new));
        if let Some(LeftOut { line, reason, .. }) = new {
            eprintln!(
                "tollgate: a reload leaves no deployment out that the start did not: line {line}: {reason}"
            );
        }
        new.is_some()
    }

    /// Prints the warnings of a start, and one for changed settings that need a restart.
    fn warn(&self, config: &Config) {
        warn_open(self.address, config);
        if config.settings.listener != self.settings {
            eprintln!(
                "warning: max_connections, keepalive_timeout and backlog stay as they were until tollgate restarts."
            );
        }
    }
}

/// Returns the maximum of concurrent client connections, after raising the soft limit of open files, often 1,024, to the hard
/// limit.
fn max_connections(config: &Config) -> usize {
    // 1,024 is the lowest common default.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let max_connections =
        config.settings.listener.max_connections.unwrap_or(Listener::default_max_connections(files));
    if max_connections.saturating_mul(2) > files {
        eprintln!(
            "warning: max_connections is {max_connections}, and each may take two files, but only {files} may be open (ulimit -n)."
        );
    }
    max_connections
}

/// Prints the address and the groups in one line.
fn announce(address: SocketAddr, config: &Config) {
    println!("tollgate listening on http://{address}, serving {}", groups(config));
    warn_open(address, config);
}

/// Warns if other machines can reach the gateway and no key is required.
fn warn_open(address: SocketAddr, config: &Config) {
    if !address.ip().is_loopback() && config.is_open() {
        eprintln!(
            "warning: everyone who can reach {address} may call these models with your keys, because there is no \
             master_key. Set general_settings.master_key or LITELLM_MASTER_KEY, or listen on 127.0.0.1 (the default)."
        );
    }
}

fn groups(config: &Config) -> String {
    let groups: Vec<&str> = config.groups.iter().map(|group| &*group.name).collect();
    if groups.is_empty() { "no model".to_owned() } else { groups.join(", ") }
}

/// The signals that shut the process down.
struct ShutdownSignals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl ShutdownSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the first signal; from then on a second one ends the process at once.
    ///
    /// Returns the time for which new connections are still accepted.
    async fn received(mut self) -> Duration {
        let deregistration_delay = self.recv().await;
        eprintln!("tollgate: finishing what is in flight; a second signal ends it at once");
        tokio::spawn(async move {
            self.recv().await;
            std::process::exit(130);
        });
        deregistration_delay
    }

    async fn recv(&mut self) -> Duration {
        tokio::select! {
            // From a terminal, with no load balancer in front.
            _ = self.interrupt.recv() => Duration::ZERO,
            _ = self.terminate.recv() => DEREGISTRATION_DELAY,
        }
    }
}
