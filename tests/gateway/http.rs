//! The gateway as an HTTP server: its endpoints, its door, what it passes on and what it keeps to itself.

use http::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    answers as say,
    case::Case,
    client::{ask, request},
    gateway::{Gateway, Start},
    reply::Reply,
    soon,
    upstream::{Call, Upstream},
};

const KEY: &str = "sk-the-door-key-wxyz";

/// Returns the configuration of a group `m` over this upstream.
fn yaml(upstream: &Upstream) -> String {
    format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/inside, api_base: \"{}/v1\", api_key: sk-in}}\n",
        upstream.url()
    )
}

/// Starts an upstream and a gateway with a master key.
async fn locked() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let gateway =
        Gateway::start(&format!("{}general_settings: {{master_key: {KEY}}}\n", yaml(&upstream))).await;
    (upstream, gateway)
}

#[tokio::test]
async fn every_endpoint_has_two_names_and_one_target() {
    let upstream = Upstream::of(|call: &Call| match call.target.as_str() {
        "/v1/chat/completions" => say::chat("c"),
        "/v1/completions" => say::completion("t"),
        "/v1/embeddings" => say::embedding(),
        other => say::error(404, "not_found", None, other),
    });
    let upstream = upstream.await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    for (path, body) in [
        ("/chat/completions", ask("m", json!({}))),
        ("/completions", json!({"model": "m", "prompt": "Say"}).to_string()),
        ("/embeddings", json!({"model": "m", "input": ["a"]}).to_string()),
    ] {
        for path in [path.to_owned(), format!("/v1{path}")] {
            let answer = gateway.post(&path, body.clone()).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
    assert_eq!(upstream.count(), 6);
}

#[tokio::test]
async fn a_101_of_an_upstream_is_a_bad_gateway() {
    let upstream = Upstream::with([Reply::bytes(101, "text/plain", "")]).await;
    let answer = Gateway::start(&yaml(&upstream)).await.chat("m", json!({"num_retries": 0})).await;
    assert_eq!(answer.error(502)["code"], "not_json");
}

#[tokio::test]
async fn an_undefined_status_of_an_upstream_is_a_bad_gateway_and_tried_elsewhere() {
    for status in [600, 666, 799, 999] {
        let error = r#"{"error":{"message":"odd","type":"server_error","param":null,"code":null}}"#;
        let odd = Reply::bytes(status, "application/json", error);
        let case = Case::of("m: a; n: b").always("a", odd).settings("num_retries: 0");
        let world = case.start().await;
        assert_eq!(world.ask().await.error(502)["message"], "odd", "{status}");
        let elsewhere = world.ask_with(json!({"fallbacks": ["n"]})).await;
        assert_eq!(elsewhere.said(), "b", "{status}");
    }
}

#[tokio::test]
async fn an_answer_is_passed_on_byte_for_byte() {
    let odd = "{ \"id\":\"x\" ,\n\"choices\" : [ { \"message\":{\"content\":\"\\u00e9\\/\"},\"finish_reason\":\"stop\"}],\"n\":1.50 }\n";
    let upstream = Upstream::with([Reply::bytes(200, "application/json; charset=utf-8", odd)]).await;
    let answer = Gateway::start(&yaml(&upstream)).await.chat("m", json!({})).await;
    assert_eq!((answer.text().as_str(), answer.status.as_u16()), (odd, 200));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn a_request_is_passed_on_byte_for_byte_but_for_the_model() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    let body = "{ \"seed\" : 12345678901234567890, \"t\":0.10,\"model\" :  \"m\" , \"s\":\"\\u0041\\/\\ud83d\\ude00\",\n\"messages\":[ ] }";
    assert_eq!(gateway.post("/v1/chat/completions", body).await.status, 200);
    let sent = String::from_utf8(upstream.only().body.to_vec()).unwrap();
    assert_eq!(sent, body.replace("\"m\"", "\"inside\""));
}

#[tokio::test]
async fn gateway_settings_are_cut_out_of_the_body_wherever_they_stand() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    for body in [
        r#"{"num_retries":1,"model":"m","messages":[]}"#,
        r#"{"model":"m","num_retries":1,"messages":[]}"#,
        r#"{"model":"m","messages":[],"num_retries":1}"#,
        r#"{"timeout":9,"num_retries":1,"model":"m","fallbacks":[],"messages":[],"request_timeout":9,"max_fallbacks":1,}"#,
    ] {
        assert_eq!(gateway.post("/chat/completions", body).await.status, 200, "{body}");
    }
    for call in upstream.calls() {
        assert_eq!(call.json(), json!({"model": "inside", "messages": []}));
    }
}

#[tokio::test]
async fn litellm_keys_are_cut_out_of_the_body_and_others_stay() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    let body = r#"{"tags":["a"],"model":"m","cache":{"no-cache":true},"caching":true,"user":"u","metadata":{"k":"v"},
        "litellm_session_id":"s","guardrails":[],"drop_params":true,"api_key":null,"messages":[],"priority":1,"no-log":true}"#;
    assert_eq!(gateway.post("/chat/completions", body).await.status, 200);
    let meant =
        json!({"model": "inside", "messages": [], "user": "u", "metadata": {"k": "v"}, "priority": 1});
    assert_eq!(upstream.only().json(), meant);
}

