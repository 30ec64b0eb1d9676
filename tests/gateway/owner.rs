//! The owner's two configurations and two commands, as they were given: in front of scripted upstreams they serve.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{
    answers,
    gateway::{Gateway, Start, directory},
    soon,
    upstream::{Call, Upstream},
};

const AZURE: &str = include_str!("../data/azure.yaml");
const FALLBACKS: &str = include_str!("../data/fallbacks.yaml");
const SIMPLE: &str = include_str!("../data/curl-simple.sh");
const DYNAMIC: &str = include_str!("../data/curl-dynamic.sh");

/// Puts local addresses in the place of the first, the second, ... `api_base`; every other byte stays.
fn at<'a>(yaml: &str, urls: impl IntoIterator<Item = &'a Upstream>) -> String {
    let mut urls = urls.into_iter().map(Upstream::url);
    let line = |line: &str| match line.split_once("api_base: ") {
        Some((before, _)) => format!("{before}api_base: {}\n", urls.next().unwrap()),
        None => format!("{line}\n"),
    };
    let moved: String = yaml.lines().map(line).collect();
    assert_eq!(urls.next(), None, "more upstreams than places");
    moved
}

/// Runs a command as it was given, with another port; gives the status and the body.
async fn curl(command: &str, gateway: &Gateway) -> (u16, Value) {
    assert_eq!(command.matches(":8000/").count(), 1);
    let command = command.replace(":8000/", &format!(":{}/", gateway.port));
    let home = directory();
    std::fs::write(home.join(".curlrc"), "silent\nshow-error\nwrite-out = \"\\n%{http_code}\"\n").unwrap();
    let run = Command::new("sh").arg("-c").arg(&command).env("HOME", &home).env_remove("CURL_HOME").output();
    let output = soon("curl", run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// The upstreams of `fallbacks.yaml`: three zephyrs, and OpenAI, which serves two models.
struct Fallbacks {
    zephyr: [Upstream; 3],
    openai: Upstream,
    gateway: Gateway,
}

impl Fallbacks {
    async fn start(zephyr: &crate::support::reply::Reply, openai: Upstream) -> Self {
        let zephyr = [
            Upstream::with([zephyr.clone()]).await,
            Upstream::with([zephyr.clone()]).await,
            Upstream::with([zephyr.clone()]).await,
        ];
        let base = format!("{}/v1", openai.url());
        let start = Start::new(&at(FALLBACKS, &zephyr)).env("OPENAI_BASE_URL", base);
        let gateway = start.env("OPENAI_API_KEY", "sk-from-the-environment").go().await;
        Self { zephyr, openai, gateway }
    }

    fn zephyr_calls(&self) -> Vec<usize> {
        self.zephyr.iter().map(Upstream::count).collect()
    }

    /// The models that OpenAI was asked for, in order.
    fn models(&self) -> Vec<String> {
        self.openai.calls().iter().map(|call| call.json()["model"].as_str().unwrap().to_owned()).collect()
    }
}

/// OpenAI says which model answers; the smaller one with this error, if there is one.
async fn openai(small: Option<crate::support::reply::Reply>) -> Upstream {
    Upstream::of(move |call: &Call| {
        let model = call.json()["model"].as_str().unwrap().to_owned();
        match &small {
            Some(error) if model == "gpt-3.5-turbo" => error.clone(),
            _ => answers::chat(&model),
        }
    })
    .await
}

fn no_settings_in(calls: &[Arc<Call>]) {
    for call in calls {
        for key in ["fallbacks", "context_window_fallbacks", "num_retries", "request_timeout"] {
            assert_eq!(call.json().get(key), None, "{key} went upstream");
        }
    }
}

#[tokio::test]
async fn both_configurations_of_the_owner_start_unchanged() {
    for (yaml, groups) in
        [(AZURE, &["gpt-3.5-turbo"][..]), (FALLBACKS, &["zephyr-beta", "gpt-3.5-turbo-16k"])]
    {
        let start = Start::new(yaml).env("AZURE_API_KEY", "k").env("OPENAI_API_KEY", "k");
        let gateway = start.go().await;
        let models = gateway.get("/v1/models").await.text();
        for group in groups {
            assert!(models.contains(group), "{group}");
            gateway.says(&[group]).await;
        }
    }
}

#[tokio::test]
async fn the_files_in_examples_are_the_owners() {
    for (name, yaml) in [("azure.yaml", AZURE), ("fallbacks.yaml", FALLBACKS)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let example = std::fs::read_to_string(path).unwrap();
        let meant = |text: &str| -> Vec<String> {
            let lines = text.lines().map(|line| line.trim_end().to_owned());
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
        };
        assert_eq!(meant(&example), meant(yaml), "{name}");
    }
}

#[tokio::test]
async fn the_first_curl_of_the_owner_is_answered_in_spite_of_its_trailing_comma() {
    let azure = [(); 3].map(|()| Upstream::with([answers::azure("I am a model")]));
    let [a, b, c] = azure;
    let upstreams = [a.await, b.await, c.await];
    let gateway = Start::new(&at(AZURE, &upstreams)).env("AZURE_API_KEY", "azure-key").go().await;
    assert!(
        serde_json::from_str::<Value>(SIMPLE.split('\'').nth(5).unwrap()).is_err(),
        "the comma is the point"
    );
    let (status, body) = curl(SIMPLE, &gateway).await;
    assert_eq!((status, &body["choices"][0]["message"]["content"]), (200, &json!("I am a model")));
    let calls: Vec<_> = upstreams.iter().flat_map(Upstream::calls).collect();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!(call.json()["messages"], json!([{"role": "user", "content": "what llm are you"}]));
    assert!(call.target.starts_with("/openai/deployments/gpt-turbo-"), "{}", call.target);
    assert!(call.target.contains("/chat/completions?api-version="), "{}", call.target);
    assert_eq!((call.header("api-key"), call.header("authorization")), (Some("azure-key"), None));
}

#[tokio::test]
async fn the_first_curl_of_the_owner_is_answered_by_the_second_configuration() {
    let world = Fallbacks::start(&answers::chat("zephyr"), openai(None).await).await;
    let (status, _) = curl(SIMPLE, &world.gateway).await;
    assert_eq!((status, world.models()), (200, vec!["gpt-3.5-turbo".to_owned()]));
    assert_eq!(world.openai.only().target, "/v1/chat/completions");
}

#[tokio::test]
async fn the_second_curl_of_the_owner_is_obeyed_and_its_settings_stay_in_the_gateway() {
    let world = Fallbacks::start(&answers::server_error(), openai(None).await).await;
    let (status, body) = curl(DYNAMIC, &world.gateway).await;
    assert_eq!((status, &body["choices"][0]["message"]["content"]), (200, &json!("gpt-3.5-turbo")));
    assert_eq!(world.zephyr_calls(), [1, 1, 1], "1 + num_retries: 2, from the body");
    no_settings_in(&world.openai.calls());
    no_settings_in(&world.zephyr.iter().flat_map(Upstream::calls).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_second_curl_of_the_owner_sends_a_long_prompt_to_its_context_window_fallback() {
    let world = Fallbacks::start(&answers::tgi_too_long(), openai(None).await).await;
    let (status, _) = curl(DYNAMIC, &world.gateway).await;
    assert_eq!(
        (status, world.models()),
        (200, vec!["gpt-3.5-turbo".to_owned()]),
        "the body's list, not the file's"
    );
    assert_eq!(world.zephyr_calls().iter().sum::<usize>(), 1);
}

#[tokio::test]
async fn three_failing_zephyrs_are_called_four_times_and_then_gpt_answers() {
    let world = Fallbacks::start(&answers::server_error(), openai(None).await).await;
    let answer = world.gateway.chat("zephyr-beta", json!({})).await;
    assert_eq!(answer.said(), "gpt-3.5-turbo");
    let mut calls = world.zephyr_calls();
    calls.sort_unstable();
    assert_eq!(calls, [1, 1, 2], "1 + num_retries: 3, none twice before each was called once");
    let mut order: Vec<_> = world
        .zephyr
        .iter()
        .enumerate()
        .flat_map(|(i, z)| z.calls().into_iter().map(move |c| (c.at, i)))
        .collect();
    order.sort_unstable();
    let first: std::collections::BTreeSet<_> = order[..3].iter().map(|(_, i)| i).collect();
    assert_eq!(first.len(), 3, "{order:?}");
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
    assert_eq!(answer.header("x-litellm-model-group"), Some("gpt-3.5-turbo"));
    let call = world.zephyr[0].calls()[0].clone();
    assert_eq!(call.target, "/v1/chat/completions");
    assert_eq!(call.json()["model"], "HuggingFaceH4/zephyr-7b-beta");
}

#[tokio::test]
async fn a_prompt_too_long_for_zephyr_goes_to_16k_after_one_call() {
    for error in [answers::context_window(), answers::tgi_too_long()] {
        let world = Fallbacks::start(&error, openai(None).await).await;
        let answer = world.gateway.chat("zephyr-beta", json!({})).await;
        assert_eq!(answer.said(), "gpt-3.5-turbo-16k");
        assert_eq!((world.zephyr_calls().iter().sum::<usize>(), world.openai.count()), (1, 1));
        assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
    }
}

#[tokio::test]
async fn an_outage_and_then_a_prompt_too_long_end_at_16k() {
    let world =
        Fallbacks::start(&answers::unavailable(), openai(Some(answers::context_window())).await).await;
    let answer = world.gateway.chat("zephyr-beta", json!({})).await;
    assert_eq!(answer.said(), "gpt-3.5-turbo-16k");
    assert_eq!(world.zephyr_calls().iter().sum::<usize>(), 4);
    assert_eq!(world.models(), ["gpt-3.5-turbo", "gpt-3.5-turbo-16k"]);
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("2"));
}

#[tokio::test]
async fn three_hundred_calls_in_a_minute_stay_within_every_limit() {
    let (a, b) = (Upstream::with([answers::azure("eu")]).await, Upstream::with([answers::azure("ca")]).await);
    let upstreams = [a, b, Upstream::with([answers::azure("fr")]).await];
    let gateway = Start::new(&at(AZURE, &upstreams)).env("AZURE_API_KEY", "k").go().await;
    let start = tokio::time::Instant::now();
    for _ in 0..300 {
        assert_eq!(gateway.chat("gpt-3.5-turbo", json!({})).await.status, 200);
    }
    assert!(start.elapsed().as_secs() < 60, "the minute of this test is over");
    let counts = upstreams.iter().map(Upstream::count).collect::<Vec<_>>();
    assert!(counts[0] <= 6 && counts[1] <= 6 && counts[2] >= 288, "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 300, "no call was made twice");
}
