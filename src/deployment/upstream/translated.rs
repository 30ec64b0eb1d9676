//! Upstreams that are called in the dialect of a client and speak another: [`DialectUpstreams`].
//!
//! The upstream for OpenAI's operations is wrapped only if the deployment has another dialect, so that a call in the same
//! dialect pays nothing for it. All layers above hold the client's own bytes: a request can go to a deployment of one
//! dialect first and to one of another next.

use std::{
    collections::BTreeMap,
    future,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Response, Uri, header, uri::PathAndQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;

use super::{Upstream, UpstreamCall, UpstreamFuture, refusal};
use crate::{
    body::UpstreamBody,
    config::{Deployment, ParameterRules, Provider, Publisher, Settings},
    dialect::{ClientDialect, Limits, Refusal, Translation, Translator},
    operation::Operations,
    provider::{self, Signer},
    request::{Operation, SplicedBody},
};

/// The characters of the name of a model that a path cannot have.
const MODEL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The upstream of a deployment, by the dialect of the calls.
#[derive(Clone)]
pub(crate) struct DialectUpstreams {
    /// For calls in OpenAI's dialect, but for those of [`other`](Self::other).
    pub(super) openai: Arc<dyn Upstream>,
    /// For calls in the deployment's own dialect.
    own: Arc<dyn Upstream>,
    /// For calls in all other dialects.
    translated: Arc<dyn Upstream>,
    /// The dialect of the deployment beside those of OpenAI's chats and text completions, if clients may call in it.
    dialect: Option<ClientDialect>,
    /// True if the deployment has text completions.
    has_completions: bool,
}

impl DialectUpstreams {
    /// Returns the upstream of a deployment, and the translation in front of it.
    pub(crate) fn new(own: Arc<dyn Upstream>, deployment: &Deployment, settings: &Settings) -> Self {
        let provider = deployment.target.vendor.provider;
        let is_own = own.speaks_openai();
        let bridges = !is_own && deployment.target.responses;
        let operations = provider::operations(deployment);
        let limits = Limits {
            max_tokens: deployment.info.facts.max_output_tokens,
            drop: deployment.drop_params,
            newer_limit: provider::has_newer_limit(&deployment.target),
        };
        let translator = match provider {
            Provider::Anthropic(_) if !is_own => Translator::anthropic(limits),
            Provider::Gemini | Provider::Vertex(Publisher::Google) if !is_own => Translator::gemini(limits),
            Provider::Vertex(Publisher::Anthropic) if !is_own => Translator::anthropic_at_vertex(limits),
            Provider::Ollama if !is_own => Translator::ollama(limits),
            Provider::Bedrock if !is_own => Translator::bedrock(limits),
            _ if bridges => Translator::responses(limits),
            _ => Translator::openai(limits),
        };
        let is_translated = !is_own && provider::is_translated(deployment);
        // Those are about the names of chat completions.
        let rules = deployment.parameters.clone().filter(|_| !is_translated && !bridges);
        let translated: Arc<dyn Upstream> = Arc::new(Translated {
            inner: Arc::clone(&own),
            translator,
            provider,
            bridges,
            operations,
            rules,
            signer: deployment.target.aws.clone().map(|aws| Signer::new(aws, "bedrock")),
            limit: settings.max_event_bytes,
        });
        let dialect = match provider {
            Provider::Anthropic(_) if is_translated => Some(ClientDialect::Messages),
            _ if !is_own && provider::speaks_responses(&deployment.target) => Some(ClientDialect::Responses),
            _ => None,
        };
        let passes_chats = !is_translated && !bridges && operations.contains(Operation::Chat);
        let openai = Arc::clone(if passes_chats { &own } else { &translated });
        let has_completions = is_own || provider::has_completions(deployment);
        Self { openai, own, translated, dialect, has_completions }
    }

    /// Returns true if the deployment speaks this dialect of a client, which is not that of OpenAI's chats.
    pub(super) fn speak(&self, dialect: ClientDialect) -> bool {
        match dialect {
            ClientDialect::Completions => self.has_completions,
            _ => self.dialect == Some(dialect),
        }
    }

    /// Returns the upstream for calls in a dialect that is not that of OpenAI's chats.
    pub(super) fn other(&self, dialect: ClientDialect) -> &Arc<dyn Upstream> {
        if self.speak(dialect) { &self.own } else { &self.translated }
    }

    /// Returns true if the targets of calls are in origin form.
    pub(super) fn take_origin_form(&self) -> bool {
        self.own.takes_origin_form()
    }
}

/// An upstream whose calls are translated.
struct Translated {
    inner: Arc<dyn Upstream>,
    translator: Translator,
    provider: Provider,
    /// True if chats are sent as Responses.
    bridges: bool,
    /// The operations of the deployment.
    operations: Operations,
    /// The changes of parameters for a vendor with OpenAI's dialect.
    rules: Option<Arc<ParameterRules>>,
    /// Signs each call, at AWS.
    signer: Option<Signer>,
    /// The longest event or complete response, in bytes.
    limit: usize,
}

impl Translated {
    fn request(&self, mut call: UpstreamCall) -> Result<(UpstreamCall, Translation), Refusal> {
        if !self.operations.contains(call.operation) || call.operation.on_stored().is_some() {
            return Err(Refusal::operation(call.operation.as_str()));
        }
        let body = call.request.body().to_bytes();
        let (mut sent, translation) = self.translator.request(call.operation.dialect(), &body, now())?;
        if let Some(rules) = &self.rules {
            sent.body = with_rules(sent.body, rules)?;
        }
        let headers = call.request.headers_mut();
        headers.insert(header::CONTENT_LENGTH, sent.body.len().into());
        provider::add_betas(headers, sent.betas);
        if let Some((model, method)) = &sent.method {
            *call.request.uri_mut() = with_method(call.request.uri(), model, method);
        }
        if let Some(signer) = &self.signer {
            signer.sign(&mut call.request, &sent.body, SystemTime::now());
        }
        *call.request.body_mut() = SplicedBody::from(Bytes::from(sent.body));
        call.operation = if self.bridges { Operation::Responses } else { Operation::Chat };
        Ok((call, translation))
    }
}

impl Upstream for Translated {
    fn call(&self, mut call: UpstreamCall) -> UpstreamFuture {
        // A deployment that has embeddings takes them in OpenAI's dialect.
        if call.operation == Operation::Embeddings && self.operations.contains(call.operation) {
            if self.provider == Provider::Gemini {
                provider::use_bearer(call.request.headers_mut());
            }
            return self.inner.call(call);
        }
        let limit = self.limit;
        match self.request(call) {
            Ok((call, translation)) => {
                let call = self.inner.call(call);
                Box::pin(call.map(move |result| result.map(|head| response(head, translation, limit))))
            }
            Err(refused) => Box::pin(future::ready(Ok(refusal(refused)))),
        }
    }
}

/// Returns the time in seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Renames and drops the parameters of a translated request.
fn with_rules(body: Vec<u8>, rules: &ParameterRules) -> Result<Vec<u8>, Refusal> {
    // A body that was written is an object.
    let Ok(members) = serde_json::from_slice::<BTreeMap<&str, &RawValue>>(&body) else { return Ok(body) };
    if let Some(refused) = members.keys().find(|name| rules.refuses(name)) {
        return Err(Refusal::unsupported(refused));
    }
    let renamed = members.iter().filter_map(|(name, value)| {
        let new = rules.new_name(name).filter(|new| new == name || !members.contains_key(new))?;
        Some((new, value))
    });
    Ok(serde_json::to_vec(&renamed.collect::<BTreeMap<_, _>>()).unwrap_or_default())
}

/// Returns the URL of a method of a model, for the URL of all models.
fn with_method(models: &Uri, model: &str, method: &str) -> Uri {
    let model = utf8_percent_encode(model, MODEL);
    let path = PathAndQuery::try_from(format!("{}/{model}{method}", models.path())).ok();
    let mut parts = models.clone().into_parts();
    parts.path_and_query = path;
    // An encoded path is a valid one.
    Uri::from_parts(parts).unwrap_or_default()
}

/// Returns the response with its body translated. An error is classified first, in the words of the upstream.
fn response(
    head: Response<UpstreamBody>,
    mut translation: Translation,
    limit: usize,
) -> Response<UpstreamBody> {
    if !head.status().is_success() {
        return head;
    }
    let (mut parts, body) = head.into_parts();
    if let Some(id) = translation.id_header().and_then(|name| parts.headers.get(name)?.to_str().ok()) {
        translation.identify(id);
    }
    let body = body.decompressed(&mut parts.headers);
    // A compression that is not known: the layer above refuses the response.
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Response::from_parts(parts, body);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.translated(translation, limit))
}
