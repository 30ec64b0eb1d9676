//! One line of a table: a configuration, what the upstreams do, a request; then the calls that each upstream saw,
//! the status, the headers and the body.
//!
//! `Case::of("zephyr: a b c; gpt: d")` is two groups, of three deployments and of one. Each deployment has an upstream
//! of the same name, its id is that name, and without a word from the case it says that name to whoever calls.

use std::{collections::BTreeMap, time::Duration};

use http::Method;
use serde_json::{Value, json};

use super::{
    answers,
    client::{Answer, Stream, ask, request},
    gateway::Gateway,
    reply::{Part, Reply},
    upstream::Upstream,
};

/// A case that is being described.
pub(crate) struct Case {
    groups: Vec<(String, Vec<String>)>,
    params: BTreeMap<String, String>,
    info: BTreeMap<String, String>,
    scripts: BTreeMap<String, Option<Vec<Reply>>>,
    first: Option<String>,
    sections: Vec<(&'static str, String)>,
    more: Value,
    headers: Vec<(&'static str, &'static str)>,
}

impl Case {
    /// The groups and their deployments.
    pub(crate) fn of(groups: &str) -> Self {
        let group = |text: &str| {
            let (name, deployments) = text.split_once(':').unwrap();
            (name.trim().to_owned(), deployments.split_whitespace().map(str::to_owned).collect())
        };
        Self {
            groups: groups.split(';').map(group).collect(),
            params: BTreeMap::new(),
            info: BTreeMap::new(),
            scripts: BTreeMap::new(),
            first: None,
            sections: Vec::new(),
            more: json!({}),
            headers: Vec::new(),
        }
    }

    /// Makes the balancer pick this deployment before all others, by weights.
    pub(crate) fn first(mut self, deployment: &str) -> Self {
        self.first = Some(deployment.to_owned());
        self
    }

    /// `litellm_params` of these deployments, as the inside of a flow mapping.
    pub(crate) fn params(mut self, deployments: &str, yaml: &str) -> Self {
        self.params.extend(deployments.split_whitespace().map(|name| (name.to_owned(), yaml.to_owned())));
        self
    }

    /// Gives this deployment all the time it needs, whatever the settings say. They are for those that are to miss them:
    /// on a busy machine a good answer may miss them too.
    pub(crate) fn patient(mut self, deployment: &str) -> Self {
        let params = self.params.entry(deployment.to_owned()).or_default();
        if !params.is_empty() {
            params.push_str(", ");
        }
        params.push_str("timeout: 60, stream_timeout: 60");
        self
    }

    /// `model_info` of a deployment, likewise.
    pub(crate) fn info(mut self, deployment: &str, yaml: &str) -> Self {
        self.info.insert(deployment.to_owned(), yaml.to_owned());
        self
    }

    /// `litellm_settings`, likewise.
    pub(crate) fn settings(self, yaml: &str) -> Self {
        self.section("litellm_settings", yaml)
    }

    /// `router_settings`, likewise.
    pub(crate) fn router(self, yaml: &str) -> Self {
        self.section("router_settings", yaml)
    }

    /// A section of the file, likewise.
    pub(crate) fn section(mut self, name: &'static str, yaml: &str) -> Self {
        self.sections.push((name, yaml.to_owned()));
        self
    }

    /// Sets the replies of these deployments' upstreams, in order; the last is repeated.
    pub(crate) fn says(mut self, deployments: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<_> = replies.into_iter().collect();
        for name in deployments.split_whitespace() {
            self.scripts.insert(name.to_owned(), Some(replies.clone()));
        }
        self
    }

    /// Sets the reply of these deployments' upstreams.
    pub(crate) fn always(self, deployments: &str, reply: Reply) -> Self {
        self.says(deployments, [reply])
    }

