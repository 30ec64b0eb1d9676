//! The logs: the start text, the events that an operator sees by default, the access log, and that none has a secret.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    support::{
        answers as say,
        case::Case,
        client::{ask, request},
        gateway::{Gateway, Start, directory},
        reply::{Gate, Part, Reply},
        soon,
        upstream::Upstream,
    },
    traces::Collector,
};

/// Returns the configuration of a group `m` over these upstreams, with these settings.
fn yaml(upstreams: &[(&str, &Upstream)], settings: &str) -> String {
    let entry = |(id, upstream): &(&str, &Upstream)| {
        format!(
            "  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"{}/v1\", api_key: sk-up}}\n    \
             model_info: {{id: {id}}}\n",
            upstream.url()
        )
    };
    format!("model_list:\n{}{settings}", upstreams.iter().map(entry).collect::<String>())
}

/// A gateway with an access log in JSON.
struct Logged {
    gateway: Gateway,
    path: std::path::PathBuf,
}

impl Logged {
    async fn start(yaml: &str, more: &[&str]) -> Self {
        let path = directory().join("access.log");
        let start = Start::new(yaml).argument("--access-log").argument(path.to_str().unwrap());
        let start = more.iter().fold(start, |start, argument| start.argument(argument));
        Self { gateway: start.go().await, path }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    /// Returns the log when it has this many lines.
    async fn lines(&self, count: usize) -> Vec<String> {
        let read = async {
            loop {
                let text = self.text();
                if text.lines().count() >= count {
                    return text.lines().map(str::to_owned).collect();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("the lines of the access log", read).await
    }

    async fn json(&self, count: usize) -> Vec<Value> {
        let lines = self.lines(count).await;
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn answer() -> Reply {
    let body = json!({
        "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "fine"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 5}},
    });
    Reply::json(200, &body)
}

#[tokio::test]
async fn the_access_log_has_a_line_with_the_course_of_each_request() {
    let (bad, good) = (Upstream::with([say::unavailable()]).await, Upstream::with([answer()]).await);
    let config = yaml(
        &[("bad", &bad), ("good", &good)],
        "router_settings: {num_retries: 1, trusted_proxies: [127.0.0.1]}\n",
    )
    .replace("model_info: {id: bad}", "model_info: {id: bad, weight: 1000000}")
    .replace("api_key: sk-up}", "api_key: sk-up, input_cost_per_token: 0.5, output_cost_per_token: 0.25}");
    let logged = Logged::start(&config, &["--log-format", "json"]).await;
    let headers = [
        ("x-forwarded-for", "198.51.100.1, 203.0.113.9"),
        ("x-request-id", "mine"),
        ("x-litellm-call-id", "call"),
    ];
    let called = request(Method::POST, "/v1/chat/completions?key=sk-query", ask("m", json!({})), &headers);
    assert_eq!(logged.gateway.send(called).await.said(), "fine");
    let line = &logged.json(1).await[0];
    for (name, value) in [
        ("message", json!("request")),
        ("status", json!(200)),
        ("class", json!("success")),
        ("path", json!("/v1/chat/completions")),
        ("operation", json!("chat")),
        ("call_id", json!("call")),
        ("request_id", json!("mine")),
        ("client", json!("203.0.113.9")),
        ("model", json!("m")),
        ("group", json!("m")),
        ("deployment", json!("good")),
        ("tokens_in", json!(9)),
        ("tokens_cached", json!(5)),
        ("tokens_out", json!(4)),
        ("cost", json!(5.5)),
    ] {
        assert_eq!(line[name], value, "{name}: {line}");
    }
    let attempts = line["attempts"].as_array().unwrap();
    let [first, second] = &attempts[..] else { panic!("{line}") };
    assert_eq!(
        (&first["deployment"], &first["class"], &first["status"]),
        (&json!("bad"), &json!("unavailable"), &json!(503))
    );
    assert!(first["message"].is_string() && first["ms"].is_number(), "{line}");
    assert_eq!((&second["deployment"], &second["class"]), (&json!("good"), &json!("success")));
    let number = |name: &str| line[name].as_f64().unwrap();
    assert!(number("total_ms") >= number("first_content_ms") && number("bytes_out") > 100.0, "{line}");
    assert!(number("bytes_in") > 10.0 && number("queue_ms") >= 0.0, "{line}");
    let cost = "tollgate_deployment_cost_dollars_total{group=\"m\",deployment=\"good\"} 5.5\n";
    assert!(logged.gateway.get("/metrics").await.text().contains(cost));
}

#[tokio::test]
async fn a_response_states_where_its_time_went_if_that_is_set() {
    let case =
        || Case::of("m: a b").first("a").always("a", say::unavailable().after(Duration::from_millis(20)));
    let world = case().router("server_timing: true").start().await;
    let answer = world.ask().await;
    let timing = answer.header("server-timing").unwrap();
    let times = timing.split(", ").map(|entry| {
        let (name, milliseconds) = entry.split_once(";dur=").unwrap();
        (name, milliseconds.parse::<f64>().unwrap())
    });
    let times: std::collections::BTreeMap<_, _> = times.collect();
    let names: Vec<_> = times.keys().copied().collect();
    let attempts = ["attempt1;desc=unavailable", "attempt2;desc=success"];
    assert_eq!(names, [attempts[0], attempts[1], "gateway", "queue", "upstream"]);
    assert!(times[attempts[0]] >= 20.0 && times["upstream"] >= 20.0, "{timing}");
    let total = times["queue"] + times["upstream"] + times["gateway"];
    assert!(total <= answer.took.as_secs_f64() * 1000.0, "{timing}");
    assert_eq!(case().start().await.ask().await.header("server-timing"), None);
}

#[tokio::test]
async fn the_access_log_has_refused_and_cancelled_requests_and_no_health_checks() {
    let gate = Gate::new();
    let upstream = Upstream::with([say::chat("late").held(&gate)]).await;
    let logged = Logged::start(&yaml(&[("a", &upstream)], ""), &["--log-format", "logfmt"]).await;
    logged.gateway.get("/health/readiness").await;
    logged.gateway.get("/nowhere").await.error(404);
    logged.gateway.post("/v1/chat/completions", "{").await.error(400);
    let client = logged.gateway.client.clone();
    let pending = tokio::spawn(async move { client.chat("m", json!({})).await });
    upstream.call(1).await;
    pending.abort();
    let lines = logged.lines(3).await;
    for (line, fields) in lines.iter().zip([
        &["status=404", "class=caller", "path=/nowhere"][..],
        &["status=400", "class=caller"],
        &["status=499", "class=cancelled", "operation=chat", "attempts=a:cancelled:"],
    ]) {
        assert!(fields.iter().all(|field| line.contains(field)), "{fields:?}: {line}");
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
    gate.open();
}

#[tokio::test]
async fn the_sample_of_the_access_log_leaves_out_successes_only() {
    let upstream = Upstream::with([say::chat("a")]).await;
    let logged = Logged::start(&yaml(&[("a", &upstream)], ""), &["--access-log-sample", "0"]).await;
    for _ in 0..3 {
        logged.gateway.chat("m", json!({})).await.said();
    }
    logged.gateway.chat("unknown", json!({})).await.error(404);
    let lines = logged.lines(1).await;
    assert!(lines.len() == 1 && lines[0].contains("status=404"), "{lines:?}");
}

#[tokio::test]
async fn json_logs_of_the_file_make_each_diagnostic_of_a_reload_an_event() {
    let upstream = Upstream::start().await;
    let config = yaml(&[("a", &upstream)], "litellm_settings: {json_logs: true}\n");
    let path = crate::support::gateway::config(&config);
    let gateway = Start::at(&path).go().await;
    std::fs::write(&path, format!("{config}router_settings: {{num_retries: many, timeout: never}}\n"))
        .unwrap();
    gateway.signal("HUP").await;
    let said = gateway.says(&["the configuration stays as it was"]).await;
    let events: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |key: &str| events.iter().filter(|event| event["path"].as_str() == Some(key)).count();
    assert_eq!((of("router_settings.num_retries"), of("router_settings.timeout")), (1, 1), "{said}");
    assert!(events.iter().all(|event| event["level"].is_string() && event["time"].is_string()), "{said}");
}

/// Returns the lines about a deployment.
fn about(said: &str, what: &str) -> usize {
    said.lines().filter(|line| line.contains(what) && line.contains("broken")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_fails_every_call_is_in_the_default_log_once_and_once_when_it_recovers() {
    const FAILURES: usize = 10_000;
    let (broken, other) =
        (Upstream::with([say::unavailable()]).await, Upstream::with([say::chat("a")]).await);
    let settings =
        "router_settings: {num_retries: 0, cooldown_time: 1, retry_budget: {percent: 0, reserve: 0}}\n";
    // Calls by its id: the balancer would leave it out.
    let gateway = Gateway::start(&yaml(&[("broken", &broken), ("other", &other)], settings)).await;
    let start = Instant::now();
    gateway.chat("broken", json!({})).await.error(503);
    let mut failing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = gateway.client.clone();
        failing.spawn(async move {
            for _ in 0..FAILURES / 8 {
                client.chat("broken", json!({})).await.error(503);
            }
        });
    }
    let said = gateway.says(&["deployment cools down"]).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}: {said}", start.elapsed());
    failing.join_all().await;
    let seconds = start.elapsed().as_secs_f64();
    let said = gateway.said();
    let lines = said.lines().filter(|line| line.contains("tollgate::events")).count();
    assert!(lines as f64 <= 10.0 * (seconds + 1.0), "{lines} lines in {seconds} s:\n{said}");
    assert_eq!(about(&said, "deployment cools down"), 1, "{said}");

    broken.becomes(say::chat("healthy again"));
    let recovery = async {
        while gateway.chat("broken", json!({})).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon("the recovery", recovery).await;
    let said = gateway.says(&["deployment has recovered"]).await;
    assert_eq!(
        (about(&said, "deployment cools down"), about(&said, "deployment has recovered")),
        (1, 1),
        "{said}"
    );
}

#[tokio::test]
async fn a_group_without_a_healthy_deployment_is_in_the_default_log() {
    let broken = Upstream::with([say::unauthorized()]).await;
    let gateway = Gateway::start(&yaml(&[("broken", &broken)], "router_settings: {num_retries: 0}\n")).await;
    gateway.chat("m", json!({})).await;
    let said = gateway.says(&["group has no healthy deployment"]).await;
    assert!(said.contains("unauthorized, status 401"), "{said}");
}

#[tokio::test]
async fn a_deployment_without_cooldowns_that_refuses_every_call_is_in_the_default_log() {
    let broken = Upstream::with([say::rate_limited_without_a_time()]).await;
    let settings = "router_settings: {num_retries: 0, disable_cooldowns: true, queue_timeout: 0}\n";
    let gateway = Gateway::start(&yaml(&[("broken", &broken)], settings)).await;
    let calls = async {
        while !gateway.said().contains("deployment fails every call") {
            gateway.chat("m", json!({})).await;
        }
    };
    soon("the event", calls).await;
    assert_eq!(about(&gateway.said(), "deployment fails every call"), 1);
}

#[tokio::test]
async fn a_limit_that_is_learnt_from_a_response_is_in_the_default_log() {
    let reply =
        say::chat("a").header("x-ratelimit-limit-requests", 30).header("x-ratelimit-remaining-requests", 29);
    let upstream = Upstream::with([reply]).await;
    let gateway = Gateway::start(&yaml(&[("a", &upstream)], "")).await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    let said = gateway.says(&["limit learnt from responses"]).await;
    assert!(said.contains("rpm=30"), "{said}");
    let metrics = gateway.get("/metrics").await.text();
    let line = "tollgate_deployment_limit{group=\"m\",deployment=\"a\",kind=\"requests\"} 30\n";
    assert!(metrics.contains(line) && !metrics.contains("limit_configured{"), "{metrics}");
}

#[tokio::test]
async fn the_start_text_has_the_base_url_the_groups_and_the_clients() {
    let upstream = Upstream::start().await;
    let gateway =
        Gateway::start(&yaml(&[("a", &upstream)], "general_settings: {master_key: sk-master}\n")).await;
    let url = gateway.base_url();
    let said = gateway.says(&[&format!("{url}/v1"), &format!("{url}/metrics"), "m: 1 deployment"]).await;
    assert!(said.contains("master key") && !said.contains("sk-master") && !said.contains('\u{1b}'), "{said}");
}

/// Secrets of 20 shapes: keys of providers, tokens, and text as users write it.
const CANARIES: [&str; 20] = [
    "sk-proj-CANARY01abcdefghijklmnop",
    "sk-ant-api03-CANARY02abcdefghijk",
    "AIzaSyCANARY03abcdefghijklmnopqr",
    "gsk_CANARY04abcdefghijklmnop",
    "hf_CANARY05abcdefghijklmnop",
    "xai-CANARY06abcdefghijklmnop",
    "ghp_CANARY07abcdefghijklmnopqrst",
    "AKIACANARY08ABCDEFGH",
    "eyJhbGciOiJIUzI1NiJ9.CANARY09.abcdefghijk",
    "c4n4ry10-1234-4f5a-9b8c-0123456789ab",
    "CANARY11CANARY11CANARY11CANARY11",
    "canary12_underscores_and_numbers_4711",
    "Canary13!?$%&/()=",
    "canary14@example.org",
    "+49-30-CANARY15",
    "DE00CANARY16123456789",
    "https://canary17:secret@example.org/path",
    "/home/canary18/secret.txt",
    "канарейка19канарейка",
    "{\\\"canary20\\\": [1, 2]}",
];

/// Returns a response, a stream, an error that repeats the prompt, and a broken stream, for each canary.
fn echoes() -> Vec<Reply> {
    let replies = CANARIES.iter().enumerate().flat_map(|(n, canary)| {
        let plain = canary.replace("\\\"", "\"");
        let status = if n % 2 == 0 { 500 } else { 400 };
        let echo = say::error(status, "t", Some("c"), &format!("No: {plain} is not valid"));
        [say::chat(&plain), say::stream(&["an", &plain]), echo, say::words(&[&plain]).then(Part::Cut)]
    });
    replies.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_of_a_prompt_an_answer_or_a_key_is_in_a_log_a_metric_a_trace_or_the_status() {
    let (upstream, mut collector) = (Upstream::with(echoes()).await, Collector::start(StatusCode::OK).await);
    let settings = "general_settings: {master_key: sk-CANARY-master-key}\n\
        router_settings: {num_retries: 0, disable_cooldowns: true}\n";
    let secrets = "api_key: sk-CANARY-upstream-key, extra_headers: {x-team: CANARY-team-token}";
    let config = yaml(&[("a", &upstream)], settings).replace("api_key: sk-up", secrets);
    let path = directory().join("access.log");
    let start = Start::new(&config).argument("--access-log").argument(path.to_str().unwrap());
    let start = start.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).env("RUST_LOG", "trace");
    let gateway = start.argument("--log-format").argument("json").go().await;
    let key = ("authorization", "Bearer sk-CANARY-master-key");
    for canary in CANARIES {
        for stream in [false, true, false, true] {
            let prompt = json!([{"role": "user", "content": canary}]);
            let body = ask("m", json!({"stream": stream, "messages": prompt, "user": canary}));
            let target = "/v1/chat/completions?api_key=CANARY-in-a-query";
            gateway.send(request(Method::POST, target, body, &[key, ("cookie", "s=CANARY-cookie")])).await;
        }
    }
    let wrong = [("authorization", "Bearer sk-CANARY-wrong-key")];
    gateway.send(request(Method::GET, "/v1/models", "", &wrong)).await.error(401);
    let metrics = gateway.send(request(Method::GET, "/metrics", "", &[key])).await.text();
    let status = gateway.send(request(Method::GET, "/status/data", "", &[key])).await.text();
    assert!(status.contains("\"errors\":[{"), "{status}");
    let logged = Logged { gateway, path };
    logged.lines(4 * CANARIES.len() + 1).await;
    // A span for each request and one for its attempt.
    let spans = collector.text(8 * CANARIES.len()).await;
    let logs = [logged.gateway.said(), metrics, logged.text(), status, spans];
    let is_deep = ["trace", "debug"].iter().any(|level| logs[0].contains(&format!("\"level\":\"{level}\"")));
    assert!(is_deep, "{}", logs[0]);
    for (n, log) in logs.iter().enumerate() {
        let lower = log.to_lowercase();
        let is_found = |line: &&str| ["canary", "канарейка", "c4n4ry"].iter().any(|part| line.contains(part));
        assert_eq!(lower.lines().find(is_found), None, "log {n}");
    }
}
