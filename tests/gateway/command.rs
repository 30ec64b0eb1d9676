//! The command itself: what it says, how it ends, and that two of them do not meet.

use serde_json::json;

use crate::support::{
    answers as say,
    case::Case,
    client::Over,
    gateway::{Finished, Gateway, Start, command, config, directory, run},
    reply::{Gate, Part},
    soon,
    upstream::Upstream,
};

const GOOD: &str = "model_list:
  - model_name: small
    litellm_params: {model: openai/a, api_base: \"http://127.0.0.1:9/v1\", api_key: sk-very-secret, rpm: 60}
  - model_name: small
    litellm_params: {model: openai/b, api_base: \"http://127.0.0.1:9/v1\", api_key: sk-very-secret, rpm: 40}
  - model_name: large
    litellm_params: {model: openai/c, api_base: \"http://127.0.0.1:9/v1\", api_key: sk-very-secret}
litellm_settings:
  fallbacks: [{small: [large]}]
";

#[tokio::test]
async fn help_and_version_are_as_people_expect() {
    for flag in ["--help", "-h"] {
        let help = run([flag]).await;
        assert_eq!(help.code, Some(0));
        for word in ["--config", "--host", "--port", "--check", "--strict", "--expose-upstreams"] {
            assert!(help.stdout.contains(word), "{word} is not in {}", help.stdout);
        }
    }
    let version = run(["--version"]).await;
    assert_eq!(
        (version.code, version.stdout.as_str()),
        (Some(0), concat!("tollgate ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[tokio::test]
async fn a_start_without_a_configuration_names_the_missing_argument() {
    let ended = run::<&str>([]).await;
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("--config"), "{}", ended.stderr);
}

/// Runs the command with these variables to its end.
async fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Finished {
    let mut command = command();
    command.args(arguments).envs(variables.iter().copied());
    let output = soon("the end of the command", command.output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[tokio::test]
async fn a_path_without_config_is_an_error_with_a_suggestion() {
    let path = config(GOOD);
    let path = path.to_str().unwrap();
    for arguments in [
        &[path][..],
        &["config.yaml"],
        &["./conf/prod.yml", "--check"],
        &["--check", "config.yaml"],
        &["--port", "0", "config.json"],
        &["simulate", "config.yaml", "--rps", "5"],
    ] {
        let ended = run(arguments).await;
        let word = arguments.iter().find(|word| word.contains('.')).unwrap();
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(
            ended.stderr.contains(&format!("did you mean `--config {word}`?")),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let typo = run(["simulte"]).await;
    assert!(typo.code == Some(2) && typo.stderr.contains("simulate"), "{}", typo.stderr);
}

#[tokio::test]
async fn the_arguments_of_litellm_are_accepted_with_a_warning_or_refused_with_the_reason() {
    let path = config(GOOD);
    let path = path.to_str().unwrap();
    let accepted =
        ["--detailed_debug", "--num_workers", "8", "--telemetry=False", "--run_gunicorn", "--drop_params"];
    let checked = run([&["-c", path, "--check"], &accepted[..]].concat()).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for said in [
        "`--detailed_debug` has no effect: set RUST_LOG",
        "`--num_workers` has no effect: one process uses all cores",
        "`--telemetry` has no effect",
        "`--drop_params` has no effect: write `drop_params: true`",
    ] {
        assert!(checked.stderr.contains(said), "{said}: {}", checked.stderr);
    }
    let validated = run(["--config", path, "--validate_config"]).await;
    assert!(validated.code == Some(0) && validated.stdout.contains("starts;"), "{}", validated.stdout);
    assert!(run(["-v"]).await.stdout.starts_with("tollgate "));
    for arguments in
        [&["--model", "gpt-4o"][..], &["-c", path, "--ciphers", "ALL"], &["-c", path, "--max_budget=5"]]
    {
        let refused = run(arguments).await;
        assert_eq!(refused.code, Some(2), "{arguments:?}");
        assert!(refused.stderr.contains("of LiteLLM is not supported: "), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn a_file_includes_others_and_a_reload_reads_them_again() {
    let path = config("include: [models.yaml]\nlitellm_settings: {num_retries: 0}\n");
    let models = path.with_file_name("models.yaml");
    let mock = |text: &str| {
        let entry = format!("{{model_name: m, litellm_params: {{model: openai/x, mock_response: {text}}}}}");
        std::fs::write(&models, format!("model_list: [{entry}]\n")).unwrap();
    };
    mock("before");
    let gateway = Start::at(&path).go().await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "before");
    mock("after");
    gateway.signal("HUP").await;
    gateway.says(&["reloaded, serving m"]).await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "after");
    std::fs::remove_file(&models).unwrap();
    gateway.signal("HUP").await;
    gateway
        .says(&["models.yaml` cannot be read", "config.yaml:1:11", "the configuration stays as it was"])
        .await;
}

#[tokio::test]
async fn the_configuration_comes_from_an_argument_or_from_the_environment() {
    let (good, bad) = (config(GOOD), config("model_list: 1"));
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    for (variables, arguments) in [
        (&[][..], &["-c", good, "--check"][..]),
        (&[("TOLLGATE_CONFIG", good)], &["--check"]),
        (&[("CONFIG_FILE_PATH", good)], &["--check"]),
        (&[("TOLLGATE_CONFIG", good), ("CONFIG_FILE_PATH", bad)], &["--check"]),
        (&[("TOLLGATE_CONFIG", " "), ("CONFIG_FILE_PATH", good)], &["--check"]),
        (&[("TOLLGATE_CONFIG", bad)], &["--config", good, "--check"]),
        (&[("TOLLGATE_CONFIG", good), ("PORT", "none")], &["--check"]),
    ] {
        let checked = run_with(variables, arguments).await;
        assert_eq!(checked.code, Some(0), "{variables:?} {arguments:?}: {}", checked.stderr);
        assert!(checked.stdout.contains("small: 2 deployments"), "{}", checked.stdout);
    }
    assert_eq!(run_with(&[("CONFIG_FILE_PATH", bad)], &[]).await.code, Some(78));
    let none = run_with(&[("TOLLGATE_CONFIG", "")], &[]).await;
    assert!(none.code == Some(2) && none.stderr.contains("TOLLGATE_CONFIG"), "{}", none.stderr);
}

#[tokio::test]
async fn the_address_comes_from_the_environment_unless_an_argument_names_it() {
    let path = config(GOOD);
    let path = path.to_str().unwrap();
    let taken = Upstream::start().await.port().to_string();
    let busy = Upstream::start().await;
    let busy = busy.port().to_string();
    let message = |host: &str, port: &str| format!("cannot listen on {host}:{port}");
    for (variables, arguments, host, port) in [
        (&[("PORT", &*busy)][..], &[][..], "127.0.0.1", &*busy),
        (&[("PORT", &busy), ("HOST", "127.0.0.1")], &[], "127.0.0.1", &busy),
        (&[("PORT", &taken)], &["--port", &busy], "127.0.0.1", &busy),
        (&[("PORT", &busy), ("HOST", "nowhere.invalid")], &[], "nowhere.invalid", &busy),
        (&[("PORT", &busy), ("HOST", "nowhere.invalid")], &["--host", "127.0.0.1"], "127.0.0.1", &busy),
    ] {
        let ended = run_with(variables, &[&["-c", path], arguments].concat()).await;
        assert_eq!(ended.code, Some(1), "{variables:?} {arguments:?}");
        assert!(ended.stderr.contains(&message(host, port)), "{variables:?} {arguments:?}: {}", ended.stderr);
    }
    for port in ["none", "65536", "-1", "80a"] {
        let ended = run_with(&[("PORT", port)], &["-c", path]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains("PORT"), "{port}: {}", ended.stderr);
    }
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let bracketed = run(["-c", path, "--host", "[::1]", "--port", &port]).await;
    assert!(bracketed.stderr.contains("in use"), "{}", bracketed.stderr);
}

#[tokio::test]
async fn an_empty_master_key_of_the_environment_is_an_error() {
    let path = config(GOOD);
    let path = path.to_str().unwrap();
    for value in ["", " ", "\n", "\t \r\n"] {
        let ended = run_with(&[("LITELLM_MASTER_KEY", value)], &["-c", path, "--port", "0"]).await;
        assert_eq!(ended.code, Some(78), "{value:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("`LITELLM_MASTER_KEY` is empty"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn an_empty_entry_of_the_model_list_is_an_error_with_its_line() {
    for (list, line) in [("model_list:\n  -\n", 2), ("model_list:\n  - null\n", 2), ("model_list: [{}]\n", 1)]
    {
        let ended = run(["-c", config(list).to_str().unwrap(), "--port", "0", "--strict"]).await;
        assert_eq!(ended.code, Some(78), "{list}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("config.yaml:{line}:")), "{list}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_check_prints_the_tree_and_no_secret() {
    let path = config(GOOD);
    let checked = run(["--config", path.to_str().unwrap(), "--check"]).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for told in ["small", "large", "60", "40", "100"] {
        assert!(checked.stdout.contains(told), "{told} is not in {}", checked.stdout);
    }
    assert!(!format!("{checked:?}").contains("sk-very"));
}

#[tokio::test]
async fn a_check_of_a_bad_file_tells_every_error_with_its_place_and_ends_with_78() {
    let bad = GOOD.replace("rpm: 60", "rpm: many").replace("[large]", "huge").replace("openai/c", "acme/c");
    let path = config(&bad);
    let checked = run(["--config", path.to_str().unwrap(), "--check"]).await;
    assert_eq!(checked.code, Some(78), "{}", checked.stderr);
    let file = path.file_name().unwrap().to_str().unwrap();
    for told in [&format!("{file}:3:"), &format!("{file}:7:"), &format!("{file}:9:"), "huge", "acme"] {
        assert!(checked.stderr.contains(told), "{told} is not in {}", checked.stderr);
    }
    assert!(!format!("{checked:?}").contains("sk-very"));
}

#[tokio::test]
async fn a_gateway_with_a_bad_configuration_does_not_start() {
    let path = config(&GOOD.replace("[large]", "huge"));
    let ended = run(["--config", path.to_str().unwrap(), "--port", "0"]).await;
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("huge"));
}

#[tokio::test]
async fn a_configuration_file_that_does_not_exist_is_named() {
    for check in [&["--check"][..], &[]] {
        let arguments = ["--config", "/no/such/file.yaml"].iter().chain(check);
        let ended = run(arguments).await;
        assert_eq!(ended.code, Some(78));
        assert!(ended.stderr.contains("/no/such/file.yaml"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let upstream = Upstream::start().await;
    let path = config(GOOD);
    let ended = run(["--config", path.to_str().unwrap(), "--port", &upstream.port().to_string()]).await;
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
    assert!(ended.stderr.contains(&upstream.port().to_string()), "{}", ended.stderr);
}

#[tokio::test]
async fn a_start_says_the_address_and_the_groups() {
    let gateway = Gateway::start(GOOD).await;
    let said = gateway.said();
    let line = said.lines().find(|line| line.contains("listening on")).unwrap();
    assert!(line.contains(&gateway.base_url()) && line.contains("small") && line.contains("large"), "{line}");
    assert!(!said.contains("sk-very"), "{said}");
}

#[tokio::test]
async fn a_public_address_without_a_master_key_has_one_warning() {
    let open = Start::new(GOOD).argument("--host").argument("0.0.0.0").start().await;
    let said = open.says(&["master_key"]).await;
    assert_eq!(said.lines().filter(|line| line.contains("master_key")).count(), 1, "{said}");
    let guarded = format!("{GOOD}general_settings: {{master_key: sk-door}}\n");
    let guarded = Start::new(&guarded).argument("--host").argument("0.0.0.0").start().await;
    assert!(!guarded.said().contains("master_key"), "{}", guarded.said());
}

#[tokio::test]
async fn a_loopback_address_without_a_master_key_has_no_warning() {
    let gateway = Start::new(GOOD).start().await;
    assert_eq!(gateway.get("/health/liveness").await.status, 200);
    assert!(!gateway.said().contains("master_key"), "{}", gateway.said());
}

#[tokio::test]
async fn the_command_prints_its_manual_page_and_completions() {
    let page = run(["man"]).await;
    assert!(
        page.stdout.contains(".TH tollgate 1") && page.stdout.contains("\\-\\-config"),
        "{}",
        page.stdout
    );
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(["completions", shell]).await;
        assert!(script.code == Some(0) && script.stdout.contains("expose-upstreams"), "{shell}: {script:?}");
    }
    let path = directory().join("tollgate.bash");
    std::fs::write(&path, run(["completions", "bash"]).await.stdout).unwrap();
    let mut bash = tokio::process::Command::new("bash");
    let bash = bash.args(["--norc", "-c", "source \"$0\" && complete -p tollgate"]).arg(&path).output().await;
    assert!(bash.as_ref().unwrap().status.success(), "{bash:?}");
}

#[tokio::test]
async fn an_unknown_configuration_key_is_a_warning_with_the_known_key() {
    let gateway = Gateway::start(&GOOD.replace("rpm: 60", "rmp: 60")).await;
    gateway.says(&["rmp", "rpm", ":3:"]).await;
}

#[tokio::test]
async fn a_signal_lets_requests_in_flight_finish() {
    for signal in ["TERM", "INT"] {
        let gate = Gate::new();
        let script =
            say::role().and(say::words(&["be"])).then(crate::support::reply::Part::Until(gate.clone()));
        let script = script.and(say::words(&["gun"])).and(say::finish()).and(say::done());
        let mut world = Case::of("m: a").always("a", script.clone()).start().await;
        let mut stream = world.gateway.stream("m", json!({})).await;
        stream.until("be").await;
        world.gateway.signal(signal).await;
        world.gateway.says(&["finishing what is in flight"]).await;
        gate.open();
        stream.rest().await;
        assert_eq!(stream.seen, script.body());
        assert_eq!(world.gateway.end().await.code(), Some(0), "{}", world.gateway.said());
    }
}

#[tokio::test]
async fn a_request_in_flight_is_dropped_after_the_drain_timeout() {
    let case = Case::of("m: a").always("a", say::role().and(say::words(&["be"])).then(Part::Hang));
    let mut world = case.router("drain_timeout: 0.2").start().await;
    let mut stream = world.gateway.stream("m", json!({})).await;
    stream.until("be").await;
    world.gateway.signal("INT").await;
    assert_eq!(world.gateway.end().await.code(), Some(1), "{}", world.gateway.said());
    assert_eq!(stream.rest().await, Over::Broken);
}

#[tokio::test]
async fn an_idle_gateway_ends_at_once_at_a_terminal() {
    let mut world = Case::of("m: a").start().await;
    assert_eq!(world.ask().await.status, 200);
    let start = tokio::time::Instant::now();
    world.gateway.signal("INT").await;
    assert_eq!(world.gateway.end().await.code(), Some(0));
    assert!(start.elapsed().as_secs() < 3, "an idle connection held it for {:?}", start.elapsed());
}

#[tokio::test]
async fn two_gateways_share_no_state() {
    let one = Case::of("m: a").always("a", say::rate_limited("60")).settings("num_retries: 0").start().await;
    let two = Case::of("m: a").start().await;
    assert_eq!(one.ask().await.status, 429);
    assert_eq!(one.ask().await.status, 429);
    for _ in 0..5 {
        assert_eq!(two.ask().await.said(), "a");
    }
    assert_eq!((one.calls("a"), two.calls("a")), (1, 5));
}

#[tokio::test]
async fn secrets_come_from_the_environment() {
    let upstream = Upstream::start().await;
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"{}/v1\", api_key: os.environ/MY_KEY}}\n",
        upstream.url()
    );
    let gateway = Start::new(&yaml).env("MY_KEY", "sk-from-outside").go().await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    assert_eq!(upstream.only().header("authorization"), Some("Bearer sk-from-outside"));
    assert!(!gateway.said().contains("sk-from"));
}

#[tokio::test]
async fn a_secret_that_is_not_in_the_environment_is_an_error_where_it_is_needed() {
    let yaml =
        "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, api_key: os.environ/MY_KEY}\n";
    let ended = run(["--config", config(yaml).to_str().unwrap(), "--check", "--strict"]).await;
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("MY_KEY") && ended.stderr.contains(":3:"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_secret_that_is_not_in_the_environment_is_named_where_it_is_optional() {
    let yaml = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, api_base: \"http://127.0.0.1:9/v1\", \
                api_key: os.environ/MY_KEY}\n";
    let ended = run(["--config", config(yaml).to_str().unwrap(), "--check"]).await;
    assert!(ended.stderr.contains("MY_KEY"), "{}", ended.stderr);
}

#[tokio::test]
async fn an_empty_key_is_no_key_and_the_start_says_so() {
    let upstream = Upstream::start().await;
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/x\n      api_base: {}/v1\n      api_key: \n",
        upstream.url()
    );
    let gateway = Gateway::start(&yaml).await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    let call = upstream.only();
    assert_eq!((call.header("authorization"), call.header("api-key")), (None, None));
    gateway.says(&["OPENAI_API_KEY"]).await;
}

#[tokio::test]
async fn the_health_command_reports_a_gateway_that_is_ready_draining_or_gone() {
    let mut gateway = Gateway::start(GOOD).await;
    let port = gateway.port.to_string();
    let health = async || run(["health", "--port", &port]).await;
    let ready = health().await;
    assert_eq!(
        (ready.code, &*ready.stdout),
        (Some(0), "200 OK {\"status\":\"healthy\"}\n"),
        "{}",
        ready.stderr
    );
    gateway.signal("TERM").await;
    gateway.says(&["finishing what is in flight"]).await;
    let draining = health().await;
    assert_eq!(draining.code, Some(1));
    assert!(draining.stdout.starts_with("503 "), "{}", draining.stdout);
    gateway.end().await;
    let gone = health().await;
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains(&format!("no answer from 127.0.0.1:{port}")), "{}", gone.stderr);
}
