//! Eight gateways with ten thousand deployments each.

use std::{fs, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tollgate_test_support::{memory, redis::RedisServer};

use crate::{
    scene::{Ledger, Scene, Yaml, alone_on_one},
    support::client::Client,
};

const DEPLOYMENTS: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Returns the processor time of a process. The kernel counts in hundredths of a second.
fn processor_time(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program comes before, in parentheses.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |n: usize| fields[n].parse::<u64>().unwrap();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Calls each deployment once, evenly over a minute. Returns the responses other than 200.
async fn call_all(client: Client) -> Vec<String> {
    let (start, mut failed) = (Instant::now(), Vec::new());
    for n in 0..DEPLOYMENTS {
        sleep_until(start + MINUTE * n as u32 / DEPLOYMENTS as u32).await;
        let answer = client.chat(&format!("m{n}"), json!({})).await;
        if answer.status != 200 {
            failed.push(format!("m{n} after {:?}: {} {}", start.elapsed(), answer.status, answer.text()));
        }
    }
    failed
}

/// Runs two minutes, of which the second is measured. Prints and returns the share of a core that the server takes, and the mean
/// share and memory of a gateway.
async fn minutes(name: &str, scene: &Scene) -> [f64; 3] {
    let pids: Vec<u32> =
        scene.gateways.iter().map(|gateway| gateway.pid()).chain([scene.redis.pid()]).collect();
    let mut before = Vec::new();
    for _ in 0..2 {
        before = pids.iter().map(|pid| processor_time(*pid)).collect();
        let calls: Vec<_> =
            scene.gateways.iter().map(|gateway| tokio::spawn(call_all(gateway.client.clone()))).collect();
        for calls in calls {
            let failed = calls.await.unwrap();
            assert!(failed.is_empty(), "{failed:?}");
        }
    }
    let mut shares: Vec<f64> = pids
        .iter()
        .zip(before)
        .map(|(pid, before)| (processor_time(*pid) - before).div_duration_f64(MINUTE))
        .collect();
    let (server, gateways) = (shares.pop().unwrap(), scene.gateways.len() as f64);
    let share = shares.iter().sum::<f64>() / gateways;
    let resident = scene.gateways.iter().map(|gateway| gateway.resident()).sum::<u64>() as f64 / gateways;
    println!(
        "{name}: the server takes {:.1} % of a core, a gateway {:.1} % and {:.1} MB",
        server * 100.0,
        share * 100.0,
        resident / 1e6
    );
    [server, share, resident]
}

/// S16: each gateway calls each of its deployments once a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_ten_thousand_deployments_of_two_limits() {
    alone_on_one(|program| async move {
        let model = |n| format!("{{model_name: m{n}, litellm_params: {{model: openai/m{n}, api_base: 'URL/v1', api_key: k, rpm: 60, tpm: 100000}}}}");
        let models: &str = (0..DEPLOYMENTS).map(model).collect::<Vec<_>>().join(",").leak();
        let yaml = Yaml { models, ..Yaml::default() };
        let mut scene = Scene::start_with(program, 8, yaml).await;
        scene.together().await;
        // Until the shares are equal: each takes one report of its limit, and then one that finds what others gave back.
        sleep_until(Instant::now() + 3 * MINUTE).await;
        let [server, share, resident] = minutes(&format!("S16 {program}"), &scene).await;
        let empty = RedisServer::start(program).unwrap();
        let servers = [&scene.redis, &empty];
        let [used, empty] = servers.map(|server| server.used_memory().unwrap() as f64 / 1e6);
        let used = used - empty;
        let [all, empty] =
            servers.map(|server| memory::resident(&server.pid().to_string()).unwrap() as f64 / 1e6);
        println!("S16 {program}: the limits take {used:.1} MB of the server, resident {:.1} MB", all - empty);
        scene.gateways.clear();
        scene.ledger = Ledger::default();
        for _ in 0..8 {
            scene.join().await;
        }
        let [_, alone, resident_alone] = minutes(&format!("S16 {program}, without replicas"), &scene).await;
        assert!(server < 0.25, "{server}");
        assert!(used < 12.0, "{used}");
        assert!(share - alone < 0.05, "{share} and {alone}");
        assert!(resident - resident_alone < 10e6, "{resident} and {resident_alone}");
    })
    .await;
}
