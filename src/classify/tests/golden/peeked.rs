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
    classify::{answer, event, failure, success},
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
