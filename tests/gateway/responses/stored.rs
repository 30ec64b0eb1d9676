//! Responses that an upstream stores: their ids lead back to the deployment that has them.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::{PATH, SPEAKS, begin, events, failed, object, pieces, response, send, stream, text, word};
use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Answer, Over, request},
    gateway::{Gateway, Start},
    reply::Reply,
    upstream::{Call, Upstream},
};

/// Two deployments that store responses, and the group of another.
fn case() -> Case {
    let case = Case::of("m: a b; other: c").always("a b c", Reply::json(200, &response("hi")));
    ["a", "b", "c"].into_iter().fold(case, |case, name| case.info(name, SPEAKS))
}

/// Creates a response at `a`, and returns its id.
async fn create(world: &World) -> String {
    let answer = send(world, json!({"model": "a"})).await;
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", answer.text())).to_owned()
}

async fn call(gateway: &Gateway, method: Method, path: &str, key: &str) -> Answer {
    let key = format!("Bearer {key}");
    gateway.send(request(method, path, "", &[("authorization", &key)])).await
}

/// Returns the method and the target of the last call.
fn last(upstream: &Upstream) -> (Method, String, Arc<Call>) {
    let call = upstream.calls().pop().unwrap();
    (call.method.clone(), call.target.clone(), call)
}

#[tokio::test]
async fn stored_responses_are_used_at_the_deployment_that_has_them() {
    let world = case().start().await;
    let id = create(&world).await;
    assert!(id.starts_with("resp_") && !id.contains("resp_up"), "{id}");
    for (method, end, target) in [
        (Method::GET, "", "/v1/responses/resp_up"),
        (Method::GET, "?include[]=a&api-version=1", "/v1/responses/resp_up?include[]=a"),
        (Method::POST, "/cancel", "/v1/responses/resp_up/cancel"),
        (
            Method::GET,
            "/input_items?limit=2&order=asc&after=msg_1",
            "/v1/responses/resp_up/input_items?limit=2&order=asc&after=msg_1",
        ),
        (Method::DELETE, "", "/v1/responses/resp_up"),
    ] {
        for prefix in ["/v1", "", "/openai/v1"] {
            let answer =
                call(&world.gateway, method.clone(), &format!("{prefix}/responses/{id}{end}"), "none").await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["id"]),
                (200, &json!(id)),
                "{}",
                answer.text()
            );
            assert_eq!(answer.text().replace(&id, "resp_up"), response("hi").to_string());
            let (sent, at, call) = last(world.upstream("a"));
            assert_eq!((&sent, at.as_str()), (&method, target));
            assert_eq!((call.header("authorization"), call.body.len()), (Some("Bearer sk-a"), 0));
            assert_eq!(
                (call.header("content-type"), call.header("content-length").unwrap_or("0")),
                (None, "0")
            );
        }
    }
    assert_eq!(world.each("a b c"), [16, 0, 0]);
}

#[tokio::test]
async fn ids_of_stored_responses_are_replaced_in_each_event_and_no_other_byte_is() {
    let mut opening = object("in_progress", json!({"previous_response_id": "resp_first"}));
    opening["instructions"] = "\"response\":{\"id\":\"resp_up\"}".into();
    let queued = super::event("response.queued", 9, json!({"response": opening}));
    let script = pieces("Hello").and(Reply::named_events([queued]));
    let world = case().always("a", script.clone()).start().await;
    let passed = stream(&world, json!({"model": "a"})).await;
    let events = passed.named_events();
    let with_id = events.iter().filter(|event| event["response"].is_object());
    let ids: Vec<_> = with_id.map(|event| event["response"]["id"].as_str().unwrap()).collect();
    assert!(ids.len() == 4 && ids.iter().all(|id| id.len() > 40 && *id == ids[0]), "{ids:?}");
    let previous = events.last().unwrap()["response"]["previous_response_id"].as_str().unwrap();
    let back = passed.text().replace(ids[0], "resp_up").replace(previous, "resp_first");
    assert_eq!(back.as_bytes(), script.body());
    call(&world.gateway, Method::DELETE, &format!("{PATH}/{previous}"), "none").await;
    assert_eq!(last(world.upstream("a")).1, "/v1/responses/resp_first");
}

#[tokio::test]
async fn an_earlier_response_is_continued_at_its_deployment_and_nowhere_else() {
    let world = case().settings("fallbacks: [{m: [other]}], num_retries: 2").start().await;
    let id = create(&world).await;
    for stream in [false, true] {
        for _ in 0..6 {
            world.upstream("a").becomes(if stream { pieces("x") } else { Reply::json(200, &response("x")) });
            let answer = send(&world, json!({"previous_response_id": id, "stream": stream})).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(last(world.upstream("a")).2.json()["previous_response_id"], "resp_up");
        }
    }
    assert_eq!(world.each("a b c"), [13, 0, 0]);
    world.upstream("a").becomes(say::unavailable());
    send(&world, json!({"previous_response_id": id})).await.error(503);
    assert_eq!(world.each("a b c"), [16, 0, 0], "the conversation is not continued without its beginning");
}

