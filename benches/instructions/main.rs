//! What a request costs in instructions: one that is parsed, read, routed, picked for, encoded, answered and judged, in
//! this process, without a socket.
//!
//! `cargo bench --bench instructions -- <case> <count>` sends so many requests of one case through a whole gateway with
//! every layer on, over canned upstreams. Instructions are the same on a quiet machine and on a noisy one, so this is
//! what `tests/instructions` counts, under callgrind, and compares with what is committed. Without a case every case
//! runs a few times: a case that fails, fails here.

mod case;
mod scripted;
#[path = "../tools.rs"]
mod tools;

use std::{
    env,
    error::Error,
    future::{pending, ready},
    pin::pin,
};

use http_body_util::BodyExt;
use tollgate::{Gateway, config::Config, stack, state::State};
use tollgate_layers::ledger::{LocalLedger, Member, MemberConfig, ReplicaId};
use tower::{Service, ServiceExt};

use crate::{case::Case, scripted::ScriptedBody};

// The allocator of the binary: the counts are to be those of the binary.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Three deployments of each dialect with a limit that is counted but never met; retries, timeout, cooldown and fallbacks on.
const CONFIG: &str = "
model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o-mini, api_base: http://127.0.0.1:1/0/v1, api_key: sk-0, rpm: 1000000000}
  - model_name: chat
    litellm_params: {model: openai/gpt-4o-mini, api_base: http://127.0.0.1:1/1/v1, api_key: sk-1, rpm: 1000000000}
  - model_name: chat
    litellm_params: {model: openai/gpt-4o-mini, api_base: http://127.0.0.1:1/2/v1, api_key: sk-2, rpm: 1000000000}
  - model_name: responses
    litellm_params: {model: openai/responses/gpt-4o-mini, api_base: http://127.0.0.1:1/0/v1, api_key: sk-0, rpm: 1000000000}
  - model_name: responses
    litellm_params: {model: openai/responses/gpt-4o-mini, api_base: http://127.0.0.1:1/1/v1, api_key: sk-1, rpm: 1000000000}
  - model_name: responses
    litellm_params: {model: openai/responses/gpt-4o-mini, api_base: http://127.0.0.1:1/2/v1, api_key: sk-2, rpm: 1000000000}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: http://127.0.0.1:1/0, api_key: sk-0, rpm: 1000000000}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: http://127.0.0.1:1/1, api_key: sk-1, rpm: 1000000000}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: http://127.0.0.1:1/2, api_key: sk-2, rpm: 1000000000}
litellm_settings: {num_retries: 2, request_timeout: 60, allowed_fails: 3, cooldown_time: 5, fallbacks: [{chat: [chat]}]}
";

type RunResult = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> RunResult {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    match &*arguments {
        [case, count] => {
            let case = Case::named(case).ok_or_else(|| format!("no case is called {case}"))?;
            runtime.block_on(run(case, count.parse()?))
        }
        [] => Case::ALL.into_iter().try_for_each(|case| {
            println!("{}", case.name());
            runtime.block_on(run(case, 3))
        }),
        _ => Err("say a case and how often, or nothing".into()),
    }
}

async fn run(case: Case, count: usize) -> RunResult {
    let (config, _) = Config::from_yaml(CONFIG, "instructions.yaml", &|_| None)?;
    let scripted = ScriptedBody::new(case);
    let mut state = State::with_upstreams(move |_| scripted.upstream());
    let member = Member::new(ReplicaId::new(0), MemberConfig::default());
    if case == Case::Replicas {
        state = state.with_member(member.clone());
    }
    let mut gateway = stack::gateway(&config, &state, stack::Options::default())?;
    receive_leases(&member).await;
    let body = case.body();
    for _ in 0..count {
        ask(&mut gateway, case, &body).await?;
    }
    Ok(())
}

/// Syncs once: the ledger responds at once, and no later sync is counted.
async fn receive_leases(member: &Member) {
    tokio::select! {
        biased;
        () = member.run(LocalLedger::default(), pending::<()>()) => {}
        () = ready(()) => {}
    }
}

async fn ask(gateway: &mut Gateway, case: Case, body: &case::Pieces) -> RunResult {
    let answer =
        ServiceExt::<http::Request<case::Pieces>>::ready(gateway).await?.call(case.request(body)).await?;
    if !answer.status().is_success() {
        return Err(format!("{} is answered with {}", case.name(), answer.status()).into());
    }
    let mut body = pin!(answer.into_body());
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.into_data().map_or(0, |data| data.len());
    }
    if length < 100 {
        return Err(format!("{} is answered with {length} bytes", case.name()).into());
    }
    Ok(())
}
