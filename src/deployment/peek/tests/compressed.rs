//! Responses in a compression that was not requested.

use std::time::Duration;

use async_compression::{
    tokio::write::{GzipEncoder, ZstdEncoder},
    zstd::CParameter,
};
use http::{HeaderValue, Response, StatusCode, header};
use tokio::{io::AsyncWriteExt, time::Instant};
use tollgate_layers::{Class, setting::Constant};
use tollgate_test_support::compressed;

use crate::{
    body::{
        AttemptTimeouts, Classifier, ScriptStep, UpstreamBody,
        testing::{COMPLETION, DONE, STOP, USAGE, data, head, peek, peek_with, read, says, sse},
    },
    classify,
    deployment::peek::PeekLayer,
    error::{BodyError, HasOutcome},
};

const CODINGS: [&str; 6] = ["gzip", "x-gzip", "deflate", "br", "zstd", "identity, GZIP"];

fn with_coding(mut upstream: Response<UpstreamBody>, coding: &str) -> Response<UpstreamBody> {
    upstream.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_str(coding).expect("valid"));
    upstream
}

/// Returns the gateway's own layer.
fn layer() -> PeekLayer<Constant<AttemptTimeouts>> {
    let classifier = Classifier {
        response: classify::response,
        event: classify::event,
        failure: classify::failure,
        success: classify::success,
    };
    PeekLayer::new(Constant(AttemptTimeouts::default()), classifier)
}

#[tokio::test]
async fn a_compressed_success_is_read_and_passed_on_without_compression() {
    let json = COMPLETION.replacen('{', "{\"usage\":{\"total_tokens\":9},", 1);
    for coding in CODINGS {
        let whole = compressed(coding, &[&json]).await.unwrap().concat();
        for size in [1, 7, whole.len()] {
            let steps = whole.chunks(size).map(|piece| data(piece.to_vec()));
            let mut upstream = with_coding(head(200, "application/json", steps), coding);
            upstream.headers_mut().insert(header::CONTENT_LENGTH, whole.len().into());
            let response = peek(false, AttemptTimeouts::default(), upstream).await.expect("a response");
            assert!(!response.headers().contains_key(header::CONTENT_ENCODING), "{coding}");
            assert!(!response.headers().contains_key(header::CONTENT_LENGTH), "{coding}");
            assert_eq!(response.body().outcome().used(), Some(9), "{coding}");
            assert_eq!(read(response.into_body()).await, (json.clone(), None), "{coding}");
        }
    }
}

#[tokio::test]
async fn a_body_that_was_compressed_twice_is_read() {
    let inner = compressed("br", &[COMPLETION]).await.unwrap().concat();
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(&inner).await.expect("written");
    encoder.shutdown().await.expect("shut down");
    let upstream = with_coding(head(200, "application/json", [data(encoder.into_inner())]), "br, gzip");
    let response = peek(false, AttemptTimeouts::default(), upstream).await.expect("a response");
    assert_eq!(read(response.into_body()).await.0, COMPLETION);
}

