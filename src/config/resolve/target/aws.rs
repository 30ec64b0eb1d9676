//! Resolves the parameters of AWS: the region and the credentials of a Bedrock deployment.

use http::HeaderValue;

use super::{Dialect, is_set, warn_unused};
use crate::config::{
    AwsCredentials, Provider,
    error::DiagnosticSink,
    keys,
    raw::{Environment, ModelEntry},
    read,
    yaml::Location,
};

/// LiteLLM's region where none is configured.
const DEFAULT_REGION: &str = "us-west-2";
/// The environment variables of the region; the first that is set is used.
const REGIONS: [&str; 3] = ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// Parameters that name a source of credentials which is not served.
const OTHER_SOURCES: [&str; 3] = ["aws_profile_name", "aws_role_name", "aws_web_identity_token"];

const MISSING: &str = "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_BEARER_TOKEN_BEDROCK`, or write \
     `aws_access_key_id` and `aws_secret_access_key`";

/// The parts of a model in `bedrock/[ROUTE/][REGION/]ID`.
pub(super) struct Name<'n> {
    pub(super) route: Option<&'n str>,
    pub(super) region: Option<&'n str>,
    pub(super) id: &'n str,
}

impl<'n> Name<'n> {
    /// Splits a name. An ARN, which has slashes and a region of its own, is an id.
    pub(super) fn of(name: &'n str) -> Self {
        const ROUTES: [&str; 9] = [
            "converse",
            "converse_like",
            "invoke",
            "agent",
            "agentcore",
            "async_invoke",
            "chat_completions",
            "mantle",
            "openai",
        ];
        let (route, rest) = match name.split_once('/') {
            // `openai.gpt-oss` are chats; this route is for models that a customer has imported.
            Some(("openai", rest)) if !rest.starts_with("arn:") => (None, name),
            Some((route, rest)) if ROUTES.contains(&route) => (Some(route), rest),
            _ => (None, name),
        };
        match rest.split_once('/') {
            Some((region, id)) if is_region(region) => Self { route, region: Some(region), id },
            _ => Self {
                route,
                region: rest.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2)),
                id: rest,
            },
        }
    }

    /// Returns the reason why the model is not served: its route, or an operation that is none of chats.
    pub(super) fn unserved(&self) -> Option<String> {
        const OTHERS: [&str; 8] = [
            "titan-embed",
            "cohere.embed",
            "multimodal-embeddings",
            "rerank",
            "titan-image",
            "nova-canvas",
            "nova-reel",
            "stability.",
        ];
        match self.route {
            Some("converse" | "converse_like" | "invoke") | None => OTHERS
                .iter()
                .any(|other| self.id.contains(other))
                .then(|| "of Bedrock's operations only chats are served".to_owned()),
            Some(route) => Some(format!("the route `{route}` of Bedrock is not served")),
        }
    }
}

/// Returns true for the name of a region, such as `us-east-1`.
fn is_region(text: &str) -> bool {
    let is_valid =
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_valid && text.contains('-') && text.ends_with(|c: char| c.is_ascii_digit())
}

/// Returns the region of a Bedrock deployment: that of the parameter, else that of the model, else that of the environment, else
/// LiteLLM's. Another deployment has none, and draws a warning for parameters of AWS. Returns none for an invalid region.
pub(super) fn region(
    entry: &ModelEntry,
    dialect: &Dialect,
    env: &Environment<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Option<String>> {
    if dialect.vendor.provider != Provider::Bedrock {
        warn_unused(entry, &keys::BEDROCK, "bedrock/", sink);
        return Some(None);
    }
    let (region, at) = match entry.params.entry("aws_region_name").filter(|(_, node)| is_set(node)) {
        // The key's place: the value may be anything.
        Some((key, node)) => (read::text(node, sink)?, &key.at),
        None => {
            let region = dialect.region.clone().or_else(|| env.first(&REGIONS));
            (region.unwrap_or_else(|| DEFAULT_REGION.to_owned()), &entry.at)
        }
    };
    let region = region.trim();
    if !is_region(region) {
        sink.error(at, "the region of AWS is not valid").help("such as `aws_region_name: us-east-1`");
        return None;
    }
    Some(Some(region.to_owned()))
}

/// Returns the credentials by which requests are signed: those of the parameters, else those of the environment. Without any
/// the deployment is called without a signature, as others are without a key. Returns none for invalid ones.
pub(super) fn credentials(
    entry: &ModelEntry,
    (region, at): (String, &Location),
    env: &Environment<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Option<AwsCredentials>> {
    let param = |name: &str| entry.params.get(name).filter(|node| is_set(node));
    if let Some(name) = OTHER_SOURCES.into_iter().find(|name| param(name).is_some()) {
        sink.error(at, format!("`{name}` is not served: credentials of AWS are keys"))
            .help("set `aws_access_key_id` and `aws_secret_access_key`, or `api_key` (a key of Bedrock)");
        return None;
    }
    let (access_key_id, secret, token) = match param("aws_access_key_id").or(param("aws_secret_access_key")) {
        Some(_) => {
            let mut text = |name| param(name).and_then(|node| read::text(node, sink));
            (text("aws_access_key_id"), text("aws_secret_access_key"), text("aws_session_token"))
        }
        None => {
            (env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY"), env.get("AWS_SESSION_TOKEN"))
        }
    };
    let (access_key_id, secret) = match (access_key_id, secret) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => {
            sink.warning(at, "no credentials of AWS: the deployment is called without a signature")
                .help(MISSING);
            return Some(None);
        }
        _ => {
            sink.error(at, "half of the credentials of AWS is missing").help(MISSING);
            return None;
        }
    };
    let (access_key_id, token) =
        (access_key_id.trim().to_owned(), token.map(|token| token.trim().to_owned()));
    if [Some(&access_key_id), token.as_ref()]
        .into_iter()
        .flatten()
        .any(|text| HeaderValue::from_str(text).is_err())
    {
        sink.error(at, "the credentials of AWS cannot be sent in a header")
            .help("they contain a line break or another control character");
        return None;
    }
    let secret_access_key = secret.trim().into();
    let session_token = token.map(Into::into);
    Some(Some(AwsCredentials { access_key_id, secret_access_key, session_token, region }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_bedrock_model_has_a_route_a_region_and_an_id() {
        let arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1";
        for (name, route, region, id) in [
            ("anthropic.claude-v2", None, None, "anthropic.claude-v2"),
            ("converse/us.amazon.nova-lite-v1:0", Some("converse"), None, "us.amazon.nova-lite-v1:0"),
            ("us-east-1/anthropic.claude-v2", None, Some("us-east-1"), "anthropic.claude-v2"),
            ("invoke/us-gov-west-1/a", Some("invoke"), Some("us-gov-west-1"), "a"),
            (arn, None, Some("eu-west-1"), arn),
        ] {
            let Name { route: found, region: at, id: named } = Name::of(name);
            assert_eq!((found, at, named), (route, region, id), "{name}");
        }
    }

    #[test]
    fn a_bedrock_model_without_chats_is_not_served() {
        for name in ["amazon.titan-embed-text-v2:0", "cohere.embed-english-v3", "agent/X/Y", "mantle/m"] {
            assert!(Name::of(name).unserved().is_some(), "{name}");
        }
        for name in ["invoke/anthropic.claude-v2", "us.meta.llama3-1-70b-instruct-v1:0"] {
            assert_eq!(Name::of(name).unserved(), None, "{name}");
        }
    }
}
