//! Request bodies in a content coding.

use bytes::Bytes;
use http::Method;
use serde_json::json;
use tollgate_test_support::compressed;

use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Answer, Client, request},
};

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// A body with white space, digits and escapes that a parser would not write again.
const BODY: &str = "{ \"model\": \"m\",\r\n \"temperature\" : 0.10, \"messages\":[ {\"role\":\"user\",\"content\":\"caf\\u00e9 \u{1f600}\"} ],\n\"x\": 1.50e3}\n";

/// Sends a body over a connection of its own: that of a body that was refused before its end is closed.
async fn send(world: &World, body: impl Into<Bytes>, encodings: &[&str]) -> Answer {
    let headers: Vec<_> = encodings.iter().map(|encoding| ("content-encoding", *encoding)).collect();
    let client = Client::new(world.gateway.base_url());
    client.send(request(Method::POST, "/v1/chat/completions", body, &headers)).await
}

#[tokio::test]
async fn a_compressed_request_goes_upstream_byte_for_byte_as_the_plain_one() {
    let world = Case::of("m: a").start().await;
    assert_eq!(send(&world, BODY, &[]).await.status, 200);
    let plain = world.upstream("a").only();
    for encodings in [
        &["gzip"][..],
        &["x-gzip"],
        &["deflate"],
        &["br"],
        &["zstd"],
        &["identity, GZIP"],
        &["identity", "br"],
    ] {
        let coding = if encodings.len() > 1 { encodings[1] } else { encodings[0] };
        let body = compressed(coding, &[&BODY[..30], &BODY[30..]]).await.unwrap().concat();
        assert_ne!(body, BODY.as_bytes());
        assert_eq!(send(&world, body, encodings).await.status, 200, "{encodings:?}");
        let call = world.upstream("a").calls().pop().unwrap();
        assert_eq!(call.body, plain.body, "{encodings:?}");
        assert_eq!(call.header("content-encoding"), None, "{encodings:?}");
        assert_eq!(call.header("content-length"), plain.header("content-length"), "{encodings:?}");
    }
    for identity in ["identity", ""] {
        assert_eq!(send(&world, BODY, &[identity]).await.status, 200, "{identity}");
    }
}

#[tokio::test]
async fn a_compressed_request_of_several_members_is_read_to_its_end() {
    let world = Case::of("m: a").start().await;
    for coding in ["gzip", "zstd"] {
        let (one, two) = (
            compressed(coding, &[&BODY[..40]]).await.unwrap(),
            compressed(coding, &[&BODY[40..]]).await.unwrap(),
        );
        assert_eq!(send(&world, [one, two].concat().concat(), &[coding]).await.status, 200, "{coding}");
    }
    assert_eq!(world.calls("a"), 2);
}

#[tokio::test]
async fn a_compressed_request_that_is_cut_off_or_damaged_is_a_400_that_says_so() {
    let world = Case::of("m: a").start().await;
    for coding in CODINGS {
        let whole = compressed(coding, &[BODY]).await.unwrap().concat();
        let followed = [&*whole, b"\0"].concat();
        for wrong in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], BODY.as_bytes(), &followed] {
            let error = send(&world, Bytes::copy_from_slice(wrong), &[coding]).await.error(400);
            assert_eq!(error["code"], "invalid_content_encoding", "{coding}: {error}");
            assert!(error["message"].as_str().unwrap().contains("cut off or damaged"), "{coding}: {error}");
        }
    }
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn a_request_in_an_unknown_coding_or_in_two_is_a_415_that_names_those_that_are_read() {
    let world = Case::of("m: a").start().await;
    let twice = compressed("gzip", &compressed("br", &[BODY]).await.unwrap()).await.unwrap().concat();
    for (encodings, what) in [
        (&["compress"][..], "not supported"),
        (&["gzip;q=1"], "not supported"),
        (&["gzip", "lzma"], "not supported"),
        (&["br, gzip"], "several"),
        (&["br", "gzip"], "several"),
        (&["gzip, gzip"], "several"),
    ] {
        let answer = send(&world, twice.clone(), encodings).await;
        let error = answer.error(415);
        assert_eq!(error["code"], "unsupported_content_encoding", "{encodings:?}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(what), "{encodings:?}: {message}");
        assert!(CODINGS.iter().all(|coding| message.contains(coding)), "{encodings:?}: {message}");
        assert_eq!(answer.header("accept-encoding"), Some("gzip, deflate, br, zstd"), "{encodings:?}");
    }
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn a_compressed_request_beyond_the_size_limit_is_a_413_and_takes_no_more_memory_than_the_limit() {
    let case = Case::of("m: a").section("general_settings", "max_request_size_mb: 1");
    let world = case.start().await;
    let fits = format!("{{\"model\":\"m\",\"messages\":[]{}}}", " ".repeat(1_000_000 - 27));
    assert_eq!(fits.len(), 1_000_000);
    let bomb = vec![b' '; 16 << 20];
    for coding in CODINGS {
        let body = compressed(coding, &[&fits]).await.unwrap().concat();
        assert_eq!(send(&world, body, &[coding]).await.status, 200, "{coding}");
        let before = world.gateway.peak_memory();
        let body = compressed(coding, &[&bomb]).await.unwrap().concat();
        assert!(body.len() < 100_000, "{coding}");
        for body in [body, compressed(coding, &[&*fits, " "]).await.unwrap().concat()] {
            assert_eq!(
                send(&world, body, &[coding]).await.error(413)["code"],
                "request_too_large",
                "{coding}"
            );
        }
        let grown = world.gateway.peak_memory() - before;
        assert!(grown < 8 << 20, "{coding}: {grown} bytes");
    }
}

#[tokio::test]
async fn a_compressed_request_counts_as_its_decompressed_size_in_the_memory_of_all() {
    let world = Case::of("m: a").router("max_buffered_bytes: 100000").start().await;
    let body = json!({"model": "m", "messages": [" ".repeat(200_000)]}).to_string();
    for coding in CODINGS {
        let body = compressed(coding, &[&body]).await.unwrap().concat();
        assert_eq!(send(&world, body, &[coding]).await.error(503)["code"], "overloaded", "{coding}");
    }
    assert_eq!(send(&world, BODY, &[]).await.said(), "a");
}

#[tokio::test]
async fn a_compressed_request_is_sent_again_by_a_retry_as_any_other() {
    let replies = [say::server_error(), say::chat("at last")];
    let world = Case::of("m: a").settings("num_retries: 1").says("a", replies).start().await;
    let answer = send(&world, compressed("gzip", &[BODY]).await.unwrap().concat(), &["gzip"]).await;
    assert_eq!(answer.said(), "at last");
    let calls = world.upstream("a").calls();
    assert_eq!(calls[0].body, calls[1].body);
}
