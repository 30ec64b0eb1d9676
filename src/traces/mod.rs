//! Traces by OTLP, the protocol of OpenTelemetry: a span for each request and for each of its attempts.
//!
//! Spans are made of the [`Record`] of a request after its end: nothing is measured for them, and no request waits for them.
//! [`Traces`] hands the records of sampled requests to a task that sends them in batches ([`exporter`]). Their attributes
//! have the names of OpenTelemetry's conventions for generative AI. No prompt, response or key is in a span.

mod exporter;
mod spans;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::mpsc;

pub(crate) use self::exporter::Exporter;
use crate::record::{Record, RecordReader};

/// The number of records that wait for a batch.
const QUEUE: usize = 4096;

/// The reader of records that exports spans.
pub(crate) struct Traces {
    queue: mpsc::Sender<Arc<Record>>,
    dropped: Arc<AtomicU64>,
}

impl Traces {
    /// Returns a reader, and the receiver of the records for the [`Exporter`]. Records that find no room are counted in
    /// `dropped`.
    pub(crate) fn new(dropped: Arc<AtomicU64>) -> (Self, mpsc::Receiver<Arc<Record>>) {
        let (queue, records) = mpsc::channel(QUEUE);
        (Self { queue, dropped }, records)
    }
}

impl RecordReader for Traces {
    fn read(&self, record: &Arc<Record>) {
        let is_sampled = record.request.trace.is_some_and(|trace| trace.is_sampled);
        if is_sampled && record.course.operation.is_some() && self.queue.try_send(Arc::clone(record)).is_err()
        {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}
