//! The command `tollgate --config ..`: serves until SIGINT or SIGTERM, and reloads the configuration on SIGHUP and when it
//! changes.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    signal::unix::{self, SignalKind},
    time::{Instant, interval},
};

#[cfg(feature = "redis")]
use super::replicas;
#[cfg(feature = "otlp")]
use super::traces;
use super::{
    BAD_CONFIG,
    check::{check, check_json},
    environment, failed,
    files::Files,
    listen::{Address, listen},
    log::LogArguments,
    monitor::Monitor,
    read,
    reload::Reload,
    rules::Rules,
    start::{StartText, Style},
    tls::TlsArguments,
};
use crate::{
    config::{Config, ListenerSettings},
    gateway::Gateway,
    log::{AccessLog, LogWriter},
    metrics::Metrics,
    record::TrustedProxies,
    server::{self, Certificate, Draining, Listener, ListenerSocket},
    stack,
    state::State,
};

/// The time for which new connections are still accepted after SIGTERM: Kubernetes needs some seconds to remove a
/// terminating pod from the load balancing of all nodes.
const DEREGISTRATION_DELAY: Duration = Duration::from_secs(3);

/// The interval of the reports while requests are finished.
const PROGRESS: Duration = Duration::from_secs(5);

/// The arguments of `tollgate` without a subcommand.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// YAML configuration, in the format of LiteLLM's proxy; SIGHUP reloads it [default: TOLLGATE_CONFIG,
    /// CONFIG_FILE_PATH]
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Address to listen on; 0.0.0.0 listens on every interface, unix:PATH on a unix socket [default: HOST, else
    /// 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 picks a free one [default: PORT, else 8000]
    #[arg(long)]
    port: Option<u16>,
    /// Check the configuration, print a summary, and exit (with code 78 if it is invalid)
    #[arg(long)]
    check: bool,
    /// Print the result of --check as JSON
    #[arg(long, requires = "check")]
    json: bool,
    #[command(flatten)]
    rules: Rules,
    /// Reload when a file of the configuration, or of the certificate, changes
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    tls: TlsArguments,
    #[command(flatten)]
    log: LogArguments,
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
        let check = if arguments.json { check_json } else { check };
        return check(&path, arguments.rules);
    }
    let files = Files::default();
    let (config, warnings) = read(&path, &files)?;
    let certificate = arguments.tls.certificate(&files)?;
    arguments.rules.apply(&config, &warnings).map_err(refused)?;
    arguments.log.init_events(&config.settings.logs);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(failed("cannot start the runtime"))?;
    let count = warnings.warnings().count();
    let source = Source { path, files, certificate };
    let code = runtime.block_on(run(arguments, source, (config, count)));
    // A blocking thread may still be resolving a name or reading a file.
    runtime.shutdown_background();
    code
}

fn refused(reason: String) -> ExitCode {
    eprintln!("error: {reason}");
    BAD_CONFIG.into()
}

/// The files that a reload reads again.
pub(super) struct Source {
    /// The file of the configuration.
    pub(super) path: PathBuf,
    pub(super) files: Files,
    pub(super) certificate: Option<Arc<Certificate>>,
}

async fn run(
    arguments: Arguments,
    source: Source,
    (config, warnings): (Config, usize),
) -> Result<ExitCode, ExitCode> {
    let (state, writer) = state(&arguments.log, &config)?;
    #[cfg(feature = "otlp")]
    let (state, exporting) = traces::start(state, &config.settings.logs.collectors)?;
    #[cfg(feature = "redis")]
    let (state, joined) = replicas::join(state, &config)?;
    #[cfg(not(feature = "redis"))]
    warn_alone(&config);
    let (options, rules, watch) = (arguments.options(), arguments.rules, arguments.watch);
    let gateway = stack::gateway(&config, &state, options);
    let gateway = gateway.map_err(failed("cannot build the gateway"))?;
    let settings = config.settings.listener;
    let (socket, address) =
        listen(arguments.host, arguments.port, (settings.backlog, source.certificate.is_some())).await?;
    let signals = ShutdownSignals::new().map_err(failed("cannot listen for signals"))?;
    let hangup = unix::signal(SignalKind::hangup()).map_err(failed("cannot listen for signals"))?;
    let scheme = if source.certificate.is_some() { "https" } else { "http" };
    print!(
        "{}",
        StartText { scheme, address: &address, config: &config, warnings, style: Style::of_stdout() }
    );
    warn_open(&address, &config);
    let listener = listener(socket, &config, &source).with_metrics(state.metrics.connections());
    let (service, draining, metrics) = (gateway.clone(), state.draining.clone(), state.metrics.clone());
    metrics.reloads().loaded();
    tokio::spawn(Monitor::default().watch(state.newest_status()));
    let left_out = Mutex::new(config.left_out); // the rest is dropped: the tree has all that it needs
    let reload =
        Reload { source, options, rules, state, gateway, address: address.clone(), settings, left_out };
    tokio::spawn(reload.on_each(hangup, watch));
    let shutdown = signals.received(metrics, settings.drain_timeout);
    let finished = serve_until(shutdown, listener, service, draining).await;
    address.remove();
    #[cfg(feature = "redis")]
    if let Some(joined) = joined {
        joined.leave().await;
    }
    writer.into_iter().for_each(LogWriter::finish);
    #[cfg(feature = "otlp")]
    exporting.finish().await;
    Ok(exit_code(finished, settings))
}

