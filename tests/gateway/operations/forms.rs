//! Operations in `multipart/form-data`: edits of images, transcriptions and translations.

use bytes::Bytes;
use serde_json::json;

use super::{picture, transcription};
use crate::support::{
    answers as say,
    case::{Case, World},
    client::Answer,
    form::{field, file, form, post},
    gateway::Gateway,
    reply::Reply,
    upstream::Upstream,
};

/// Returns the parts of a transcription, with the file before the model.
fn parts(model: &str) -> Vec<Bytes> {
    vec![file("file", b"RIFF\r\n\0\xff--"), field("model", model), field("language", "de")]
}

async fn transcribe(world: &World, parts: &[Bytes], headers: &[(&str, &str)]) -> Answer {
    world.gateway.send(post("/v1/audio/transcriptions", form(parts), headers)).await
}

#[tokio::test]
async fn a_form_is_passed_on_with_the_upstreams_model_and_nothing_else_changed() {
    for path in ["/audio/transcriptions", "/audio/translations", "/images/edits"] {
        let reply = if path == "/images/edits" { picture() } else { transcription("hello") };
        let world = Case::of("m: a").always("a", reply.clone()).start().await;
        let more = [field("prompt", "a cat"), file("image[]", b"\x89PNG"), file("image[]", b"\x89PNG2")];
        let body = |model| form(&[&parts(model)[..], &more].concat());
        for at in [format!("/v1{path}"), format!("/openai/deployments/m{path}?api-version=1")] {
            let answer = world.gateway.send(post(&at, body("m"), &[])).await;
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &reply.body()[..]), "{at}");
        }
        for call in world.upstream("a").calls() {
            assert_eq!(call.target, format!("/v1{path}"));
            assert_eq!(call.body, body("a-model"));
            let content_type = call.header("content-type").unwrap();
            assert!(content_type.starts_with("multipart/form-data; boundary="), "{content_type}");
        }
    }
}

#[tokio::test]
async fn a_form_is_retried_and_goes_to_fallbacks_with_their_model() {
    let case = Case::of("m: a b; f: c").first("a").always("a b", say::server_error());
    let case = case.always("c", transcription("hello")).settings("fallbacks: [{m: [f]}], num_retries: 1");
    let world = case.start().await;
    let answer = transcribe(&world, &parts("m"), &[]).await;
    assert_eq!((answer.status.as_u16(), world.each("a b c")), (200, vec![1, 1, 1]));
    for name in ["a", "b", "c"] {
        assert_eq!(world.upstream(name).only().body, form(&parts(&format!("{name}-model"))));
    }
}