    /// Makes these upstreams refuse connections.
    pub(crate) fn refuses(mut self, deployments: &str) -> Self {
        self.scripts.extend(deployments.split_whitespace().map(|name| (name.to_owned(), None)));
        self
    }

    /// Added to the body of the request.
    pub(crate) fn with(mut self, more: Value) -> Self {
        self.more = more;
        self
    }

    /// A header of the request.
    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn yaml(&self, upstreams: &BTreeMap<String, Upstream>) -> String {
        let mut yaml = "model_list:\n".to_owned();
        for (group, deployments) in &self.groups {
            for name in deployments {
                let url = upstreams[name].url();
                let mut more = self.params.get(name).map_or_else(String::new, |params| format!(", {params}"));
                if let Some(first) = &self.first {
                    more += if first == name { ", weight: 1000" } else { ", weight: 1" };
                }
                let info = self.info.get(name).map_or_else(String::new, |info| format!(", {info}"));
                yaml += &format!(
                    "  - model_name: {group}\n    litellm_params: {{model: openai/{name}-model, api_base: \"{url}/v1\", \
                     api_key: sk-{name}{more}}}\n    model_info: {{id: {name}{info}}}\n"
                );
            }
        }
        for (section, inside) in &self.sections {
            yaml += &format!("{section}: {{{inside}}}\n");
        }
        yaml
    }

    /// Starts all of it, and asks nothing yet.
    pub(crate) async fn start(self) -> World {
        let mut upstreams = BTreeMap::new();
        for name in self.groups.iter().flat_map(|(_, deployments)| deployments) {
            let upstream = match self.scripts.get(name) {
                Some(Some(replies)) => Upstream::with(replies.clone()).await,
                Some(None) => Upstream::refusing(),
                None => Upstream::of(speaks(name.clone())).await,
            };
            upstreams.insert(name.clone(), upstream);
        }
        let yaml = self.yaml(&upstreams);
        let gateway = Gateway::start(&yaml).await;
        World { gateway, upstreams, model: self.groups[0].0.clone(), more: self.more, headers: self.headers }
    }

    /// Asks the first group once.
    pub(crate) async fn ask(self) -> Asked {
        let world = self.start().await;
        let answer = world.ask().await;
        Asked { world, answer }
    }
}

/// An upstream that says its name, in a stream if it is asked for one.
fn speaks(name: String) -> impl FnMut(&super::upstream::Call) -> Reply + Send {
    move |call| {
        if call.json()["stream"] == true { answers::stream(&[&name]) } else { answers::chat(&name) }
    }
}

/// A gateway and its upstreams, running.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    model: String,
    more: Value,
    headers: Vec<(&'static str, &'static str)>,
}

impl World {
    /// Asks as the case says.
    pub(crate) async fn ask(&self) -> Answer {
        self.ask_with(self.more.clone()).await
    }

    /// Asks with this added to the body instead.
    pub(crate) async fn ask_with(&self, more: Value) -> Answer {
        let model = more["model"].as_str().unwrap_or(&self.model).to_owned();
        let body = ask(&model, more);
        self.gateway.send(request(Method::POST, "/chat/completions", body, &self.headers)).await
    }

    /// Asks the first group for a stream, with this added to the body, and reads it to its end.
    pub(crate) async fn whole_stream(&self, more: Value) -> Stream {
        let mut stream = self.gateway.stream("m", more).await;
        stream.rest().await;
        stream
    }

    /// Asks this often, one after the other, and returns the statuses.
    pub(crate) async fn statuses(&self, times: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(self.ask().await.status.as_u16());
        }
        statuses
    }

    pub(crate) fn upstream(&self, name: &str) -> &Upstream {
        &self.upstreams[name]
    }

    /// Calls that these upstreams saw, together.
    pub(crate) fn calls(&self, names: &str) -> usize {
        names.split_whitespace().map(|name| self.upstreams[name].count()).sum()
    }

    /// The calls of each, in this order.
    pub(crate) fn each(&self, names: &str) -> Vec<usize> {
        names.split_whitespace().map(|name| self.upstreams[name].count()).collect()
    }

    /// The upstreams in the order in which they were called.
    pub(crate) fn order(&self) -> String {
        let calls = |(name, upstream): (&String, &Upstream)| {
            upstream.calls().iter().map(|call| (call.at, name.clone())).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.upstreams.iter().flat_map(calls).collect();
        all.sort();
        all.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    }
}