#[tokio::test]
async fn a_compressed_error_is_classified_by_its_body_and_passed_on_without_compression() {
    let error =
        r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    let limit = r#"{"error":{"message":"Rate limit reached. Please try again in 30s.","code":"rate_limit_exceeded"}}"#;
    for coding in CODINGS {
        let whole = compressed(coding, &[error]).await.unwrap().concat();
        let upstream = with_coding(head(400, "application/json", [data(whole)]), coding);
        let response = peek_with(layer(), false, upstream).await.expect("a response");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.body().outcome().class(), Class::ContextWindow, "{coding}");
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING), "{coding}");
        assert_eq!(read(response.into_body()).await.0, error, "{coding}");

        let whole = compressed(coding, &[limit]).await.unwrap().concat();
        let upstream = with_coding(head(429, "application/json", [data(whole)]), coding);
        let response = peek_with(layer(), true, upstream).await.expect("a response");
        assert_eq!(response.body().outcome().retry_after(), Some(Duration::from_secs(30)), "{coding}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_compressed_stream_is_watched_event_by_event() {
    let events = [&says("a"), &says("b"), STOP, USAGE, DONE];
    for coding in CODINGS {
        let pieces = compressed(coding, &events).await.unwrap();
        let steps =
            pieces.into_iter().flat_map(|piece| [data(piece), ScriptStep::Wait(Duration::from_secs(5))]);
        let upstream = with_coding(sse(steps), coding);
        let began = Instant::now();
        let response = peek(true, AttemptTimeouts::default(), upstream).await.expect("a response");
        assert_eq!(began.elapsed().as_secs(), 0, "{coding}: committed at the first event");
        let mut body = response.into_body();
        let first = http_body_util::BodyExt::frame(&mut body).await.expect("a frame").expect("no fault");
        assert_eq!(first.into_data().expect("data"), says("a"), "{coding}");
        assert_eq!(began.elapsed().as_secs(), 0, "{coding}");
        // The stream is complete two seconds after its finish reason.
        assert_eq!(read(body).await.0, [&says("b"), STOP, DONE].concat(), "{coding}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_decompressed_is_a_fault_that_can_be_retried() {
    for coding in CODINGS {
        let whole = compressed(coding, &[COMPLETION]).await.unwrap().concat();
        let mut broken = whole.clone();
        let middle = broken.len() / 2;
        broken[middle..].iter_mut().for_each(|byte| *byte = !*byte);
        for (stream, bytes) in
            [(false, &whole[..whole.len() - 9]), (false, &broken), (true, b"plain text"), (false, b"")]
        {
            let upstream = with_coding(head(200, "application/json", [data(bytes.to_vec())]), coding);
            let error = peek(stream, AttemptTimeouts::default(), upstream).await.expect_err("a fault");
            assert_eq!(error.outcome().class(), Class::Unavailable, "{coding}");
            assert!(
                matches!(error, BodyError::Undecodable | BodyError::Truncated | BodyError::Empty),
                "{coding}: {error}"
            );
        }
        let cut = [data(whole[..5].to_vec()), ScriptStep::Cut];
        let upstream = with_coding(head(200, "application/json", cut), coding);
        let error = peek(false, AttemptTimeouts::default(), upstream).await.expect_err("a fault");
        assert_eq!(error, BodyError::Cut, "{coding}");
        // An error with a body that cannot be read keeps its status.
        let upstream = with_coding(head(429, "application/json", [data(broken)]), coding);
        let response = peek_with(layer(), false, upstream).await.expect("a response");
        assert_eq!(
            (response.status().as_u16(), response.body().outcome().class()),
            (429, Class::RateLimited)
        );
        assert!(read(response.into_body()).await.0.contains("compressed_error"), "{coding}");
    }
}

#[tokio::test]
async fn the_limits_of_what_is_held_count_decompressed_bytes() {
    let zeros = "0".repeat(8 << 20);
    for coding in CODINGS {
        let whole = compressed(coding, &[&zeros]).await.unwrap().concat();
        assert!(whole.len() < 64 << 10, "{coding}");
        let upstream = with_coding(head(500, "text/plain", [data(whole.clone())]), coding);
        let response = peek_with(layer(), false, upstream).await.expect("a response");
        let (body, _) = read(response.into_body()).await;
        assert!((1 << 20..(1 << 20) + (64 << 10)).contains(&body.len()), "{coding}: {}", body.len());
        // Text that is not JSON is refused after 64 KB.
        let upstream = with_coding(head(200, "application/json", [data(whole)]), coding);
        assert_eq!(
            peek(false, AttemptTimeouts::default(), upstream).await.expect_err("a fault"),
            BodyError::NotJson
        );
    }
}

#[tokio::test]
async fn a_zstd_window_of_more_than_8_mb_is_refused() {
    let mut encoder = ZstdEncoder::with_quality_and_params(
        Vec::new(),
        async_compression::Level::Default,
        &[CParameter::window_log(27)],
    );
    encoder.write_all(COMPLETION.as_bytes()).await.expect("written");
    encoder.shutdown().await.expect("shut down");
    let upstream = with_coding(head(200, "application/json", [data(encoder.into_inner())]), "zstd");
    let error = peek(false, AttemptTimeouts::default(), upstream).await.expect_err("a fault");
    assert_eq!(error, BodyError::Undecodable);
}
