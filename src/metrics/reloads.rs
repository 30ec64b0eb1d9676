//! Counts of reloads of the configuration: [`ReloadMetrics`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use super::text::{Kind, Writer};

/// The counts of reloads. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReloadMetrics {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    succeeded: AtomicU64,
    failed: AtomicU64,
    /// The time of the last success, in seconds since 1970.
    last: AtomicU64,
}

impl ReloadMetrics {
    /// Counts a configuration that is in use from now on, the first one included.
    pub(crate) fn loaded(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.counts.last.store(now.as_secs(), Ordering::Relaxed);
    }

    /// Counts a reload.
    pub(crate) fn reloaded(&self, success: bool) {
        let Counts { succeeded, failed, .. } = &*self.counts;
        (if success { succeeded } else { failed }).fetch_add(1, Ordering::Relaxed);
    }

    /// Writes the families.
    pub(super) fn encode(&self, writer: &mut Writer) {
        let Counts { succeeded, failed, last } = &*self.counts;
        let help = "Reloads of the configuration, by result.";
        let mut family = writer.family("tollgate_config_reloads", Kind::Counter, help);
        for (result, count) in [("success", succeeded), ("failure", failed)] {
            family.sample(&[("result", result)], count.load(Ordering::Relaxed));
        }
        let help = "Time since which the configuration is in use, in seconds since 1970.";
        let name = "tollgate_config_loaded_timestamp_seconds";
        writer.family(name, Kind::Gauge, help).sample(&[], last.load(Ordering::Relaxed));
    }
}