#[tokio::test]
async fn trailing_commas_at_any_depth_are_cut_out() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a,]",},],"stop":["x" , ] , }"#;
    assert_eq!(gateway.post("/chat/completions", body).await.status, 200);
    let meant = json!({"model": "inside", "messages": [{"role": "user", "content": "a,]"}], "stop": ["x"]});
    assert_eq!(upstream.only().json(), meant);
}

#[tokio::test]
async fn a_deployments_own_parameters_are_added_where_the_request_has_none() {
    let case = Case::of("m: a")
        .params("a", "temperature: 0.2, top_p: 0.5, organization: org-7, headers: {x-team: blue}");
    let asked = case.with(json!({"temperature": 1})).ask().await.answered_by("a");
    let call = asked.world.upstream("a").only();
    assert_eq!((&call.json()["temperature"], &call.json()["top_p"]), (&json!(1), &json!(0.5)));
    assert_eq!((call.header("openai-organization"), call.header("x-team")), (Some("org-7"), Some("blue")));
    assert_eq!(call.json().get("organization").or(call.json().get("headers")), None);
}

#[tokio::test]
async fn an_unknown_path_is_404_in_openais_shape() {
    let gateway = Gateway::start(&yaml(&Upstream::start().await)).await;
    for path in ["/", "/v1", "/v1/chat", "/v1/chats/completions", "/v2/models", "/v1/models/x", "/metrics/x"]
    {
        gateway.get(path).await.error(404);
    }
    gateway.post("/v1/batches", "{}").await.error(404);
}

