//! A stream in several parts: whoever listens to a part hears the end of that, whoever listens to all of it the last.

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

/// What the next part was asked with.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// A part of an answer, remembered, and who listens to it.
async fn part(steps: impl IntoIterator<Item = ScriptStep>) -> (Body, RecordedOutcomes) {
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER);
    let mut request = request(true);
    request.change().midstream = Midstream::Continue;
    let response = peek_for(layer, request, sse(steps)).await;
    let (mut body, heard) = (response.expect("an answer").into_body(), RecordedOutcomes::default());
    body.attach(OutcomeCallback::new(heard.listening()));
    (body, heard)
}

fn answered(body: Body) -> BoxResponseFuture {
    answered_as("text/event-stream", body)
}

fn answered_as(kind: &str, body: Body) -> BoxResponseFuture {
    let response = Response::builder().header(header::CONTENT_TYPE, kind).body(body);
    Box::pin(std::future::ready(Ok::<_, Error>(response.expect("a valid head").into())))
}

/// An answer that is no stream.
fn plain() -> BoxResponseFuture {
    Box::pin(std::future::ready(Ok::<_, Error>(Response::new(Body::full("{}")).into())))
}

/// Asks for these, one behind the other.
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

/// The first part broke after "one ".
async fn broken() -> (Body, RecordedOutcomes) {
    part([data(ROLE), data(says("one ")), ScriptStep::Cut]).await
}

fn all(body: &mut Body, resume: Resume) -> RecordedOutcomes {
    let heard = RecordedOutcomes::default();
    body.resume_with(resume);
    body.attach(OutcomeCallback::new(heard.listening()));
    heard
}

#[tokio::test]
async fn each_hears_the_end_of_its_own() {
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
async fn what_the_client_never_saw_is_not_gone_on_with() {
    let (second, _) = part([data(says("two")), data(STOP), data(DONE)]).await;
    let (mut body, _) = part([data(says("one ")), data(says("lost").trim_end().to_owned())]).await;
    let (resume, asked) = next(vec![answered(second)]);
    body.resume_with(resume);
    assert_eq!(read(body).await.0, [&says("one "), &says("two"), STOP, DONE].concat());
    assert_eq!(*asked.lock().unwrap(), [Some("one ".to_owned())]);
}

#[tokio::test]
async fn a_media_type_has_no_case() {
    let (second, _) = part([data(says("two")), data(STOP), data(DONE)]).await;
    let (mut body, _) = broken().await;
    body.resume_with(next(vec![answered_as("Text/Event-Stream; charset=utf-8", second)]).0);
    assert!(read(body).await.0.ends_with(&[&says("two"), STOP, DONE].concat()));
}

#[tokio::test]
async fn a_part_that_broke_before_it_said_a_word_is_gone_on_with_as_well() {
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
async fn when_nobody_goes_on_the_first_break_is_told_once() {
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
async fn who_leaves_while_another_is_asked_has_cancelled_all_of_it_and_not_the_part_that_broke() {
    let (mut body, of_first) = broken().await;
    let of_all = all(&mut body, next(vec![Box::pin(std::future::pending())]).0);
    while poll_once(&mut body).is_ready() {}
    assert_eq!((of_first.all(), of_all.all()), (vec![Some(Class::Unavailable)], vec![]));
    drop(body);
    assert_eq!(of_all.all(), [None]);
}

#[tokio::test]
async fn who_leaves_in_a_later_part_cancels_that_and_all_of_it() {
    let (second, of_second) = part([data(says("two")), ScriptStep::Hang]).await;
    let (mut body, of_first) = broken().await;
    let of_all = all(&mut body, next(vec![answered(second)]).0);
    while poll_once(&mut body).is_ready() {}
    drop(body);
    assert_eq!(of_first.all(), [Some(Class::Unavailable)]);
    assert_eq!((of_second.all(), of_all.all()), (vec![None], vec![None]));
}

#[tokio::test]
async fn a_whole_stream_asks_nobody() {
    let (mut body, of_first) = part([data(says("one")), data(STOP), data(DONE), ScriptStep::Hang]).await;
    let (resume, asked) = next(vec![]);
    let of_all = all(&mut body, resume);
    tokio::time::pause();
    let (received, error) = read(body).await;
    assert_eq!((received, error), ([&says("one"), STOP, DONE].concat(), None));
    assert_eq!((of_first.all(), of_all.all()), (vec![Some(Class::Success)], vec![Some(Class::Success)]));
    assert!(asked.lock().unwrap().is_empty());
}
