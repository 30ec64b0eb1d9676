//! What a scripted upstream does with one call: a head, and a body in parts with waits, gates and breaks between.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::upstream::Watch;

/// A step of a reply, before the head or in the body.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Bytes go out.
    Data(Bytes),
    /// Nothing happens for so long.
    Wait(Duration),
    /// Nothing happens until the test opens the gate.
    Until(Gate),
    /// Nothing happens any more.
    Hang,
    /// The connection is closed, whatever was promised.
    Cut,
    /// The connection is reset.
    Reset,
}

/// Lets a test say when a script goes on.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed one.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets through everybody who waits here or comes later.
    pub(crate) fn open(&self) {
        self.0.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    async fn passed(self) {
        drop(self.0.acquire_owned().await);
    }
}

/// The answer to one call.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(super) before: Vec<Part>,
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) parts: VecDeque<Part>,
    /// True for a body with a content length; false for a chunked one.
    pub(crate) sized: bool,
}

impl Reply {
    /// An answer of these bytes.
    pub(crate) fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            before: Vec::new(),
            status,
            headers: vec![("content-type", content_type.to_owned())],
            parts: VecDeque::from([Part::Data(body.into())]),
            sized: true,
        }
    }

    /// An answer in JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json", body.to_string())
    }

    /// A stream of events, each one part; the text between `data: ` and the blank line.
    pub(crate) fn events<T: AsRef<str>>(events: impl IntoIterator<Item = T>) -> Self {
        let parts = events.into_iter().map(|e| Part::Data(format!("data: {}\n\n", e.as_ref()).into()));
        Self { parts: parts.collect(), sized: false, ..Self::bytes(200, "text/event-stream", "") }
    }

    /// A stream of events in Anthropic's form, each one part: the type of the JSON is also the event's name.
    pub(crate) fn named_events(events: impl IntoIterator<Item = Value>) -> Self {
        let named = |event: Value| {
            let kind = event["type"].as_str().unwrap_or_default();
            Part::Data(format!("event: {kind}\ndata: {event}\n\n").into())
        };
        let parts = events.into_iter().map(named).collect();
        Self { parts, sized: false, ..Self::bytes(200, "text/event-stream", "") }
    }

    /// No answer at all.
    pub(crate) fn nothing(fault: Part) -> Self {
        Self { before: vec![fault], ..Self::bytes(200, "application/json", "{}") }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_string()));
        self
    }

    /// Waits so long before the head.
    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.before.push(Part::Wait(wait));
        self
    }

    /// Waits for the gate before the head.
    pub(crate) fn held(mut self, gate: &Gate) -> Self {
        self.before.push(Part::Until(gate.clone()));
        self
    }

    /// Does this at the end of what there is so far.
    pub(crate) fn then(mut self, part: Part) -> Self {
        self.parts.push_back(part);
        self
    }

    /// Goes on with the parts of another.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// Does this between any two parts.
    pub(crate) fn between(mut self, part: &Part) -> Self {
        let parts = std::mem::take(&mut self.parts);
        for (i, next) in parts.into_iter().enumerate() {
            if i > 0 {
                self.parts.push_back(part.clone());
            }
            self.parts.push_back(next);
        }
        self
    }

    /// Sends `n` bytes of the body and then breaks off.
    pub(crate) fn broken_after(mut self, n: usize, how: Part) -> Self {
        let mut left = n;
        let mut kept = VecDeque::new();
        self.sized = false;
        for part in self.parts {
            if let Part::Data(bytes) = part {
                let take = left.min(bytes.len());
                left -= take;
                kept.push_back(Part::Data(bytes.slice(..take)));
            } else {
                kept.push_back(part);
            }
            if left == 0 {
                break;
            }
        }
        kept.push_back(how);
        self.parts = kept;
        self
    }

    /// The content type.
    pub(crate) fn content_type(&self) -> String {
        let named = self.headers.iter().find(|(name, _)| *name == "content-type");
        named.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// All bytes of the body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let data = self.parts.iter().filter_map(|part| if let Part::Data(b) = part { Some(b) } else { None });
        data.flat_map(|bytes| bytes.iter().copied()).collect()
    }

    pub(super) fn into_body(self, watch: Watch) -> ScriptBody {
        let left = if self.sized { Some(self.body().len() as u64) } else { None };
        ScriptBody { parts: self.parts, waiting: None, left, watch }
    }
}

/// Lives through one part that is not bytes. An error means that the connection is to be broken.
pub(super) async fn live(part: Part, watch: Watch) -> io::Result<()> {
    match part {
        Part::Data(_) => {}
        Part::Wait(time) => tokio::time::sleep(time).await,
        Part::Until(gate) => gate.passed().await,
        Part::Hang => std::future::pending().await,
        Part::Cut | Part::Reset => {
            // One turn for the server to send what it has.
            tokio::task::yield_now().await;
            watch.breaking(matches!(part, Part::Reset));
            return Err(io::Error::other("broken by the script"));
        }
    }
    Ok(())
}

/// A body that follows a script.
pub(super) struct ScriptBody {
    parts: VecDeque<Part>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
    left: Option<u64>,
    watch: Watch,
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            if let Some(waiting) = &mut this.waiting {
                std::task::ready!(waiting.as_mut().poll(cx))?;
                this.waiting = None;
            }
            match this.parts.pop_front() {
                Some(Part::Data(bytes)) if bytes.is_empty() => {}
                Some(Part::Data(bytes)) => {
                    this.left = this.left.map(|left| left - bytes.len() as u64);
                    if this.left == Some(0) {
                        this.watch.answered();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(part) => this.waiting = Some(Box::pin(live(part, this.watch.clone()))),
                None => {
                    this.watch.answered();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0) && self.waiting.is_none() && self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
