//! Resumed streams: handles of a part are notified of the outcome of that part, handles of the whole stream of the last
//! outcome.

use std::sync::{Arc, Mutex};

use http::{Response, header};
use tollgate_layers::{Class, Outcome, setting::Constant};

use crate::{
    Error,
    body::{
        AttemptTimeouts, Body, BoxResponseFuture, OutcomeCallback, Resume, ScriptStep,
        testing::{
            CLASSIFIER, DONE, ROLE, RecordedOutcomes, STOP, data, peek_for, poll_once, read, request, says,
            sse,
        },
    },
    config::Midstream,
    deployment::peek::PeekLayer,
};

/// The prefixes of the calls for the next part.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// Makes a part of a response with a transcript, and records its outcomes.
async fn part(steps: impl IntoIterator<Item = ScriptStep>) -> (Body, RecordedOutcomes) {
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER);
    let mut request = request(true);
    request.change().midstream = Midstream::Continue;
    let response = peek_for(layer, request, sse(steps)).await;
    let (mut body, outcomes) = (response.expect("an answer").into_body(), RecordedOutcomes::default());
    body.attach(OutcomeCallback::new(outcomes.callback()));
    (body, outcomes)
}

fn answered(body: Body) -> BoxResponseFuture {
    answered_as("text/event-stream", body)
}

fn answered_as(kind: &str, body: Body) -> BoxResponseFuture {
    let response = Response::builder().header(header::CONTENT_TYPE, kind).body(body);
    Box::pin(std::future::ready(Ok::<_, Error>(response.expect("a valid head").into())))
}

/// Makes a response that is not a stream.
fn plain() -> BoxResponseFuture {
    Box::pin(std::future::ready(Ok::<_, Error>(Response::new(Body::full("{}")).into())))
}

/// Returns these responses, one after the other, and records the calls.
fn next(answers: Vec<BoxResponseFuture>) -> (Resume, Asked) {
    let asked = Asked::default();
    let (known, mut answers) = (Arc::clone(&asked), answers.into_iter());
    let resume = Resume::continuing(Box::new(move |prefix: Option<Arc<str>>, outcome: &Outcome| {
        assert!(!outcome.is_success());
        known.lock().unwrap().push(prefix.as_deref().map(str::to_owned));
        answers.next()
    }));
    (resume, asked)
}

/// Makes a first part that breaks after "one ".
async fn broken() -> (Body, RecordedOutcomes) {
    part([data(ROLE), data(says("one ")), ScriptStep::Cut]).await
}

fn all(body: &mut Body, resume: Resume) -> RecordedOutcomes {
    let outcomes = RecordedOutcomes::default();
    body.resume_with(resume);
    body.attach(OutcomeCallback::new(outcomes.callback()));
    outcomes
}

#[tokio::test]
async fn resumed_stream_notifies_each_part_of_its_own_outcome() {
    let (second, of_second) = part([data(says("two")), data(STOP), data(DONE)]).await;
    let (mut body, of_first) = broken().await;
    let (resume, asked) = next(vec![answered(second)]);
    let of_all = all(&mut body, resume);
    let (received, error) = read(body).await;
    assert_eq!((received, error), ([ROLE, &says("one "), &says("two"), STOP, DONE].concat(), None));
    assert_eq!(*asked.lock().unwrap(), [Some("one ".to_owned())]);
    assert_eq!(of_first.all(), [Some(Class::Unavailable)]);
    assert_eq!((of_second.all(), of_all.all()), (vec![Some(Class::Success)], vec![Some(Class::Success)]));
}

#[tokio::test]
async fn resume_prefix_excludes_text_that_the_client_did_not_get() {
    let (second, _) = part([data(says("two")), data(STOP), data(DONE)]).await;
    let (mut body, _) = part([data(says("one ")), data(says("lost").trim_end().to_owned())]).await;
    let (resume, asked) = next(vec![answered(second)]);
    body.resume_with(resume);
    assert_eq!(read(body).await.0, [&says("one "), &says("two"), STOP, DONE].concat());
    assert_eq!(*asked.lock().unwrap(), [Some("one ".to_owned())]);
}

