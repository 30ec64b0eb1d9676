//! Deployments that speak Ollama's `/api/chat`, called in OpenAI's dialect: options, lines of JSON, errors, and the operations
//! that it takes in OpenAI's dialect.

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::Case,
    client::request,
    reply::{Part, Reply},
};

const OLLAMA: &str = "custom_llm_provider: ollama_chat";

fn line(text: &str) -> String {
    let message = json!({"role": "assistant", "content": text});
    json!({"model": "llama3", "created_at": "2023-08-04", "message": message, "done": false}).to_string()
        + "\n"
}

fn last(text: &str) -> Value {
    json!({"model": "llama3", "created_at": "2023-08-04", "message": {"role": "assistant", "content": text},
        "done": true, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 7})
}

/// Returns a response of these lines, each a part.
fn lines(lines: impl IntoIterator<Item = String>) -> Reply {
    let lines = lines.into_iter().map(|line| Reply::bytes(200, "application/x-ndjson", line));
    let mut whole = lines.reduce(Reply::and).unwrap();
    whole.sized = false;
    whole
}

fn stream(said: &[&str]) -> Reply {
    lines(said.iter().map(|word| line(word)).chain([last("").to_string() + "\n"]))
}

/// Returns groups of which these deployments speak Ollama's dialect.
fn case(groups: &str, ollama: &str) -> Case {
    Case::of(groups).params(ollama, OLLAMA)
}

#[tokio::test]
async fn ollama_receives_its_own_request_with_options_of_the_file() {
    let params = format!("{OLLAMA}, num_ctx: 8192, keep_alive: 5m, extra_body: {{options: {{top_k: 3}}}}");
    let case = Case::of("m: a").params("a", &params).always("a", Reply::json(200, &last("a")));
    let asked = case.with(json!({"temperature": 0.5})).ask().await.answered_by("a");
    let call = asked.world.upstream("a").only();
    assert_eq!((call.target.as_str(), call.header("authorization")), ("/api/chat", Some("Bearer sk-a")));
    let wanted = json!({"model": "openai/a-model", "messages": [{"role": "user", "content": "what llm are you"}],
        "stream": false, "keep_alive": "5m", "options": {"temperature": 0.5, "num_ctx": 8192, "top_k": 3}});
    assert_eq!(call.json(), wanted);
    assert_eq!(asked.answer.json()["usage"]["total_tokens"], 17);
}

#[tokio::test]
async fn ollama_lines_become_chunks() {
    let world = case("m: a", "a").always("a", stream(&["Hel", "lo"])).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "Hello");
    let text = stream.text();
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("\"usage\""), "{text}");
    assert!(stream.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert_eq!(world.ask().await.said(), "Hello", "a completion of the lines");
}

#[tokio::test]
async fn ollama_failures_before_the_first_content_are_retried_elsewhere() {
    for reply in [
        Reply::json(500, &json!({"error": "llama runner process has terminated"})),
        lines([json!({"error": "an error was encountered while running the model"}).to_string()]),
        lines([line("")]),
        Reply::bytes(200, "text/html", "<html>"),
    ] {
        let world = case("m: a b", "a").first("a").always("a", reply).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!((stream.said(), world.each("a b")), ("b".to_owned(), vec![1, 1]), "{}", stream.text());
    }
}

#[tokio::test]
async fn ollama_streams_that_break_after_the_first_content_end_with_an_error() {
    for broken in [
        lines([line("Hel")]),
        lines([line("Hel")]).then(Part::Cut),
        lines([line("Hel"), "{\"error\":\"out of memory\"}\n".to_owned()]),
    ] {
        let world = case("m: a", "a").always("a", broken).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!(stream.said(), "Hel");
        assert!(
            stream.text().contains("\"error\"") && !stream.text().contains("[DONE]"),
            "{}",
            stream.text()
        );
    }
    let world = case("m: a", "a").always("a", lines([line("Hel")])).start().await;
    world.ask().await.error(502);
}

#[tokio::test]
async fn ollama_errors_have_openais_form() {
    let missing = Reply::json(404, &json!({"error": "model 'x' not found"}));
    let asked = case("m: a", "a").always("a", missing).settings("num_retries: 0").ask().await;
    assert_eq!(asked.answer.error(404)["message"], "model 'x' not found");
}

#[tokio::test]
async fn ollama_takes_other_operations_in_openais_dialect() {
    let world = case("m: a", "a").always("a", say::embedding()).start().await;
    let body = json!({"model": "m", "input": "x"}).to_string();
    assert_eq!(world.gateway.send(request(Method::POST, "/v1/embeddings", body, &[])).await.status, 200);
    world.upstream("a").becomes(say::completion("b"));
    let body = json!({"model": "m", "prompt": "x"}).to_string();
    assert_eq!(world.gateway.send(request(Method::POST, "/v1/completions", body, &[])).await.status, 200);
    let targets: Vec<_> = world.upstream("a").calls().iter().map(|call| call.target.clone()).collect();
    assert_eq!(targets, ["/v1/embeddings", "/v1/completions"]);
}