#[tokio::test]
async fn ids_that_lead_to_no_stored_response_are_not_found_and_no_upstream_is_called() {
    let world = case().start().await;
    let id = create(&world).await;
    let changed = format!("{}{}", &id[..id.len() - 1], if id.ends_with('A') { "B" } else { "A" });
    for id in [changed.as_str(), "resp_up", "resp_", "x%2Fy", &id[..40]] {
        for (method, end) in [
            (Method::GET, ""),
            (Method::DELETE, ""),
            (Method::POST, "/cancel"),
            (Method::GET, "/input_items"),
        ] {
            let answer = call(&world.gateway, method, &format!("{PATH}/{id}{end}"), "none").await;
            let error = answer.error(404);
            assert_eq!(
                (&error["code"], &error["type"]),
                (&json!("response_not_found"), &json!("invalid_request_error"))
            );
        }
        let previous = send(&world, json!({"previous_response_id": id})).await.error(404);
        assert_eq!(
            (&previous["code"], &previous["param"]),
            (&json!("previous_response_not_found"), &json!("previous_response_id"))
        );
    }
    let elsewhere = send(&world, json!({"model": "other", "previous_response_id": id})).await;
    assert!(elsewhere.error(404)["message"].as_str().unwrap().contains("another model has it"));
    send(&world, json!({"model": "b", "previous_response_id": id})).await.error(404);
    assert_eq!(world.each("a b c"), [1, 0, 0]);
    let other = call(&world.gateway, Method::PATCH, &format!("{PATH}/{id}"), "none").await;
    assert_eq!((other.status.as_u16(), other.header("allow")), (405, Some("GET, DELETE")));
}

