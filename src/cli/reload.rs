//! The reload of the configuration on SIGHUP and when its files change: [`Reload`].

use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix;

use super::{
    InvalidFile,
    listen::Address,
    load,
    rules::Rules,
    serve::{Source, warn_open},
    start::groups,
};
use crate::{
    config::{Config, Diagnostic, Diagnostics, LeftOut, ListenerSettings},
    gateway::Gateway,
    stack,
    state::State,
};

/// Reads the configuration file again and replaces the tree that serves.
pub(super) struct Reload {
    pub(super) source: Source,
    pub(super) options: stack::Options,
    pub(super) rules: Rules,
    pub(super) state: State,
    pub(super) gateway: Gateway,
    pub(super) address: Address,
    /// The values in the file when the listener was created.
    pub(super) settings: ListenerSettings,
    /// The deployments that the tree leaves out.
    pub(super) left_out: Mutex<Vec<LeftOut>>,
}

impl Reload {
    /// Reloads with each signal, and with each change of a file if `watch`.
    pub(super) async fn on_each(self, mut hangup: unix::Signal, watch: bool) {
        let this = Arc::new(self);
        loop {
            tokio::select! {
                signal = hangup.recv() => if signal.is_none() { return },
                () = this.source.files.changed(), if watch => {}
            }
            tokio::spawn(Arc::clone(&this).prune_after_grace());
            let reload = Arc::clone(&this);
            // Reading a large file would block requests. A reload that panics has changed nothing.
            let _result = tokio::task::spawn_blocking(move || reload.reload()).await;
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

    /// Replaces the tree, or reports the errors of an invalid file and keeps the tree.
    fn reload(&self) {
        if let Some(Err(error)) = self.source.certificate.as_ref().map(|certificate| certificate.reload()) {
            tracing::error!(target: "tollgate::events", "the certificate stays as it was: {error}");
        }
        let reloads = self.state.metrics.reloads();
        let built = self.read().and_then(|config| match stack::gateway(&config, &self.state, self.options) {
            Ok(gateway) => Some((config, gateway)),
            Err(error) => {
                tracing::error!(target: "tollgate::events", "{error}");
                None
            }
        });
        reloads.reloaded(built.is_some());
        let Some((config, gateway)) = built else {
            return tracing::error!(target: "tollgate::events", "the configuration stays as it was");
        };
        self.gateway.replace(&gateway);
        reloads.loaded();
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&config.left_out);
        self.warn(&config);
        tracing::info!(target: "tollgate::events", "reloaded, serving {}", groups(&config));
    }

    /// Returns the configuration, or none after reporting why it is not used.
    fn read(&self) -> Option<Config> {
        let (config, warnings) = match load(&self.source.path, &self.source.files) {
            Ok(loaded) => loaded,
            Err(InvalidFile::Invalid(errors)) => {
                report(&errors);
                return None;
            }
            Err(InvalidFile::Unreadable(message)) => {
                tracing::error!(target: "tollgate::events", "{}", message.trim_end());
                return None;
            }
        };
        report(&warnings);
        let rules = Rules { strict: false, ..self.rules };
        let refused = rules.apply(&config, &warnings).err();
        if let Some(reason) = &refused {
            tracing::error!(target: "tollgate::events", "{reason}");
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
            tracing::error!(
                target: "tollgate::events",
                "a reload leaves no deployment out that the start did not: line {line}: {reason}"
            );
        }
        new.is_some()
    }

    /// Prints the warnings of a start, and one for changed settings that need a restart.
    fn warn(&self, config: &Config) {
        warn_open(&self.address, config);
        if config.settings.listener != self.settings {
            tracing::warn!(
                target: "tollgate::events",
                "drain_timeout, max_header_bytes, max_connections, keepalive_timeout and backlog stay as they were until \
                 tollgate restarts"
            );
        }
    }
}

/// Reports each diagnostic as an event of its own.
fn report(diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.errors() {
        let (location, Diagnostic { path, message, help, .. }) = (location(diagnostic), diagnostic);
        tracing::error!(target: "tollgate::events", %location, %path, help, "{message}");
    }
    for diagnostic in diagnostics.left_out().chain(diagnostics.warnings()) {
        let (location, Diagnostic { path, message, help, .. }) = (location(diagnostic), diagnostic);
        tracing::warn!(target: "tollgate::events", %location, %path, help, "{message}");
    }
}

/// Returns the location of a diagnostic, as a start prints it.
fn location(Diagnostic { file, line, column, .. }: &Diagnostic) -> String {
    format!("{file}:{line}:{column}")
}