#[tokio::test]
async fn settings_of_a_request_may_be_fields_of_a_form_or_headers() {
    let case = Case::of("m: a; f: b").always("a", say::server_error()).always("b", transcription("hi"));
    let world = case.start().await;
    let settings = [field("num_retries", "0"), field("fallbacks", r#"[{"model": "f", "language": "fr"}]"#)];
    let answer = transcribe(&world, &[&settings[..], &parts("m")].concat(), &[]).await;
    assert_eq!((answer.status.as_u16(), world.each("a b")), (200, vec![1, 1]));
    let sent = form(&parts("b-model"));
    let sent = String::from_utf8_lossy(&sent).replace("\r\nde\r\n", "\r\nfr\r\n");
    assert_eq!(String::from_utf8_lossy(&world.upstream("b").only().body), sent);
    let answer = transcribe(&world, &parts("m"), &[("x-litellm-num-retries", "1")]).await;
    assert_eq!((answer.status.as_u16(), world.calls("a")), (500, 3));
}

#[tokio::test]
async fn a_form_gets_the_parameters_of_its_deployment() {
    let case = Case::of("m: a").params("a", "language: en, temperature: 0.2");
    let world = case.always("a", transcription("hi")).start().await;
    transcribe(&world, &parts("m"), &[]).await;
    let expected = form(&[&parts("a-model")[..], &[field("temperature", "0.2")]].concat());
    assert_eq!(world.upstream("a").only().body, expected);
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_refused_before_an_upstream_is_called() {
    let world = Case::of("m: a").start().await;
    let whole = form(&parts("m"));
    let cut = whole.slice(..whole.len() - 4);
    let error = world.gateway.send(post("/v1/audio/transcriptions", cut, &[])).await.error(400);
    assert_eq!(error["code"], "invalid_form");
    assert_eq!(transcribe(&world, &parts("m")[1..], &[]).await.error(400)["param"], "file");
    assert_eq!(transcribe(&world, &parts("m")[..1], &[]).await.error(400)["param"], "model");
    assert_eq!(transcribe(&world, &parts("unknown"), &[]).await.error(404)["param"], "model");
    let key = [parts("m"), vec![field("api_key", "sk-x")]].concat();
    assert_eq!(transcribe(&world, &key, &[]).await.error(400)["param"], "api_key");
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn a_transcription_may_be_text_subtitles_or_a_stream() {
    let vtt = "WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n";
    let events = Reply::events([
        json!({"type": "transcript.text.delta", "delta": "hel"}).to_string(),
        json!({"type": "transcript.text.done", "text": "hello",
            "usage": {"input_tokens": 14, "output_tokens": 45, "total_tokens": 59}})
        .to_string(),
    ]);
    for (reply, stream) in [
        (Reply::bytes(200, "text/plain; charset=utf-8", "data: hello\n"), false),
        (Reply::bytes(200, "text/vtt", vtt), false),
        (Reply::bytes(200, "text/plain", "x".repeat(200_000)), false),
        (events, true),
        // A model that cannot stream ignores the field.
        (transcription("hello"), true),
    ] {
        let world = Case::of("m: a").always("a", reply.clone()).start().await;
        let parts = if stream { [parts("m"), vec![field("stream", "true")]].concat() } else { parts("m") };
        let answer = transcribe(&world, &parts, &[]).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &reply.body()[..]));
        assert_eq!(answer.header("content-type"), Some(&*reply.content_type()));
    }
}

#[tokio::test]
async fn an_error_object_in_place_of_a_transcription_is_tried_elsewhere() {
    let error = Reply::json(200, &json!({"error": {"message": "busy", "type": "overloaded_error"}}));
    let case = Case::of("m: a b").first("a").always("a", error).always("b", transcription("hi"));
    let world = case.start().await;
    let answer = transcribe(&world, &parts("m"), &[]).await;
    assert_eq!((answer.json()["text"].clone(), world.each("a b")), (json!("hi"), vec![1, 1]));
}

#[tokio::test]
async fn the_bytes_of_a_file_are_no_tokens() {
    let usage = json!({"type": "tokens", "input_tokens": 600, "output_tokens": 300, "total_tokens": 900});
    let reply = Reply::json(200, &json!({"text": "hi", "usage": usage}));
    let world = Case::of("m: a").params("a", "tpm: 800").always("a", reply).start().await;
    let large = [file("file", &vec![b'a'; 1 << 20]), field("model", "m")];
    assert_eq!(transcribe(&world, &large, &[]).await.status, 200);
    // The usage of the first one is beyond the limit.
    let answer = transcribe(&world, &large, &[("x-litellm-num-retries", "0")]).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
}

#[tokio::test]
async fn a_transcription_at_azure_has_the_deployment_in_its_path() {
    let upstream = Upstream::with([transcription("hi")]).await;
    let gateway = Gateway::start(&format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: azure/whisper-1, api_base: \"{}\", api_key: k, \
         api_version: 2024-06-01}}\n",
        upstream.url()
    ))
    .await;
    let request = post("/openai/deployments/m/audio/transcriptions", form(&parts("any")[..1]), &[]);
    assert_eq!(gateway.send(request).await.json()["text"], "hi");
    let call = upstream.only();
    assert_eq!(call.target, "/openai/deployments/whisper-1/audio/transcriptions?api-version=2024-06-01");
    assert_eq!(call.body, form(&[parts("")[0].clone(), field("model", "whisper-1")]));
}

#[tokio::test]
async fn a_mock_transcribes_and_has_no_images() {
    let gateway = Gateway::start(
        "model_list: [{model_name: m, litellm_params: {model: openai/x, mock_response: said}}]\n",
    )
    .await;
    let answer = gateway.send(post("/v1/audio/transcriptions", form(&parts("m")), &[])).await;
    assert_eq!(answer.json()["text"], "said");
    let body = json!({"model": "m", "prompt": "a"}).to_string();
    let error = gateway.post("/v1/images/generations", body).await.error(400);
    assert_eq!(error["code"], "operation_not_supported");
}