/// Returns the state of the gateway, and the writer of its access log if there is one.
fn state(log: &LogArguments, config: &Config) -> Result<(State, Option<LogWriter>), ExitCode> {
    let state = State::new().map_err(failed("cannot set up TLS"))?;
    let logs = &config.settings.logs;
    let writer = log.writer(state.metrics.dropped_log_lines())?;
    let state = state.with_trusted_proxies(TrustedProxies::new(logs.trusted_proxies.iter().copied()));
    let Some(queue) = writer.as_ref().map(LogWriter::queue) else { return Ok((state, None)) };
    let reader = AccessLog::new(queue, log.format(logs), log.sample());
    Ok((state.with_reader(Arc::new(reader)), writer))
}

/// Returns the listener with the settings of the configuration, and with the certificate if there is one.
fn listener(socket: ListenerSocket, config: &Config, source: &Source) -> Listener {
    let settings = config.settings.listener;
    let listener = Listener::new(socket, max_connections(config))
        .with_keepalive_timeout(settings.keepalive_timeout)
        .with_drain_timeout(settings.drain_timeout)
        .with_max_head_size(settings.max_header_bytes);
    match &source.certificate {
        Some(certificate) => listener.with_certificate(Arc::clone(certificate)),
        None => listener,
    }
}

/// Serves until a shutdown signal. Returns true if the requests in flight were finished then.
async fn serve_until(
    shutdown: impl Future<Output = Duration>,
    listener: Listener,
    gateway: Gateway,
    draining: Draining,
) -> bool {
    if server::is_traced() {
        let traced = move |peer: SocketAddr| server::traced(gateway.of_connection(peer));
        server::serve_each(listener, traced, draining, shutdown).await
    } else {
        let service = move |peer: SocketAddr| gateway.of_connection(peer);
        server::serve_each(listener, service, draining, shutdown).await
    }
}

/// Returns the exit code of a server that has shut down, and reports requests that were dropped.
fn exit_code(finished: bool, settings: ListenerSettings) -> ExitCode {
    if finished {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "tollgate: {} s have passed: dropping the requests in flight",
        settings.drain_timeout.as_secs()
    );
    ExitCode::FAILURE
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

/// Warns if the configuration names a ledger of replicas, which needs the feature `redis`.
#[cfg(not(feature = "redis"))]
fn warn_alone(config: &Config) {
    if config.settings.replicas.is_some() {
        eprintln!(
            "warning: this program was built without the feature `redis`: it does not share its limits."
        );
    }
}

/// Warns if other machines can reach the gateway and no key is required.
pub(super) fn warn_open(address: &Address, config: &Config) {
    if !address.is_local() && config.is_open() {
        eprintln!(
            "warning: everyone who can reach {address} may call these models with your keys, because there is no \
             master_key. Set general_settings.master_key or LITELLM_MASTER_KEY, or listen on 127.0.0.1 (the default)."
        );
    }
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
    async fn received(mut self, metrics: Metrics, drain_timeout: Duration) -> Duration {
        let deregistration_delay = self.recv().await;
        eprintln!("tollgate: finishing what is in flight; a second signal ends it at once");
        tokio::spawn(report_progress(metrics, drain_timeout));
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

/// Reports the number of requests that are still in flight, until the process ends.
async fn report_progress(metrics: Metrics, drain_timeout: Duration) {
    let end = Instant::now() + drain_timeout;
    let mut ticks = interval(PROGRESS);
    loop {
        ticks.tick().await;
        let (requests, left) = (metrics.gateway().in_flight(), end.saturating_duration_since(Instant::now()));
        let seconds = left.as_secs();
        tracing::info!(target: "tollgate::events", "draining: {requests} requests in flight, at most {seconds} s left");
    }
}
