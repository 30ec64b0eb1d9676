//! The record of one request: [`Record`], made where its response ends, and read by each [`RecordReader`].
//!
//! A [`Recorder`] begins a [`Draft`] for each request if there is a reader. The layers below find the draft while they
//! are called ([`current`]), add what they know, and keep it in the request's context. The record is made when the
//! response's body has ended, or when the client has disconnected before. Without a reader there is no draft: no layer
//! formats or allocates anything.
//!
//! The counters of [`metrics`](crate::metrics) are not a reader. They count at each tier, with the readings of the clock
//! that the tier makes anyway: a failed attempt is counted when it ends, not when the request does.

mod client;
pub(crate) mod current;
mod draft;
mod message;
mod open;
mod trace;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Method};
use tollgate_layers::Class;

pub(crate) use self::{
    client::TrustedProxies,
    draft::{AttemptHandle, AttemptResult, Draft},
    message::scrubbed,
    open::{OpenRecord, Recorder},
    trace::{Sampler, TRACEPARENT, Trace},
};
use crate::{error::Origin, metrics::Tokens};

/// A reader of records: an access log, for example. It is called on the runtime's workers and must not block.
pub(crate) trait RecordReader: Send + Sync {
    /// Reads the record of a request that has ended.
    fn read(&self, record: &Arc<Record>);
}

/// The record of a request that has ended.
#[derive(Debug)]
pub(crate) struct Record {
    /// The request.
    pub request: RequestFacts,
    /// The course of the request below the front.
    pub course: Course,
    /// The response.
    pub response: ResponseFacts,
}

/// The facts about a request that are known at its start.
#[derive(Debug)]
pub(crate) struct RequestFacts {
    /// The time of the arrival.
    pub time: SystemTime,
    pub method: Method,
    /// The path without the query, which may contain a key.
    pub path: String,
    /// The address of the client; `None` if the gateway is mounted in another server.
    pub client: Option<IpAddr>,
    /// The header `x-request-id` of the client.
    pub request_id: Option<HeaderValue>,
    /// The trace, if requests are traced.
    pub trace: Option<Trace>,
}

/// The facts about a response.
#[derive(Debug, Default)]
pub(crate) struct ResponseFacts {
    /// The id of the call, if there was a response.
    pub call_id: Option<HeaderValue>,
    /// The status; 499 if the client disconnected before the response.
    pub status: u16,
    /// The class; `None` if the client disconnected before the end.
    pub class: Option<Class>,
    /// The deployment that sent the response.
    pub origin: Option<Arc<Origin>>,
    /// The time to the first content.
    pub first_content: Option<Duration>,
    /// The time to the end.
    pub total: Duration,
    /// The number of bytes of the body that were sent.
    pub bytes: u64,
}

/// The course of a request below the front.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// The name of the client's key, if it has one of its own.
    pub key: Option<Arc<str>>,
    /// The name of the operation; `None` if the request was refused before it was a call of a model.
    pub operation: Option<&'static str>,
    /// The model that the client named.
    pub model: Option<Arc<str>>,
    /// The number of bytes of the request's body.
    pub bytes: u64,
    /// The time from the arrival to the call of the tree.
    pub read: Duration,
    /// The attempts, in the order of their beginnings.
    pub attempts: Vec<Attempt>,
    /// The groups that were called after the first.
    pub fallbacks: Vec<Arc<str>>,
    /// The cost of all attempts in dollars, if their prices are known.
    pub cost: Option<f64>,
}

/// An attempt on a deployment.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The deployment.
    pub origin: Arc<Origin>,
    /// The beginning and the end, counted from the request's arrival.
    pub begun: Duration,
    pub ended: Duration,
    /// The class; `None` for a cancelled attempt.
    pub class: Option<Class>,
    /// The status of the upstream, if it sent one.
    pub status: Option<u16>,
    pub tokens: Tokens,
    /// The message of a failure, without keys and without words of the request.
    pub message: Option<String>,
}

impl Course {
    /// Returns the time in the tree without an attempt in progress, `total` after the arrival.
    pub(crate) fn queue(&self, total: Duration) -> Duration {
        let (mut waited, mut free) = (Duration::ZERO, self.read);
        for attempt in &self.attempts {
            waited += attempt.begun.saturating_sub(free);
            free = free.max(attempt.ended);
        }
        // A request that no deployment had capacity for has waited to its end.
        if self.attempts.is_empty() && self.operation.is_some() {
            waited = total.saturating_sub(free);
        }
        waited
    }
}

impl Record {
    /// Returns true if the response was a success and the client has received all of it.
    pub(crate) fn is_success(&self) -> bool {
        self.response.class == Some(Class::Success)
    }

    /// Returns the time for which the request was in the tree without an attempt in progress: it waited for capacity, or
    /// before a retry.
    pub(crate) fn queue(&self) -> Duration {
        self.course.queue(self.response.total)
    }

    /// Returns the tokens of all attempts.
    pub(crate) fn tokens(&self) -> Tokens {
        self.course.attempts.iter().fold(Tokens::default(), |sum, attempt| Tokens {
            input: sum.input.saturating_add(attempt.tokens.input),
            cached: sum.cached.saturating_add(attempt.tokens.cached),
            output: sum.output.saturating_add(attempt.tokens.output),
        })
    }
}
