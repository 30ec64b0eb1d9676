//! The classifier gets the details of an error from every form of response.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tollgate_layers::setting::Constant;
use tower::{Layer, ServiceExt, service_fn};

use super::{Row, headers, rows, verdict};
use crate::{
    body::{AttemptTimeouts, Classifier, UpstreamBody},
    classify::{answer, event, failure, kind_of, success},
    deployment::peek::PeekLayer,
    error::BodyError,
    request::{self, Layout, Operation, Overrides, ParsedRequest, Request, RequestContext, RequestInfo},
};

const EVENTS: &str = "text/event-stream";
const CONTENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

fn request(stream: bool) -> Request {
    let info = RequestInfo {
        operation: Operation::Chat,
        model: "m".into(),
        stream,
        include_usage: None,
        overrides: Overrides::default(),
        layout: Layout::default(),
        choices: Some(1),
        prompt_tokens: 1,
        output_tokens: None,
    };
    let context = RequestContext::new(Instant::now(), None);
    Request::from(ParsedRequest::new(Bytes::new().into(), Arc::new(info), Arc::new(context)))
}

/// Returns the outcome of a 200 with the headers of this row.
async fn peek(row: &Row<'_>, kind: &'static str, body: String) -> request::Response {
    let mut head = Response::new(UpstreamBody::full(body));
    *head.headers_mut() = headers(&row.head);
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut head = Some(head);
    let inner = service_fn(move |_| {
        let head = head.take().expect("called once");
        std::future::ready(Ok::<_, BodyError>(head))
    });
    let layer = PeekLayer::new(
        Constant(AttemptTimeouts::default()),
        Classifier { response: answer, event, failure, success },
    );
    let answer = layer.layer(inner).oneshot(request(kind == EVENTS)).await;
    answer.unwrap_or_else(|fault| panic!("{}: {fault}", row.name))
}

fn one_event(row: &Row<'_>) -> String {
    format!("data: {}\n\n", row.body.trim())
}

#[tokio::test]
async fn an_error_in_a_200_is_a_refusal_of_its_kind_whether_it_comes_plain_or_as_an_event() {
    let rows = rows(include_str!("../events.http"));
    let mut wrong = Vec::new();
    for row in &rows {
        let plain = peek(row, "application/json", row.body.to_owned()).await;
        let event = peek(row, EVENTS, one_event(row) + "data: [DONE]\n\n").await;
        for answer in [plain, event] {
            let got = verdict(answer.body().outcome());
            if answer.status() == StatusCode::OK || got != row.wanted {
                wrong.push(format!("{}: {} {got}, not {}", row.name, answer.status(), row.wanted));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The forms of an event that is named an error.
const NAMED: [&str; 4] = [
    "event: error\ndata: {}\n\n",
    "id:1\nevent:error\n:HTTP_STATUS/400\ndata:{}\n\n",
    "data: {}\r\nevent: Error\r\n\r\n",
    "error: {}\n\n",
];

#[tokio::test]
async fn a_named_error_event_is_an_error_before_content_and_breaks_the_stream_after_it() {
    let rows = rows(include_str!("../named_events.http"));
    for (row, form) in rows.iter().flat_map(|row| NAMED.map(|form| (row, form))) {
        let named = form.replace("{}", row.body.trim());
        let first = peek(row, EVENTS, named.clone()).await;
        assert_eq!(verdict(first.body().outcome()), row.wanted, "{} {form}", row.name);
        assert!(!first.status().is_success(), "{}", row.name);
        let body = first.into_body().collect().await.expect("no fault").to_bytes();
        assert!(body.starts_with(b"{\"error\":{"), "{}: {body:?}", row.name);

        let mut late = peek(row, EVENTS, CONTENT.to_owned() + &named + "data: [DONE]\n\n").await.into_body();
        let mut received = String::new();
        while let Some(frame) = late.frame().await {
            let bytes = frame.expect("no fault").into_data().expect("data");
            received.push_str(std::str::from_utf8(&bytes).expect("utf-8"));
        }
        assert!(received.starts_with(&format!("{CONTENT}data: {{\"error\":{{")), "{}: {received}", row.name);
        assert_eq!(kind_of(late.outcome()), kind_of_text(&row.wanted), "{}", row.name);
    }
}

fn kind_of_text(wanted: &str) -> crate::classify::OutcomeKind {
    let name = wanted.split(' ').next().unwrap_or_default();
    let all = crate::classify::OutcomeKind::ALL;
    all.into_iter().find(|kind| format!("{kind:?}") == name).expect("a kind")
}

#[tokio::test]
async fn a_named_error_event_without_data_is_a_server_error() {
    let rows = rows(include_str!("../named_events.http"));
    for form in [
        "event: error\n\n",
        "event: error\ndata:\n\n",
        "event: error\ndata: {}\n\n",
        "event: error\ndata: [DONE]\n\n",
    ] {
        let response = peek(&rows[0], EVENTS, form.to_owned()).await;
        assert_eq!(verdict(response.body().outcome()), "ServerError", "{form:?}");
    }
}

#[tokio::test]
async fn an_error_behind_content_breaks_the_stream() {
    let rows = rows(include_str!("../events.http"));
    for row in &rows {
        let mut body =
            peek(row, EVENTS, CONTENT.to_owned() + &one_event(row) + "data: [DONE]\n\n").await.into_body();
        let mut seen = Vec::new();
        while let Some(frame) = body.frame().await {
            seen.extend_from_slice(&frame.expect("no fault").into_data().expect("data"));
        }
        let seen = String::from_utf8(seen).expect("utf-8");
        let tail = seen.strip_prefix(CONTENT).unwrap_or_else(|| panic!("{}: {seen}", row.name));
        assert!(tail.starts_with("data: {\"error\":{") && !tail.contains("[DONE]"), "{}: {tail}", row.name);
        assert!(!body.outcome().is_success(), "{}", row.name);
    }
}
