//! A small HTTP client: whole answers, and answers as they come.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::time::Instant;

use super::soon;

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// From sending to the end of the body.
    pub(crate) took: std::time::Duration,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{} is no JSON: {error}\n{}", self.status, self.text()),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the text of a chat response.
    pub(crate) fn said(&self) -> String {
        let json = self.json();
        json["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or_else(|| panic!("no content in {json}"))
            .to_owned()
    }

    /// Returns the inner error object, after asserting OpenAI's format and this status.
    pub(crate) fn error(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let json = self.json();
        let error = &json["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "no message in {json}");
        assert!(error["type"].is_string(), "no type in {json}");
        assert!(error.get("param").is_some() && error.get("code").is_some(), "not OpenAI's shape: {json}");
        assert!(error["code"].is_string() || error["code"].is_null(), "a code is a string: {json}");
        error.clone()
    }
}

/// An answer whose body is read piece by piece.
pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    /// Everything that came so far.
    pub(crate) seen: BytesMut,
}

/// The end of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// As HTTP says it should.
    Cleanly,
    /// In the middle.
    Broken,
}

impl Stream {
    /// The next piece and when it came; none at the end.
    pub(crate) async fn next(&mut self) -> Option<(Instant, Bytes)> {
        loop {
            let frame = soon("the next piece of a stream", self.body.frame()).await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.seen.extend_from_slice(&data);
                return Some((Instant::now(), data));
            }
        }
    }

    /// Reads until `needle` has come.
    pub(crate) async fn until(&mut self, needle: &str) -> Instant {
        let mut at = Instant::now();
        while !self.text().contains(needle) {
            match self.next().await {
                Some((time, _)) => at = time,
                None => panic!("the stream ended without {needle:?}: {}", self.text()),
            }
        }
        at
    }

    /// Reads to the end.
    pub(crate) async fn rest(&mut self) -> Over {
        loop {
            match soon("the end of a stream", self.body.frame()).await {
                None => return Over::Cleanly,
                Some(Err(_)) => return Over::Broken,
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.seen.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Returns the data of each event.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text();
        text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    /// Returns the data of each event with a name, after asserting that the name is its type.
    pub(crate) fn named_events(&self) -> Vec<Value> {
        let text = self.text();
        let named = text.split("\n\n").filter_map(|event| event.strip_prefix("event: "));
        let events = named.map(|event| {
            let (name, data) = event.split_once("\ndata: ").unwrap_or_else(|| panic!("no data: {event}"));
            let data: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {event}"));
            assert_eq!(data["type"], *name, "{event}");
            data
        });
        events.collect()
    }

    /// Returns the text of a chat stream.
    pub(crate) fn said(&self) -> String {
        let content = |event: String| {
            let json: Value = serde_json::from_str(&event).ok()?;
            Some(json["choices"][0]["delta"]["content"].as_str()?.to_owned())
        };
        self.events().into_iter().filter_map(content).collect()
    }

    /// Returns true if the stream ends with one error event and does not look complete.
    pub(crate) fn is_honest(&self) -> bool {
        let events = self.events();
        let errors = events.iter().filter(|event| event.starts_with("{\"error\"")).count();
        let last = events.last().is_some_and(|event| event.starts_with("{\"error\""));
        errors == 1 && last && !self.text().contains("[DONE]")
    }
}

/// Calls one server.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Client {
    /// `base` has no slash at its end.
    pub(crate) fn new(base: impl Into<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { pool: Pool::builder(TokioExecutor::new()).build(connector), base: base.into() }
    }

    /// Sends a request and gives the head; the body is still to come.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Stream {
        let (mut head, body) = request.into_parts();
        head.uri = format!("{}{}", self.base, head.uri).parse().unwrap();
        let what = format!("the head of the answer to {} {}", head.method, head.uri);
        let answer = soon(&what, self.pool.request(Request::from_parts(head, body))).await;
        let (head, body) = match answer {
            Ok(answer) => answer.into_parts(),
            Err(error) => panic!("{what}: {error:?}"),
        };
        Stream { status: head.status, headers: head.headers, body, seen: BytesMut::new() }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let start = Instant::now();
        let mut stream = self.open(request).await;
        assert_eq!(stream.rest().await, Over::Cleanly, "after {:?}", stream.text());
        let Stream { status, headers, seen, .. } = stream;
        Answer { status, headers, body: seen.freeze(), took: start.elapsed() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, "", &[])).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request(Method::POST, path, body, &[])).await
    }

    /// Asks a model, with these additions to the body.
    pub(crate) async fn chat(&self, model: &str, more: Value) -> Answer {
        self.post("/chat/completions", ask(model, more)).await
    }

    /// Asks for a stream.
    pub(crate) async fn stream(&self, model: &str, more: Value) -> Stream {
        let mut body: Value = serde_json::from_str(&ask(model, more)).unwrap();
        body["stream"] = true.into();
        self.open(request(Method::POST, "/v1/chat/completions", body.to_string(), &[])).await
    }
}

/// The body of a chat request.
pub(crate) fn ask(model: &str, more: Value) -> String {
    let mut body =
        serde_json::json!({"model": model, "messages": [{"role": "user", "content": "what llm are you"}]});
    if let Value::Object(more) = more {
        body.as_object_mut().unwrap().extend(more);
    }
    body.to_string()
}

/// A request with a JSON body and these headers.
pub(crate) fn request(
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
    headers: &[(&str, &str)],
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}
