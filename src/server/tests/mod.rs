//! Connections in memory, on a paused clock: what waits for ever ends a test at once.

mod clocks;
mod leaving;
mod reading;
mod stuck;

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::service_fn;

use super::{House, connection, line::Reset};

/// An answer, frame by frame; before each it may have nothing to say for a while.
#[derive(Clone, Debug, Default)]
struct Script {
    frames: VecDeque<(Pause, Bytes)>,
    /// Says its length in its head.
    known: bool,
    /// The bytes that were asked for so far.
    given: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
enum Pause {
    No,
    Turn,
    For(Duration),
}

impl Script {
    fn of(count: usize, frame: usize) -> Self {
        let frame = (Pause::No, Bytes::from(vec![b'x'; frame]));
        Self { frames: std::iter::repeat_n(frame, count).collect(), ..Self::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    fn length(&self) -> usize {
        self.frames.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

struct Answer {
    script: Script,
    clock: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { script, clock } = self.get_mut();
        let Some((pause, _)) = script.frames.front_mut() else { return Poll::Ready(None) };
        match std::mem::replace(pause, Pause::No) {
            Pause::No => {}
            Pause::Turn => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Pause::For(time) => *clock = Some(Box::pin(sleep(time))),
        }
        if let Some(running) = clock {
            ready!(running.as_mut().poll(cx));
            *clock = None;
        }
        let bytes = script.frames.pop_front().map(|(_, bytes)| bytes);
        script.given.fetch_add(bytes.as_ref().map_or(0, Bytes::len), SeqCst);
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.script.known {
            true => SizeHint::with_exact(self.script.length() as u64),
            false => SizeHint::default(),
        }
    }
}

impl Reset for DuplexStream {
    fn reset(&self) {}
}

/// A client's end of a connection whose buffer holds so much each way; requests are answered by these scripts in turn.
fn served(room: usize, scripts: impl IntoIterator<Item = Script>) -> (DuplexStream, JoinHandle<bool>) {
    let (client, server) = duplex(room);
    let scripts = Arc::new(std::sync::Mutex::new(scripts.into_iter().collect::<VecDeque<_>>()));
    let edge = service_fn(move |_: Request<Incoming>| {
        let script = scripts.lock().unwrap().pop_front().unwrap();
        std::future::ready(Ok::<_, Infallible>(Response::new(Answer { script, clock: None })))
    });
    let connection = connection(server, edge, House::default());
    (client, tokio::spawn(async move { connection.await.is_ok() }))
}

/// So many requests in one piece; with the last the client says that it is done.
async fn ask(client: &mut (impl AsyncWrite + Unpin), count: usize) {
    let mut requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(count);
    requests.insert_str(requests.len() - 2, "connection: close\r\n");
    client.write_all(requests.as_bytes()).await.unwrap();
}

/// No clock of a connection runs longer.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Waits for `what`; what waits for ever ends the test.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(FOR_EVER, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited for ever: {what}"),
    }
}

/// What was written is as far as it will go.
async fn rest() {
    sleep(Duration::from_millis(10)).await;
}
