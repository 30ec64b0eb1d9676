//! The thread that writes the access log: [`LogWriter`].

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

/// The largest number of bytes that wait for the writer. Beyond it lines are dropped: a disk that is slow or full must not
/// take the memory of the gateway, nor hold its requests.
const CAPACITY: usize = 16 * 1024 * 1024;

/// The number of bytes that are written at once, without waiting for more.
const BATCH: usize = 128 * 1024;

/// The longest wait for a whole batch. A thread that was woken for each line would cost more than the line.
const LINGER: Duration = Duration::from_millis(50);

/// The lines that wait for the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Lines>,
    changed: Condvar,
    dropped: Arc<AtomicU64>,
}

/// Lines of the log.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    count: u64,
    closed: bool,
}

impl Queue {
    /// Adds a line, or drops and counts it if too much waits.
    pub(super) fn push(&self, line: &str) {
        let mut waiting = self.lock();
        let before = waiting.text.len();
        if before + line.len() > CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.text.push_str(line);
        waiting.count += 1;
        drop(waiting);
        if before == 0 || before < BATCH && before + line.len() >= BATCH {
            self.changed.notify_one();
        }
    }

    /// Waits for lines and exchanges them for `taken`, which is empty. Returns false when the queue is closed and empty.
    fn take(&self, taken: &mut Lines) -> bool {
        let is_empty = |waiting: &mut Lines| waiting.text.is_empty() && !waiting.closed;
        let waiting = self.changed.wait_while(self.lock(), is_empty).unwrap_or_else(PoisonError::into_inner);
        let is_small = |waiting: &mut Lines| waiting.text.len() < BATCH && !waiting.closed;
        let waited = self.changed.wait_timeout_while(waiting, LINGER, is_small);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        taken.closed = waiting.closed;
        std::mem::swap(taken, &mut waiting);
        !taken.text.is_empty()
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes the lines of a queue.
#[derive(Debug)]
pub(crate) struct LogWriter {
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl LogWriter {
    /// Starts the thread. Lines that it cannot write are counted in `dropped`.
    ///
    /// # Errors
    /// Returns the error of the operating system if it has no thread left.
    pub(crate) fn start(sink: impl Write + Send + 'static, dropped: Arc<AtomicU64>) -> io::Result<Self> {
        let queue = Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new(), dropped });
        let lines = Arc::clone(&queue);
        let thread = Builder::new().name("access-log".to_owned()).spawn(move || write(&lines, sink))?;
        Ok(Self { queue, thread })
    }

    /// Returns the queue of the lines.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Writes what waits, and ends the thread.
    pub(crate) fn finish(self) {
        self.queue.close();
        // A panic of the thread has been reported.
        let _panicked = self.thread.join();
    }
}

/// Writes batches until the queue is closed.
fn write(queue: &Queue, mut sink: impl Write) {
    let (mut lines, mut failing) = (Lines::default(), false);
    while queue.take(&mut lines) {
        let result = sink.write_all(lines.text.as_bytes()).and_then(|()| sink.flush());
        if let Err(error) = &result {
            queue.dropped.fetch_add(lines.count, Ordering::Relaxed);
            if !failing {
                tracing::error!(%error, "cannot write the access log: lines are lost");
            }
        }
        failing = result.is_err();
        lines.text.clear();
        lines.count = 0;
    }
}
