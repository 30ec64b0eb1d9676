//! Each handle is notified of the outcome exactly once, however a response ends, and everything is released.

use std::sync::Arc;

use http::HeaderMap;
use http_body::Body as _;
use tokio::sync::Semaphore;
use tollgate_layers::{Class, Classify, Outcome, TrackOutcome, setting::Constant};

use crate::{
    body::{
        AttemptTimeouts, Body, BodyOutcome, Classifier, OutcomeCallback, ScriptStep,
        testing::{
            CLASSIFIER, COMPLETION, DONE, RecordedOutcomes, STOP, data, head, peek, peek_with, poll_once,
            read, says, sse,
        },
    },
    deployment::peek::PeekLayer,
    error::BodyError,
    request::Response,
};

/// A permit and a callback that are attached to a response.
struct Attached {
    outcomes: RecordedOutcomes,
    permits: Arc<Semaphore>,
}

impl Attached {
    fn to(result: Result<Response, BodyError>) -> (Self, Result<Response, BodyError>) {
        let this = Self { outcomes: RecordedOutcomes::default(), permits: Arc::new(Semaphore::new(1)) };
        let permit = Arc::clone(&this.permits).try_acquire_owned().expect("a free permit");
        let result = BodyOutcome.track(permit, result);
        let result = BodyOutcome.track(OutcomeCallback::new(this.outcomes.callback()), result);
        (this, result)
    }

    fn assert(&self, expected: &[Option<Class>], what: &str) {
        assert_eq!(self.outcomes.all(), expected, "{what}");
        let held = expected.is_empty();
        assert_eq!(self.permits.available_permits(), usize::from(!held), "{what}");
    }
}

async fn stream(steps: impl IntoIterator<Item = ScriptStep>) -> (Attached, Body) {
    let (attached, response) = Attached::to(peek(true, AttemptTimeouts::default(), sse(steps)).await);
    (attached, response.expect("an answer").into_body())
}

#[tokio::test]
async fn body_dropped_unpolled_is_cancelled() {
    let (attached, body) = stream([data(says("a")), ScriptStep::Hang]).await;
    attached.assert(&[], "under way");
    drop(body);
    attached.assert(&[None], "dropped");
}

#[tokio::test]
async fn body_dropped_midway_is_cancelled() {
    let (attached, mut body) = stream([data(says("a")), ScriptStep::Hang]).await;
    assert!(poll_once(&mut body).is_ready());
    assert!(poll_once(&mut body).is_pending());
    attached.assert(&[], "under way");
    drop(body);
    attached.assert(&[None], "dropped");
}

#[tokio::test]
async fn handles_are_notified_at_the_end_of_a_complete_stream() {
    let (attached, body) = stream([data(says("a")), data(STOP), data(DONE)]).await;
    attached.assert(&[], "under way");
    read(body).await;
    attached.assert(&[Some(Class::Success)], "read");
}

#[tokio::test]
async fn handles_are_notified_of_a_failure_when_a_stream_is_cut() {
    let (attached, body) = stream([data(says("a")), ScriptStep::Cut]).await;
    attached.assert(&[], "under way");
    read(body).await;
    attached.assert(&[Some(Class::Unavailable)], "read");
}

#[tokio::test]
async fn handles_are_notified_by_a_body_of_known_length_before_its_end_is_polled() {
    let json = format!("[{}0]", "1,".repeat(50_000));
    let mut upstream =
        head(200, "application/json", [data(json[..90_000].to_owned()), data(json[90_000..].to_owned())]);
    upstream.headers_mut().insert(http::header::CONTENT_LENGTH, json.len().into());
    let (attached, response) = Attached::to(peek(false, AttemptTimeouts::default(), upstream).await);
    let mut body = response.expect("an answer").into_body();
    let mut received = 0;
    while !body.is_end_stream() {
        attached.assert(&[], "under way");
        received += match poll_once(&mut body) {
            std::task::Poll::Ready(Some(Ok(data))) => data.len(),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(received, json.len());
    attached.assert(&[Some(Class::Success)], "before the drop");
    drop(body);
    attached.assert(&[Some(Class::Success)], "and not twice");
}

#[tokio::test]
async fn complete_response_notifies_handles_at_once() {
    let (attached, _answer) = Attached::to(
        peek(false, AttemptTimeouts::default(), head(200, "application/json", [data(COMPLETION)])).await,
    );
    attached.assert(&[Some(Class::Success)], "a short success");
    let (attached, _answer) =
        Attached::to(peek(false, AttemptTimeouts::default(), head(500, "text/plain", [data("no")])).await);
    attached.assert(&[Some(Class::Unavailable)], "an error answer, as Fallback holds it");
    let (attached, response) =
        Attached::to(peek(true, AttemptTimeouts::default(), sse([ScriptStep::Cut])).await);
    attached.assert(&[Some(Class::Unavailable)], "an error");
    assert_eq!(BodyOutcome.classify(response.as_ref()).class(), Class::Unavailable);
}

#[tokio::test]
async fn panic_in_a_poll_releases_all_handles() {
    fn bug(_: &[u8], _: &HeaderMap) -> Option<Outcome> {
        panic!("a bug")
    }
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), Classifier { event: bug, ..CLASSIFIER });
    let steps = [data(says("a")), data("data: {\"error\":{\"message\":\"x\"}}\n\n")];
    let (attached, response) = Attached::to(peek_with(layer, true, sse(steps)).await);
    let body = response.expect("an answer").into_body();
    let ended = tokio::spawn(read(body)).await;
    assert!(ended.expect_err("it panicked").is_panic());
    attached.assert(&[None], "after the panic");
}

#[tokio::test]
async fn handles_beyond_the_usual_number_are_notified() {
    let outcomes = RecordedOutcomes::default();
    let response =
        peek(true, AttemptTimeouts::default(), sse([data(says("a")), data(DONE)])).await.expect("an answer");
    let mut body = response.into_body();
    for _ in 0..20 {
        body.attach(OutcomeCallback::new(outcomes.callback()));
    }
    read(body).await;
    assert_eq!(outcomes.all(), [Some(Class::Success); 20]);
}
