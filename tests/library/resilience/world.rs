//! The gateway with scripted upstreams, in this process: [`Plan`], [`World`].

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tollgate::{
    Body, Gateway,
    config::{Config, Deployment},
    stack,
    state::State,
    upstream::{ScriptStep, TransportError, Upstream, UpstreamBody, UpstreamCall, UpstreamFuture},
};
use tower::ServiceExt;

/// The behaviour of an upstream for one call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// Answers with this status, these headers and this body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Answers 200 with an event stream of these steps.
    Stream(Vec<ScriptStep>),
    /// Refuses the connection.
    Refuse,
    /// Does not answer the connection: the connect clock has run out.
    NoConnection,
    /// Takes the call and breaks the connection.
    Break,
    /// Takes the call and says nothing, for ever.
    Hang,
    /// Panics in the middle of the call, as a fault of the gateway's own would.
    Panic,
}

/// An act, and how long it takes to come to it.
pub(crate) type Reply = (Duration, Act);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// At once.
pub(crate) fn now(act: Act) -> Reply {
    (Duration::ZERO, act)
}

/// A good answer that says this.
pub(crate) fn said(text: &str) -> Act {
    let choice =
        json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}});
    Act::Say(
        200,
        Vec::new(),
        json!({"id": "x", "object": "chat.completion", "choices": [choice]}).to_string(),
    )
}

/// An error with this status and code.
pub(crate) fn error(status: u16, code: &str) -> Act {
    let error = json!({"message": format!("{status} {code}"), "type": "x", "param": null, "code": code});
    Act::Say(status, Vec::new(), json!({"error": error}).to_string())
}

pub(crate) fn with_header(act: Act, name: &'static str, value: impl ToString) -> Act {
    match act {
        Act::Say(status, mut headers, body) => {
            headers.push((name, value.to_string()));
            Act::Say(status, headers, body)
        }
        other => other,
    }
}

/// A call that an upstream received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) id: Arc<str>,
}

type Script = Arc<dyn Fn(usize) -> Reply + Send + Sync>;
type Scripts = Arc<Mutex<HashMap<String, Script>>>;
type Log = Arc<Mutex<Vec<Seen>>>;

/// A configuration and what its upstreams do.
#[derive(Default)]
pub(crate) struct Plan {
    groups: Vec<(String, Vec<String>)>,
    params: HashMap<String, String>,
    info: HashMap<String, String>,
    settings: String,
    scripts: HashMap<String, Script>,
}

impl Plan {
    /// `"m: a b; n: c"` is two groups. A deployment without a script says its name, at once.
    pub(crate) fn of(groups: &str) -> Self {
        let group = |text: &str| {
            let (name, ids) = text.split_once(':').unwrap();
            (name.trim().to_owned(), ids.split_whitespace().map(str::to_owned).collect())
        };
        Self { groups: groups.split(';').map(group).collect(), ..Self::default() }
    }

    /// `litellm_params` of a deployment, as the inside of a flow mapping.
    pub(crate) fn params(mut self, id: &str, yaml: &str) -> Self {
        self.params.insert(id.to_owned(), format!(", {yaml}"));
        self
    }

    /// `model_info` of a deployment, likewise.
    pub(crate) fn info(mut self, id: &str, yaml: &str) -> Self {
        self.info.insert(id.to_owned(), format!(", {yaml}"));
        self
    }

    /// `router_settings`, likewise.
    pub(crate) fn settings(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.settings);
        self
    }

    /// Sets the replies of these deployments, in order; the last is repeated.
    pub(crate) fn says(self, ids: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<_> = replies.into_iter().collect();
        self.does(ids, move |n| replies[n.min(replies.len() - 1)].clone())
    }

    /// Sets the behaviour of these deployments, without delay.
    pub(crate) fn always(self, ids: &str, act: Act) -> Self {
        self.says(ids, [now(act)])
    }

    /// Sets a function that returns the reply to call number `n` of these deployments, counted from 0.
    pub(crate) fn does(mut self, ids: &str, script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let script: Script = Arc::new(script);
        for id in ids.split_whitespace() {
            self.scripts.insert(id.to_owned(), script.clone());
        }
        self
    }

    fn yaml(&self) -> String {
        let mut yaml = "model_list:\n".to_owned();
        for (group, ids) in &self.groups {
            for id in ids {
                let of = |map: &HashMap<String, String>| map.get(id).cloned().unwrap_or_default();
                let (params, info) = (of(&self.params), of(&self.info));
                writeln!(
                    yaml,
                    "- model_name: {group}\n  litellm_params: {{model: openai/{id}, api_base: 'https://{id}.test', \
                     api_key: sk-{id}{params}}}\n  model_info: {{id: {id}{info}}}"
                )
                .unwrap();
            }
        }
        yaml + &format!("router_settings: {{{}}}\n", self.settings)
    }

    /// Builds the tree. Needs a runtime, for its clock.
    pub(crate) fn start(self) -> World {
        let yaml = self.yaml();
        let (config, warnings) = Config::from_yaml(&yaml, "plan.yaml", &|_| None).unwrap();
        assert!(warnings.to_string().is_empty(), "{warnings}");
        let (log, scripts): (Log, Scripts) = (Log::default(), Arc::new(Mutex::new(self.scripts)));
        let (to_log, to_scripts) = (log.clone(), scripts.clone());
        let state = State::with_upstreams(move |deployment: &Deployment| {
            let (log, scripts) = (to_log.clone(), to_scripts.clone());
            Arc::new(Scripted { id: deployment.id.clone(), log, scripts }) as Arc<dyn Upstream>
        });
        let gateway = stack::gateway(&config, &state, stack::Options::default()).unwrap();
        World { gateway, log, scripts, state: Arc::new(state), model: self.groups[0].0.clone() }
    }

    /// Builds the tree and asks the first group once.
    pub(crate) async fn ask(self) -> (World, Answer) {
        let world = self.start();
        let answer = world.ask(json!({})).await;
        (world, answer)
    }
}