/// A case that was asked once; what follows is what must be true.
pub(crate) struct Asked {
    pub(crate) world: World,
    pub(crate) answer: Answer,
}

impl Asked {
    fn story(&self) -> String {
        let Answer { status, headers, took, .. } = &self.answer;
        let order = self.world.order();
        format!("{status} in {took:?}, called: [{order}]\n{headers:#?}\n{}", self.answer.text())
    }

    pub(crate) fn status(self, status: u16) -> Self {
        assert_eq!(self.answer.status.as_u16(), status, "{}", self.story());
        self
    }

    /// An error in OpenAI's shape.
    pub(crate) fn fails(self, status: u16) -> Self {
        let this = self.status(status);
        this.answer.error(status);
        this
    }

    /// 200, from this upstream.
    pub(crate) fn answered_by(self, name: &str) -> Self {
        let this = self.status(200);
        assert_eq!(this.answer.said(), name, "{}", this.story());
        assert_eq!(this.answer.header("x-litellm-model-id"), Some(name), "{}", this.story());
        this
    }

    /// Exactly so many calls: `a:1 b:0`.
    pub(crate) fn calls(self, expected: &str) -> Self {
        for one in expected.split_whitespace() {
            let (name, count) = one.split_once(':').unwrap();
            assert_eq!(
                self.world.upstreams[name].count().to_string(),
                count,
                "calls of {name}; {}",
                self.story()
            );
        }
        self
    }

    /// Asserts the number of calls of these deployments together.
    pub(crate) fn together(self, names: &str, count: usize) -> Self {
        assert_eq!(self.world.calls(names), count, "calls of {names}; {}", self.story());
        self
    }

    /// They were called in exactly this order.
    pub(crate) fn in_order(self, order: &str) -> Self {
        assert_eq!(self.world.order(), order, "{}", self.story());
        self
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        assert_eq!(self.answer.header(name), Some(value), "{name}; {}", self.story());
        self
    }

    pub(crate) fn no_header(self, name: &str) -> Self {
        assert_eq!(self.answer.header(name), None, "{name}; {}", self.story());
        self
    }

    pub(crate) fn retries(self, count: u32) -> Self {
        self.header("x-litellm-attempted-retries", &count.to_string())
    }

    pub(crate) fn fallbacks(self, count: u32) -> Self {
        self.header("x-litellm-attempted-fallbacks", &count.to_string())
    }

    /// The body is this upstream answer, byte for byte.
    pub(crate) fn body(self, reply: &Reply) -> Self {
        assert_eq!(self.answer.text(), String::from_utf8_lossy(&reply.body()), "{}", self.story());
        self
    }

    pub(crate) fn contains(self, text: &str) -> Self {
        assert!(self.answer.text().contains(text), "{text:?}; {}", self.story());
        self
    }

    /// Asserts that the request took at least `from` and less than `to` milliseconds.
    pub(crate) fn took(self, from: u64, to: u64) -> Self {
        let range = Duration::from_millis(from)..Duration::from_millis(to);
        assert!(range.contains(&self.answer.took), "{range:?}; {}", self.story());
        self
    }
}

/// An upstream that is slow to answer.
pub(crate) fn slow(millis: u64, name: &str) -> Reply {
    answers::chat(name).after(Duration::from_millis(millis))
}

/// An upstream that closes the connection instead of answering.
pub(crate) fn hangs_up() -> Reply {
    Reply::nothing(Part::Cut)
}