#[tokio::test]
async fn stored_responses_are_found_after_a_restart_and_lost_with_their_deployment_or_the_master_key() {
    let upstream = Upstream::with([Reply::json(200, &response("hi"))]).await;
    let url = upstream.url();
    let yaml = |group: &str, model: &str, key: &str, more: &str| {
        format!(
            "model_list:\n  - model_name: {group}\n    litellm_params: {{model: openai/responses/{model}, \
             api_base: \"{url}/v1\", api_key: {key}{more}}}\n"
        )
    };
    let with_key = |models: &str, key: &str| format!("{models}general_settings: {{master_key: {key}}}\n");
    let first = Gateway::start(&with_key(&yaml("m", "x", "sk-1", ", rpm: 100"), "sk-master")).await;
    let sent =
        request(Method::POST, PATH, r#"{"model":"m","input":"a"}"#, &[("authorization", "Bearer sk-master")]);
    let id = first.send(sent).await.json()["id"].as_str().unwrap().to_owned();
    for (models, key, status) in [
        (yaml("m", "x", "sk-1", ", rpm: 100"), "sk-master", 200),
        (yaml("m", "x", "sk-2", ", rpm: 7, weight: 2"), "sk-master", 200),
        (yaml("m", "x", "sk-1", ""), "sk-other", 404),
        (yaml("m", "y", "sk-1", ""), "sk-master", 404),
        (yaml("n", "x", "sk-1", ""), "sk-master", 404),
    ] {
        let before = upstream.count();
        let gateway = Start::new(&with_key(&models, key)).go().await;
        let answer = call(&gateway, Method::GET, &format!("{PATH}/{id}"), key).await;
        assert_eq!(answer.status, status, "{models}: {}", answer.text());
        assert_eq!(upstream.count() - before, usize::from(status == 200), "{models}");
    }
}

#[tokio::test]
async fn client_keys_find_only_the_stored_responses_of_models_that_they_may_call() {
    let keys = "master_key: master, keys: [{name: one, key: first, models: [m]}, {name: two, key: second, models: [other]}]";
    let world = case().section("general_settings", keys).start().await;
    let body = r#"{"model":"m","input":"hi"}"#;
    let sent = request(Method::POST, PATH, body, &[("authorization", "Bearer first")]);
    let id = world.gateway.send(sent).await.json()["id"].as_str().unwrap().to_owned();
    for (key, status) in [("first", 200), ("master", 200), ("second", 404), ("third", 401)] {
        let answer = call(&world.gateway, Method::GET, &format!("{PATH}/{id}"), key).await;
        assert_eq!(answer.status, status, "{key}: {}", answer.text());
        assert_eq!(status == 404, answer.text().contains("response_not_found"), "{key}: {}", answer.text());
    }
    assert_eq!(world.calls("a b c"), 3);
}

#[tokio::test]
async fn stored_responses_of_wildcard_groups_are_found() {
    let case = Case::of("\"openai/*\": a b").info("a", SPEAKS).info("b", SPEAKS);
    let world = case.always("a b", Reply::json(200, &response("hi"))).start().await;
    let made = send(&world, json!({"model": "openai/gpt-5"})).await;
    let (id, name) = (made.json()["id"].clone(), made.header("x-litellm-model-id").unwrap().to_owned());
    for _ in 0..4 {
        let more = json!({"model": "openai/gpt-5", "previous_response_id": id});
        assert_eq!(send(&world, more).await.header("x-litellm-model-id"), Some(&*name));
    }
    let path = format!("{PATH}/{}", id.as_str().unwrap());
    let found = call(&world.gateway, Method::GET, &path, "none").await;
    assert_eq!((found.status.as_u16(), found.header("x-litellm-model-id")), (200, Some(&*name)));
}

#[tokio::test]
async fn a_stored_response_that_its_upstream_has_lost_does_not_cool_its_deployment_down() {
    let world = case().settings("num_retries: 2, cooldown_time: 60").start().await;
    let id = create(&world).await;
    world.upstream("a").becomes(say::not_found());
    for _ in 0..3 {
        call(&world.gateway, Method::GET, &format!("{PATH}/{id}"), "none").await.error(404);
        send(&world, json!({"model": "a", "previous_response_id": id})).await.error(404);
    }
    assert_eq!(world.calls("a"), 7, "each is asked once");
    let status = world.gateway.get("/status/data").await.text();
    assert!(!status.contains("cooling"), "{status}");
}

#[tokio::test]
async fn failed_stored_responses_are_retrieved_as_they_are() {
    let world = case().start().await;
    let id = create(&world).await;
    let lost = object("failed", json!({"error": {"code": "server_error", "message": "no"}}));
    world.upstream("a").becomes(Reply::json(200, &lost));
    let found = call(&world.gateway, Method::GET, &format!("{PATH}/{id}"), "none").await;
    assert_eq!((found.status.as_u16(), &found.json()["status"]), (200, &json!("failed")));
    assert_eq!(world.calls("a"), 2);
}

#[tokio::test]
async fn stored_responses_are_retrieved_as_streams_from_any_event_on() {
    let world = case().start().await;
    let id = create(&world).await;
    for (script, end) in [
        (
            word("lo", 4).and(Reply::named_events([super::event(
                "response.completed",
                5,
                json!({"response": response("Hello")}),
            )])),
            "completed",
        ),
        (begin().and(failed("server_error", 3)), "failed"),
    ] {
        world.upstream("a").becomes(script.clone());
        let path = format!("{PATH}/{id}?stream=true&starting_after=3");
        let mut stream = world.gateway.open(request(Method::GET, &path, "", &[])).await;
        assert_eq!((stream.rest().await, stream.status.as_u16()), (Over::Cleanly, 200));
        assert_eq!(stream.text().replace(&id, "resp_up").as_bytes(), script.body());
        assert_eq!(stream.named_events().last().unwrap()["type"], format!("response.{end}"));
        assert_eq!(last(world.upstream("a")).1, "/v1/responses/resp_up?stream=true&starting_after=3");
    }
}

#[tokio::test]
async fn stored_responses_that_are_made_in_the_background_are_retrieved_until_they_are_complete() {
    let world =
        case().always("a", Reply::json(200, &object("queued", json!({"background": true})))).start().await;
    let made = send(&world, json!({"model": "a", "background": true})).await.json();
    assert_eq!(made["status"], "queued");
    assert_eq!(last(world.upstream("a")).2.json()["background"], true);
    world.upstream("a").becomes(Reply::json(200, &response("done")));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(text(&call(&world.gateway, Method::GET, &path, "none").await.json()), "done");
}

#[tokio::test]
async fn retrieving_a_stored_response_is_not_charged_again() {
    let prices = "input_cost_per_token: 0.5, output_cost_per_token: 0.5";
    let world = case().params("a", prices).settings("response_cost: true").start().await;
    let made = send(&world, json!({"model": "a"})).await;
    assert_eq!(made.header("x-litellm-response-cost"), Some("8.5"));
    let path = format!("{PATH}/{}", made.json()["id"].as_str().unwrap());
    let found = call(&world.gateway, Method::GET, &path, "none").await;
    assert_eq!((found.status.as_u16(), found.header("x-litellm-response-cost").unwrap_or("0")), (200, "0"));
}

#[tokio::test]
async fn long_stored_responses_have_an_id_wherever_it_stands() {
    let mut whole = response(&"x".repeat(300_000));
    whole["z_last"] = json!(1);
    let text = whole
        .to_string()
        .replacen("\"id\":\"resp_up\",", "", 1)
        .replace("\"z_last\":1", "\"id\":\"resp_up\"");
    let world = case().always("a", Reply::bytes(200, "application/json", text.clone())).start().await;
    let answer = send(&world, json!({"model": "a"})).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.text().replace(&id, "resp_up"), text);
    call(&world.gateway, Method::GET, &format!("{PATH}/{id}"), "none").await;
    assert_eq!(last(world.upstream("a")).1, "/v1/responses/resp_up");
}

#[tokio::test]
async fn streams_of_stored_responses_that_break_end_with_the_id_that_was_issued() {
    let script = begin().and(word("Hel", 3));
    let world = case().always("a", script).start().await;
    let events = events(&stream(&world, json!({"model": "a"})).await);
    let (first, last): (&Value, &Value) = (&events[0]["response"], &events.last().unwrap()["response"]);
    assert_eq!((&first["id"], &last["status"]), (&last["id"], &json!("failed")));
    assert_ne!(first["id"], "resp_up");
}