#[tokio::test]
async fn paths_of_azure_and_of_engines_call_the_model_that_they_name() {
    let (upstream, gateway) = locked().await;
    let (chat, body) = (ask("other", json!({})), json!({"messages": []}).to_string());
    for (path, body, key) in [
        ("/openai/deployments/m/chat/completions?api-version=2024-10-21", &chat, "api-key"),
        ("/openai/deployments/m/chat/completions", &body, "authorization"),
        ("/v1/engines/m/chat/completions/", &body, "x-api-key"),
        ("//engines/m//chat/completions?api-version=x&a=/models/z", &chat, "api-key"),
        ("/openai/v1/deployments/%6D/chat/completions", &body, "x-litellm-api-key"),
    ] {
        let key = [(key, format!("Bearer {KEY}"))];
        let key: Vec<_> = key.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = gateway.send(request(Method::POST, path, body.clone(), &key)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-litellm-model-group"), Some("m"), "{path}");
    }
    for call in upstream.calls() {
        assert_eq!((call.target.as_str(), &call.json()["model"]), ("/v1/chat/completions", &json!("inside")));
    }
    let unknown = request(Method::POST, "/engines/none/chat/completions", chat, &[("api-key", KEY)]);
    assert!(gateway.send(unknown).await.error(404)["message"].as_str().unwrap().contains("`none`"));
    assert_eq!(upstream.count(), 5);
}

#[tokio::test]
async fn a_refused_request_is_named_logged_and_counted_without_its_query() {
    let (_upstream, gateway) = locked().await;
    let refused = [
        (Method::POST, "/v1/batches?api-key=sk-in-a-query", 404, "/v1/batches"),
        (Method::GET, "/v1/chat/complete?key=sk-in-a-query", 404, "/v1/chat/complete"),
        (Method::GET, "/openai/deployments/m/chat?x=sk-in-a-query", 404, "/openai/deployments/m/chat"),
        (Method::GET, "/v1/embeddings?x=sk-in-a-query", 405, "POST"),
        (Method::POST, "/engines/m/completions?api_key=sk-in-a-query", 401, "key"),
    ];
    for (method, path, status, named) in refused {
        let error = gateway.send(request(method, path, "{}", &[])).await.error(status);
        assert!(error["message"].as_str().unwrap().contains(named), "{error}");
    }
    let said = gateway
        .says(&["/v1/batches", "/v1/chat/complete", "/openai/deployments/m/chat", "/engines/m/completions"])
        .await;
    assert!(!said.contains("sk-in-a-query"), "{said}");
    let metrics = request(Method::GET, "/metrics", "", &[("authorization", &format!("Bearer {KEY}"))]);
    let metrics = gateway.send(metrics).await.text();
    for (code, count) in [("not_found", 3), ("method_not_allowed", 1), ("invalid_api_key", 1)] {
        let line = format!("tollgate_rejected_requests_total{{code=\"{code}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    for (status, count) in [(404, 3), (405, 1), (401, 1)] {
        let line = format!(
            "tollgate_requests_total{{operation=\"none\",status=\"{status}\",class=\"caller\"}} {count}\n"
        );
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_refused_in_openais_shape() {
    let gateway = Gateway::start(&yaml(&Upstream::start().await)).await;
    for (method, path) in
        [(Method::GET, "/v1/chat/completions"), (Method::POST, "/v1/models"), (Method::PUT, "/metrics")]
    {
        let answer = gateway.send(request(method, path, "", &[])).await;
        assert!(matches!(answer.status.as_u16(), 404 | 405), "{path}: {}", answer.status);
        answer.error(answer.status.as_u16());
    }
}

#[tokio::test]
async fn health_needs_no_master_key() {
    let (_upstream, gateway) = locked().await;
    for path in ["/health/liveliness", "/health/liveness", "/health/readiness"] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        answer.json();
    }
}

#[tokio::test]
async fn auth_accepts_the_master_key() {
    let (upstream, gateway) = locked().await;
    let bearer = format!("Bearer {KEY}");
    let with_key = [("authorization", bearer.as_str())];
    let body = ask("m", json!({}));
    let answer = gateway.send(request(Method::POST, "/v1/chat/completions", body, &with_key)).await;
    assert_eq!(answer.status, 200);
    for path in ["/v1/models", "/metrics"] {
        assert_eq!(gateway.send(request(Method::GET, path, "", &with_key)).await.status, 200, "{path}");
    }
    let call = upstream.only();
    assert_eq!(call.header("authorization"), Some("Bearer sk-in"), "the client's key goes nowhere");
}

#[tokio::test]
async fn auth_refuses_every_other_key_and_shows_none() {
    let (upstream, gateway) = locked().await;
    let (near, bearer) = (&KEY[..KEY.len() - 1], format!("Bearer {KEY}x"));
    let near = format!("Bearer {near}");
    let wrong = ["", "Bearer", "Bearer ", "Bearer zebra-77", &near, &bearer, "Basic c2s6", KEY, "Bearer  "];
    for word in wrong {
        let headers: &[_] = if word.is_empty() { &[] } else { &[("authorization", word)] };
        for (method, path) in
            [(Method::POST, "/chat/completions"), (Method::GET, "/v1/models"), (Method::GET, "/metrics")]
        {
            let answer = gateway.send(request(method, path, ask("m", json!({})), headers)).await;
            answer.error(401);
            let told = format!("{:?}{}", answer.headers, answer.text());
            assert!(!told.contains("wxyz") && !told.contains("zebra"), "a key was echoed: {told}");
        }
    }
    assert!(!gateway.said().contains("wxyz"), "{}", gateway.said());
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn auth_comes_before_the_body_is_read() {
    let (_upstream, gateway) = locked().await;
    gateway.post("/chat/completions", "{").await.error(401);
}

#[tokio::test]
async fn the_clients_own_credentials_go_nowhere() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    let headers = [
        ("authorization", "Bearer sk-client"),
        ("api-key", "client-secret"),
        ("x-api-key", "client-secret"),
        ("cookie", "session=client-secret"),
        ("proxy-authorization", "Basic client-secret"),
        ("te", "trailers"),
        ("x-forwarded-for", "10.1.2.3"),
        ("connection", "x-hop"),
        ("x-hop", "client-secret"),
    ];
    let answer =
        gateway.send(request(Method::POST, "/v1/chat/completions", ask("m", json!({})), &headers)).await;
    assert_eq!(answer.status, 200);
    let call = upstream.only();
    let told = format!("{:?}", call.headers);
    assert!(!told.contains("client"), "{told}");
    assert_eq!(call.header("authorization"), Some("Bearer sk-in"));
    assert_eq!(call.header("content-type"), Some("application/json"));
    let length = call.body.len().to_string();
    assert_eq!(call.header("content-length"), Some(length.as_str()));
}

#[tokio::test]
async fn response_headers_name_the_deployment_and_the_duration() {
    let asked = Case::of("m: a").ask().await;
    let answer = &asked.answer;
    assert_eq!(answer.header("x-litellm-model-group"), Some("m"));
    assert_eq!(answer.header("x-litellm-model-id"), Some("a"));
    assert_eq!(answer.header("x-litellm-model-api-base"), None, "only when it is asked for");
    assert!(answer.header("x-litellm-call-id").is_some_and(|id| id.len() >= 16));
    let millis = |name: &str| answer.header(name).unwrap().parse::<f64>().unwrap();
    let (all, ours) = (millis("x-litellm-response-duration-ms"), millis("x-litellm-overhead-duration-ms"));
    assert!(ours <= all && all < 10_000.0, "{ours} of {all}");
    asked.retries(0).fallbacks(0);
}

#[tokio::test]
async fn each_call_has_a_new_call_id_unless_the_client_sends_one() {
    let world = Case::of("m: a").start().await;
    let ids =
        [world.ask().await, world.ask().await].map(|a| a.header("x-litellm-call-id").unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    let brought = request(
        Method::POST,
        "/chat/completions",
        ask("m", json!({})),
        &[("x-litellm-call-id", "my-own-id")],
    );
    let answer = world.gateway.send(brought).await;
    assert_eq!(answer.header("x-litellm-call-id"), Some("my-own-id"));
}

#[tokio::test]
async fn the_upstreams_address_is_shown_when_that_was_asked_for() {
    let upstream = Upstream::start().await;
    let gateway = Start::new(&yaml(&upstream)).argument("--expose-upstreams").go().await;
    let answer = gateway.chat("m", json!({})).await;
    let shown = answer.header("x-litellm-model-api-base").unwrap();
    assert!(shown.starts_with(&upstream.url()) && !shown.contains('?'), "{shown}");
}

#[tokio::test]
async fn a_request_body_too_large_is_413_before_it_is_read() {
    let gateway = Gateway::start(&yaml(&Upstream::start().await)).await;
    let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 200000000\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut seen = vec![0; 4096];
    let n = soon("a refusal", socket.read(&mut seen)).await.unwrap();
    let text = String::from_utf8_lossy(&seen[..n]).into_owned();
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
}

#[tokio::test]
async fn mock_answers_need_no_upstream() {
    let yaml =
        "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, mock_response: Hello there}\n";
    let gateway = Gateway::start(yaml).await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "Hello there");
    let mut stream = gateway.stream("m", json!({})).await;
    stream.rest().await;
    assert!(
        stream.text().contains("data: {") && stream.text().ends_with("data: [DONE]\n\n"),
        "{}",
        stream.text()
    );
}

#[tokio::test]
async fn the_metrics_count_requests_and_attempts() {
    let world = Case::of("m: a b").first("a").always("a", say::server_error()).start().await;
    assert_eq!(world.ask().await.status, 200);
    let answer = world.gateway.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    assert!(text.contains("# TYPE tollgate_requests_total counter\n") && !text.contains("# EOF"), "{text}");
    let open =
        request(Method::GET, "/metrics", "", &[("accept", "application/openmetrics-text; version=1.0.0")]);
    let open = world.gateway.send(open).await;
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let open = open.text();
    assert!(open.contains("# TYPE tollgate_requests counter\n") && open.ends_with("\n# EOF\n"), "{open}");
    for told in ["\"m\"", "\"a\"", "\"b\""] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    assert!(!text.contains("sk-a"));
}

#[tokio::test]
async fn connections_to_an_upstream_are_kept_and_used_again() {
    let world = Case::of("m: a").start().await;
    for _ in 0..20 {
        assert_eq!(world.ask().await.status, 200);
    }
    assert_eq!(world.upstream("a").connections(), 1);
}

#[tokio::test]
async fn errors_of_an_upstream_keep_their_status_body_and_type() {
    for reply in [say::bad_gateway(), say::tgi_overloaded(), say::not_found(), say::azure_content_filter()] {
        let asked = Case::of("m: a").always("a", reply.clone()).settings("num_retries: 0").ask().await;
        let status = asked.answer.status.as_u16();
        let kind = if status == 502 { "text/html" } else { "application/json" };
        asked.body(&reply).header("content-type", kind);
    }
}

#[tokio::test]
async fn a_host_that_does_not_resolve_is_told_so_without_its_name() {
    let yaml = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, api_key: k, \
                api_base: \"http://no-such-host.invalid/v1\"}\nrouter_settings: {num_retries: 0}\n";
    let gateway = Gateway::start(yaml).await;
    let answer = gateway.chat("m", json!({})).await;
    answer.error(502);
    assert!(answer.text().contains("its host name does not resolve"), "{answer:?}");
    assert!(!answer.text().contains("no-such-host"), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_so() {
    let upstream = Upstream::start().await;
    let plain = yaml(&upstream);
    let gateway = Gateway::start(&plain.replace("http://", "https://")).await;
    let answer = gateway.chat("m", json!({})).await;
    answer.error(502);
    assert!(answer.text().contains("TLS fails"), "{answer:?}");
}
