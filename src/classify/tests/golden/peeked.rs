//! Tests of the classifier behind Peek: it gets the details of an error from every form of response.

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use tollgate_layers::setting::Constant;

use super::{Row, headers, rows, verdict};
use crate::{
    body::{AttemptTimeouts, Classifier, UpstreamBody, testing::peek_with},
    classify::{event, failure, kind_of, response, success},
    deployment::peek::PeekLayer,
    request,
};

const EVENTS: &str = "text/event-stream";
const CONTENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

/// Sends a 200 with the headers of this row, and this body, through Peek.
async fn peek(row: &Row<'_>, kind: &'static str, body: String) -> request::Response {
    let mut upstream = Response::new(UpstreamBody::full(body));
    *upstream.headers_mut() = headers(&row.head);
    upstream.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let classifier = Classifier { response, event, failure, success };
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), classifier);
    let result = peek_with(layer, kind == EVENTS, upstream).await;
    result.unwrap_or_else(|error| panic!("{}: {error}", row.name))
}

fn one_event(row: &Row<'_>) -> String {
    format!("data: {}\n\n", row.body.trim())
}

#[tokio::test]
async fn an_error_in_a_200_has_the_same_outcome_as_json_and_as_an_event() {
    let rows = rows(include_str!("../events.http"));
    let mut wrong = Vec::new();
    for row in &rows {
        let plain = peek(row, "application/json", row.body.to_owned()).await;
        let event = peek(row, EVENTS, one_event(row) + "data: [DONE]\n\n").await;
        for response in [plain, event] {
            let got = verdict(response.body().outcome());
            if response.status() == StatusCode::OK || got != row.wanted {
                wrong.push(format!("{}: {} {got}, not {}", row.name, response.status(), row.wanted));
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
        let body = first.into_body().collect().await.expect("no error").to_bytes();
        assert!(body.starts_with(b"{\"error\":{"), "{}: {body:?}", row.name);

        let mut late = peek(row, EVENTS, CONTENT.to_owned() + &named + "data: [DONE]\n\n").await.into_body();
        let mut received = String::new();
        while let Some(frame) = late.frame().await {
            let bytes = frame.expect("no error").into_data().expect("data");
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
async fn an_error_event_after_content_breaks_the_stream() {
    let rows = rows(include_str!("../events.http"));
    for row in &rows {
        let mut body =
            peek(row, EVENTS, CONTENT.to_owned() + &one_event(row) + "data: [DONE]\n\n").await.into_body();
        let mut seen = Vec::new();
        while let Some(frame) = body.frame().await {
            seen.extend_from_slice(&frame.expect("no error").into_data().expect("data"));
        }
        let seen = String::from_utf8(seen).expect("utf-8");
        let tail = seen.strip_prefix(CONTENT).unwrap_or_else(|| panic!("{}: {seen}", row.name));
        assert!(tail.starts_with("data: {\"error\":{") && !tail.contains("[DONE]"), "{}: {tail}", row.name);
        assert!(!body.outcome().is_success(), "{}", row.name);
    }
}
