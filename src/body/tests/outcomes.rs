//! However an answer ends, each of its handles hears it exactly once, and everything is given back.

use std::sync::Arc;

use http::HeaderMap;
use http_body::Body as _;
use tokio::sync::Semaphore;
use tollgate_layers::{Class, Classify, Outcome, TrackOutcome, setting::Constant};

use crate::{
    body::{
        AttemptTimeouts, Body, BodyOutcome, Classifier, OutcomeCallback, ScriptStep,
        testing::{
            CLASSIFIER, DONE, RecordedOutcomes, STOP, data, head, peek, peek_with, poll_once, read, says, sse,
        },
    },
    deployment::peek::PeekLayer,
    error::BodyError,
    request::Response,
};

/// An answer with a permit and a listener fastened to it, and what became of both.
struct Fastened {
    heard: RecordedOutcomes,
    places: Arc<Semaphore>,
}

impl Fastened {
    fn to(result: Result<Response, BodyError>) -> (Self, Result<Response, BodyError>) {
        let this = Self { heard: RecordedOutcomes::default(), places: Arc::new(Semaphore::new(1)) };
        let permit = Arc::clone(&this.places).try_acquire_owned().expect("one is free");
        let result = BodyOutcome.track(permit, result);
        let result = BodyOutcome.track(OutcomeCallback::new(this.heard.listening()), result);
        (this, result)
    }

    fn assert(&self, heard: &[Option<Class>], what: &str) {
        assert_eq!(self.heard.all(), heard, "{what}");
        let held = heard.is_empty();
        assert_eq!(self.places.available_permits(), usize::from(!held), "{what}");
    }
}

async fn stream(steps: impl IntoIterator<Item = ScriptStep>) -> (Fastened, Body) {
    let (fastened, response) = Fastened::to(peek(true, AttemptTimeouts::default(), sse(steps)).await);
    (fastened, response.expect("an answer").into_body())
}

#[tokio::test]
async fn dropped_unpolled_is_a_cancel() {
    let (fastened, body) = stream([data(says("a")), ScriptStep::Hang]).await;
    fastened.assert(&[], "under way");
    drop(body);
    fastened.assert(&[None], "dropped");
}

#[tokio::test]
async fn dropped_midway_is_a_cancel() {
    let (fastened, mut body) = stream([data(says("a")), ScriptStep::Hang]).await;
    assert!(poll_once(&mut body).is_ready());
    assert!(poll_once(&mut body).is_pending());
    fastened.assert(&[], "under way");
    drop(body);
    fastened.assert(&[None], "dropped");
}

#[tokio::test]
async fn a_stream_that_ends_well_is_heard_at_its_end() {
    let (fastened, body) = stream([data(says("a")), data(STOP), data(DONE)]).await;
    fastened.assert(&[], "under way");
    read(body).await;
    fastened.assert(&[Some(Class::Success)], "read");
}

#[tokio::test]
async fn a_cut_is_heard_as_a_failure() {
    let (fastened, body) = stream([data(says("a")), ScriptStep::Cut]).await;
    fastened.assert(&[], "under way");
    read(body).await;
    fastened.assert(&[Some(Class::Unavailable)], "read");
}

#[tokio::test]
async fn a_body_of_known_length_is_heard_though_nobody_asks_for_its_end() {
    let json = format!("[{}0]", "1,".repeat(50_000));
    let mut upstream =
        head(200, "application/json", [data(json[..90_000].to_owned()), data(json[90_000..].to_owned())]);
    upstream.headers_mut().insert(http::header::CONTENT_LENGTH, json.len().into());
    let (fastened, response) = Fastened::to(peek(false, AttemptTimeouts::default(), upstream).await);
    let mut body = response.expect("an answer").into_body();
    let mut received = 0;
    while !body.is_end_stream() {
        fastened.assert(&[], "under way");
        received += match poll_once(&mut body) {
            std::task::Poll::Ready(Some(Ok(data))) => data.len(),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(received, json.len());
    fastened.assert(&[Some(Class::Success)], "before the drop");
    drop(body);
    fastened.assert(&[Some(Class::Success)], "and not twice");
}

#[tokio::test]
async fn a_complete_answer_holds_nothing_from_the_start() {
    let (fastened, _answer) = Fastened::to(
        peek(false, AttemptTimeouts::default(), head(200, "application/json", [data("{}")])).await,
    );
    fastened.assert(&[Some(Class::Success)], "a short success");
    let (fastened, _answer) =
        Fastened::to(peek(false, AttemptTimeouts::default(), head(500, "text/plain", [data("no")])).await);
    fastened.assert(&[Some(Class::Unavailable)], "an error answer, as Fallback holds it");
    let (fastened, response) =
        Fastened::to(peek(true, AttemptTimeouts::default(), sse([ScriptStep::Cut])).await);
    fastened.assert(&[Some(Class::Unavailable)], "an error");
    assert_eq!(BodyOutcome.classify(response.as_ref()).class(), Class::Unavailable);
}

#[tokio::test]
async fn a_panic_while_polled_gives_everything_back() {
    fn bug(_: &[u8], _: &HeaderMap) -> Option<Outcome> {
        panic!("a bug")
    }
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), Classifier { event: bug, ..CLASSIFIER });
    let steps = [data(says("a")), data("data: {\"error\":{\"message\":\"x\"}}\n\n")];
    let (fastened, response) = Fastened::to(peek_with(layer, true, sse(steps)).await);
    let body = response.expect("an answer").into_body();
    let ended = tokio::spawn(read(body)).await;
    assert!(ended.expect_err("it panicked").is_panic());
    fastened.assert(&[None], "after the panic");
}

#[tokio::test]
async fn more_handles_than_have_a_place_are_heard_all_the_same() {
    let heard = RecordedOutcomes::default();
    let response =
        peek(true, AttemptTimeouts::default(), sse([data(says("a")), data(DONE)])).await.expect("an answer");
    let mut body = response.into_body();
    for _ in 0..20 {
        body.attach(OutcomeCallback::new(heard.listening()));
    }
    read(body).await;
    assert_eq!(heard.all(), [Some(Class::Success); 20]);
}