#[tokio::test]
async fn resume_ignores_the_case_of_the_media_type() {
    let (second, _) = part([data(says("two")), data(STOP), data(DONE)]).await;
    let (mut body, _) = broken().await;
    body.resume_with(next(vec![answered_as("Text/Event-Stream; charset=utf-8", second)]).0);
    assert!(read(body).await.0.ends_with(&[&says("two"), STOP, DONE].concat()));
}

#[tokio::test]
async fn resume_continues_after_a_part_that_broke_without_text() {
    let thinks = "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";
    let (second, _) = part([data(thinks), ScriptStep::Cut]).await;
    let (third, _) = part([data(says("two")), data(STOP), data(DONE)]).await;
    let (mut body, _) = broken().await;
    let (resume, asked) = next(vec![answered(second), answered(third)]);
    body.resume_with(resume);
    let received = read(body).await.0;
    assert_eq!(received, [ROLE, &says("one "), thinks, &says("two"), STOP, DONE].concat());
    assert_eq!(*asked.lock().unwrap(), [Some("one ".to_owned()), Some("one ".to_owned())]);
}

#[tokio::test]
async fn resume_reports_the_first_break_once_when_no_part_follows() {
    let failed: BoxResponseFuture = Box::pin(std::future::ready(Err(Error::Busy)));
    for answers in [vec![], vec![failed], vec![plain()]] {
        let (mut body, of_first) = broken().await;
        let (resume, asked) = next(answers);
        let of_all = all(&mut body, resume);
        let (received, _) = read(body).await;
        assert!(received.contains("stream_cut") && !received.contains("[DONE]"), "{received}");
        assert_eq!(
            (received.matches("\"error\"").count(), asked.lock().unwrap().len()),
            (1, 1),
            "{received}"
        );
        assert_eq!(of_first.all(), [Some(Class::Unavailable)]);
        assert_eq!(of_all.all(), [Some(Class::Unavailable)]);
    }
}

#[tokio::test]
async fn resume_cancelled_during_the_call_cancels_the_whole_stream_and_not_the_broken_part() {
    let (mut body, of_first) = broken().await;
    let of_all = all(&mut body, next(vec![Box::pin(std::future::pending())]).0);
    while poll_once(&mut body).is_ready() {}
    assert_eq!((of_first.all(), of_all.all()), (vec![Some(Class::Unavailable)], vec![]));
    drop(body);
    assert_eq!(of_all.all(), [None]);
}

#[tokio::test]
async fn resume_cancelled_in_a_later_part_cancels_that_part_and_the_whole_stream() {
    let (second, of_second) = part([data(says("two")), ScriptStep::Hang]).await;
    let (mut body, of_first) = broken().await;
    let of_all = all(&mut body, next(vec![answered(second)]).0);
    while poll_once(&mut body).is_ready() {}
    drop(body);
    assert_eq!(of_first.all(), [Some(Class::Unavailable)]);
    assert_eq!((of_second.all(), of_all.all()), (vec![None], vec![None]));
}

#[tokio::test]
async fn resume_makes_no_call_after_a_complete_stream() {
    let (mut body, of_first) = part([data(says("one")), data(STOP), data(DONE), ScriptStep::Hang]).await;
    let (resume, asked) = next(vec![]);
    let of_all = all(&mut body, resume);
    tokio::time::pause();
    let (received, error) = read(body).await;
    assert_eq!((received, error), ([&says("one"), STOP, DONE].concat(), None));
    assert_eq!((of_first.all(), of_all.all()), (vec![Some(Class::Success)], vec![Some(Class::Success)]));
    assert!(asked.lock().unwrap().is_empty());
}
