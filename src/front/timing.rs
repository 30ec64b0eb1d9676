//! The header `Server-Timing`, which states where the time of a response went: [`write`].

use std::{fmt::Write, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::{
    log::Millis,
    metrics::class_name,
    record::{Attempt, Course},
    request::RequestContext,
};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The largest number of attempts that are listed one by one.
const LISTED: usize = 8;

/// Writes the times of a request up to the head of its response: in the queue, in each attempt, in all of them, and in the
/// gateway itself.
pub(super) fn write(headers: &mut HeaderMap, context: &RequestContext) {
    let Some(draft) = &context.draft else { return };
    let total = Instant::now().saturating_duration_since(context.arrival);
    let text = draft.read(|course| text(course, total, context.upstream()));
    // Names of classes and numbers are valid in a header.
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(SERVER_TIMING, value);
    }
}

fn text(course: &Course, total: Duration, upstream: Duration) -> String {
    let queue = course.queue(total);
    let mut text = format!("queue;dur={}", Millis(queue));
    for (index, attempt) in course.attempts.iter().take(LISTED).enumerate() {
        let Attempt { begun, ended, class, .. } = attempt;
        let (number, time) = (index + 1, Millis(ended.saturating_sub(*begun)));
        // Writing to a string does not fail.
        let _written = write!(text, ", attempt{number};desc={};dur={time}", class_name(*class));
    }
    let gateway = total.saturating_sub(queue).saturating_sub(upstream);
    let _written = write!(text, ", upstream;dur={}, gateway;dur={}", Millis(upstream), Millis(gateway));
    text
}
