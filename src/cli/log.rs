//! The logs of the command: the events on stderr, and the access log.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
};

use tracing_subscriber::EnvFilter;

use super::{environment, failed, has_colours};
use crate::{
    config::LogSettings,
    log::{EventFormat, LogFormat, LogWriter},
};

/// The events that are logged unless `RUST_LOG` or LiteLLM's settings state others: warnings, and the events of
/// the target `tollgate::events`, of which there are few.
const DEFAULT: &str = "warn,tollgate::events=info";

/// The arguments about logs.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LogArguments {
    /// Format of the logs: text, json or logfmt [default: json with `json_logs`, else text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Write a line for each request to this file; `-` is the standard output
    #[arg(long, value_name = "PATH")]
    access_log: Option<PathBuf>,
    /// Share of the successful requests that the access log contains, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "1", value_parser = share)]
    access_log_sample: f64,
}

/// Parses a share.
fn share(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or("expected a number from 0 to 1")
}

impl LogArguments {
    /// Returns the share of the successes that are logged.
    pub(super) const fn sample(&self) -> f64 {
        self.access_log_sample
    }

    /// Returns the format.
    pub(super) fn format(&self, settings: &LogSettings) -> LogFormat {
        let json = settings.json || environment::json_logs();
        self.log_format.unwrap_or(if json { LogFormat::Json } else { LogFormat::Text })
    }

    /// Starts the log of events, on stderr.
    pub(super) fn init_events(&self, settings: &LogSettings) {
        let default = || match environment::litellm_level() {
            Some(level) => format!("{level},tollgate::events=info"),
            None if settings.verbose => format!("{DEFAULT},tollgate=debug"),
            None => DEFAULT.to_owned(),
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default()));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(has_colours(&io::stderr()))
            .event_format(EventFormat::new(self.format(settings)))
            .init();
    }

    /// Starts the writer of the access log, if there is one. Lines that are lost are counted in `dropped`.
    ///
    /// # Errors
    ///
    /// Returns the exit code after printing the error.
    pub(super) fn writer(&self, dropped: Arc<AtomicU64>) -> Result<Option<LogWriter>, ExitCode> {
        let Some(path) = &self.access_log else { return Ok(None) };
        let opened = open(path).map_err(failed(format_args!("cannot write to {}", path.display())))?;
        let writer = LogWriter::start(opened, dropped);
        writer.map(Some).map_err(failed("cannot start the access log"))
    }
}

/// Opens the file at its end, or the standard output.
fn open(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    Ok(Box::new(OpenOptions::new().append(true).create(true).open(path)?))
}