struct Scripted {
    id: Arc<str>,
    log: Log,
    scripts: Scripts,
}

impl Upstream for Scripted {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let n = {
            let mut log = self.log.lock().unwrap();
            log.push(Seen { at: Instant::now(), id: self.id.clone() });
            log.iter().filter(|seen| seen.id == self.id).count() - 1
        };
        let script = self.scripts.lock().unwrap().get(&*self.id).cloned();
        let (wait, act) = script.map_or_else(|| now(said(&self.id)), |script| script(n));
        drop(call);
        Box::pin(async move {
            if !wait.is_zero() {
                sleep(wait).await;
            }
            perform(act).await
        })
    }
}

async fn perform(act: Act) -> Result<Response<UpstreamBody>, TransportError> {
    let failed = |sent, timed_out| TransportError {
        sent,
        timed_out,
        evidence: true,
        stale: false,
        what: "The wire broke.".into(),
    };
    match act {
        Act::Say(status, headers, body) => {
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(UpstreamBody::full(body)).unwrap())
        }
        Act::Stream(steps) => {
            let response = Response::builder().header("content-type", "text/event-stream");
            Ok(response.body(UpstreamBody::scripted(steps)).unwrap())
        }
        Act::Refuse => Err(failed(false, false)),
        Act::NoConnection => Err(failed(false, true)),
        Act::Break => Err(failed(true, false)),
        Act::Hang => std::future::pending().await,
        Act::Panic => panic!("a bug"),
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The deployment that answered.
    pub(crate) fn by(&self) -> Option<&str> {
        self.header("x-litellm-model-id")
    }

    /// `error.code` of a body in OpenAI's shape.
    pub(crate) fn code(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A tree and its upstreams.
#[derive(Clone)]
pub(crate) struct World {
    gateway: Gateway,
    log: Log,
    scripts: Scripts,
    state: Arc<State>,
    model: String,
}

impl World {
    /// Asks the first group, with this added to the body.
    pub(crate) async fn ask(&self, more: Value) -> Answer {
        self.ask_with(more, &[]).await
    }

    /// Sends a chat request with these members and headers.
    pub(crate) async fn ask_with(&self, more: Value, headers: &[(&str, &str)]) -> Answer {
        let start = Instant::now();
        let (head, body) = self.open(more, headers).await.into_parts();
        let body = body.collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
        Answer { status: head.status.as_u16(), headers: head.headers, body, took: start.elapsed() }
    }

    /// Sends a chat request with these members and headers; the body of the answer is still to come.
    pub(crate) async fn open(&self, more: Value, headers: &[(&str, &str)]) -> Response<Body> {
        let mut body = json!({"model": self.model, "messages": [{"role": "user", "content": "hello"}]});
        if let Value::Object(more) = more {
            body.as_object_mut().unwrap().extend(more);
        }
        let mut request = Request::post("/v1/chat/completions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_string())).unwrap();
        self.gateway.clone().oneshot(request).await.unwrap()
    }

    /// Replaces the behaviour of this deployment for all later calls.
    pub(crate) fn becomes(&self, id: &str, act: Act) {
        self.scripts.lock().unwrap().insert(id.to_owned(), Arc::new(move |_| now(act.clone())));
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    /// The calls of these deployments, together.
    pub(crate) fn calls(&self, ids: &str) -> usize {
        self.seen().iter().filter(|seen| ids.split_whitespace().any(|id| id == &*seen.id)).count()
    }

    /// The deployments in the order in which they were called.
    pub(crate) fn order(&self) -> String {
        self.seen().iter().map(|seen| &*seen.id).collect::<Vec<_>>().join(" ")
    }

    /// Returns the intervals between the calls.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        self.seen().windows(2).map(|two| two[1].at - two[0].at).collect()
    }

    /// Returns the text of `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        self.state.render_metrics()
    }

    /// A counter of `/metrics` without labels.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(&format!("tollgate_{name}_total ")));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{name}: {text}"))
    }
}
