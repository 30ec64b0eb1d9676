//! The form of a row, and how it calls the gateway.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;

use crate::support::{
    case::{Case, World},
    client::{Answer, Stream, request},
    form,
    reply::Reply,
    upstream::Call,
};

/// An operation of a client, served by deployments of one dialect.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// Returns the body of a request to the group `m`, for a stream or not.
    pub(super) body: fn(bool) -> String,
    /// True for a body in `multipart/form-data`.
    pub(super) is_form: bool,
    /// `litellm_params` of the deployments.
    pub(super) params: &'static str,
    /// `model_info` of the deployments.
    pub(super) info: &'static str,
    /// Returns the complete response of an upstream, with this text.
    pub(super) good: fn(&str) -> Reply,
    /// Returns the text of a complete response, as the client has it.
    pub(super) said: fn(&Answer) -> String,
    /// The form of the client's errors.
    pub(super) errors: Form,
    /// The errors of the upstream's dialect.
    pub(super) refusals: Refusals,
    /// A success from which a content filter removed all output, or the reason why there is none.
    pub(super) emptied: Result<Reply, &'static str>,
    /// The streams, or the reason why there are none.
    pub(super) streams: Result<fn() -> Streams, &'static str>,
}

/// The streams of an operation.
pub(super) struct Streams {
    /// The events of the upstream before the first content.
    pub(super) begin: Reply,
    /// The first content, which is `half`.
    pub(super) half: Reply,
    /// Returns the whole stream of an upstream, with this text.
    pub(super) whole: fn(&str) -> Reply,
    /// Returns the text of a stream, after asserting that it is complete.
    pub(super) said: fn(&Stream) -> String,
    /// Asserts that a stream ends with an error and does not look complete.
    pub(super) broken: fn(&Stream),
}

/// The errors of a dialect.
pub(super) struct Refusals {
    pub(super) mistake: Reply,
    pub(super) unavailable: Reply,
    pub(super) rate_limited: Reply,
    pub(super) context_window: Reply,
    pub(super) content_policy: Reply,
}

/// The form of errors for a client.
#[derive(Clone, Copy)]
pub(super) enum Form {
    OpenAi,
    Anthropic,
}

impl Row {
    /// Returns groups whose deployments all serve this operation, with their names as text.
    pub(super) fn case(&self, groups: &str) -> Case {
        self.case_with(groups, self.good)
    }

    /// Returns groups whose deployments all respond with such a stream.
    pub(super) fn stream_case(&self, groups: &str, streams: &Streams) -> Case {
        self.case_with(groups, streams.whole)
    }

    fn case_with(&self, groups: &str, reply: fn(&str) -> Reply) -> Case {
        let names = groups.split(';').flat_map(|group| group.split_once(':').unwrap().1.split_whitespace());
        names.fold(Case::of(groups), |case, name| {
            case.params(name, self.params).info(name, self.info).always(name, reply(name))
        })
    }

    fn request(&self, is_stream: bool) -> Request<Full<Bytes>> {
        let body = (self.body)(is_stream);
        match self.is_form {
            true => form::post(self.path, body.into(), &[]),
            false => request(Method::POST, self.path, body, &[]),
        }
    }

    /// Calls the operation for a complete response.
    pub(super) async fn send(&self, world: &World) -> Answer {
        world.gateway.send(self.request(false)).await
    }

    /// Calls the operation and returns when the head has come.
    pub(super) async fn open(&self, world: &World, is_stream: bool) -> Stream {
        world.gateway.open(self.request(is_stream)).await
    }

    /// Calls the operation for a stream, and reads it to its end.
    pub(super) async fn stream(&self, world: &World) -> Stream {
        let mut stream = self.open(world, true).await;
        stream.rest().await;
        stream
    }

    /// Asserts that this deployment serves the operation, after so many retries and fallbacks.
    pub(super) async fn served(&self, world: &World, deployment: &str, attempted: [&str; 2]) {
        let answer = self.send(world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!((self.said)(&answer), deployment);
        assert_eq!(answer.header("x-litellm-model-id"), Some(deployment));
        let headers = ["x-litellm-attempted-retries", "x-litellm-attempted-fallbacks"];
        assert_eq!(headers.map(|name| answer.header(name)), attempted.map(Some));
    }

    /// Asserts that the operation fails with this status, in the form of its client.
    pub(super) async fn refused(&self, world: &World, status: u16) {
        let answer = self.send(world).await;
        match self.errors {
            Form::OpenAi => drop(answer.error(status)),
            Form::Anthropic => {
                let (json, text) = (answer.json(), answer.text());
                assert_eq!((answer.status.as_u16(), &json["type"]), (status, &json!("error")), "{text}");
                assert!(json["error"]["type"].is_string() && json["error"]["message"].is_string(), "{text}");
            }
        }
    }
}

/// Asserts that a call is for this model, which stands in its path or in its body.
pub(super) fn is_for(call: &Call, model: &str) {
    let body = String::from_utf8_lossy(&call.body);
    assert!(call.target.contains(model) || body.contains(model), "{} {body}", call.target);
}
