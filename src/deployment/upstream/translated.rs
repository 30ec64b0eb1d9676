//! Upstreams that are called in OpenAI's dialect and speak another: [`translated`].
//!
//! Only deployments with another dialect are wrapped, so that a call in the same dialect pays nothing for it. All layers above
//! hold the client's own bytes: a request can go to a deployment of one dialect first and to one of another next.

use std::{
    future,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, header, uri::PathAndQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Upstream, UpstreamCall, UpstreamFuture, refusal};
use crate::{
    body::UpstreamBody,
    config::{Deployment, Provider, Settings},
    dialect::{Limits, Refusal, Translation, Translator},
    provider,
    request::{Operation, SplicedBody},
};

/// The characters of the name of a model that a path cannot have.
const MODEL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

static BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Returns the upstream of a deployment for calls in OpenAI's dialect: translated, if the deployment speaks another.
pub(crate) fn translated(
    inner: Arc<dyn Upstream>,
    deployment: &Deployment,
    settings: &Settings,
) -> Arc<dyn Upstream> {
    if inner.speaks_openai() {
        return inner;
    }
    let limits = Limits { max_tokens: deployment.info.facts.max_output_tokens, drop: deployment.drop_params };
    let provider = deployment.target.vendor.provider;
    let translator = match provider {
        Provider::Anthropic(_) => Translator::anthropic(limits),
        Provider::Gemini => Translator::gemini(limits),
        Provider::Ollama => Translator::ollama(limits),
        _ => return inner,
    };
    Arc::new(Translated { inner, translator, provider, limit: settings.max_event_bytes })
}

/// An upstream whose calls are translated.
struct Translated {
    inner: Arc<dyn Upstream>,
    translator: Translator,
    provider: Provider,
    /// The longest event or complete response, in bytes.
    limit: usize,
}

impl Translated {
    fn request(&self, mut call: UpstreamCall) -> Result<(UpstreamCall, Translation), Refusal> {
        if call.operation != Operation::Chat {
            return Err(Refusal::operation(call.operation.as_str()));
        }
        let body = call.request.body().to_bytes();
        let (sent, translation) = self.translator.request(&body, now())?;
        let headers = call.request.headers_mut();
        headers.insert(header::CONTENT_LENGTH, sent.body.len().into());
        add_betas(headers, &sent.betas);
        if let Some((model, method)) = &sent.method {
            *call.request.uri_mut() = with_method(call.request.uri(), model, method);
        }
        *call.request.body_mut() = SplicedBody::from(Bytes::from(sent.body));
        Ok((call, translation))
    }
}

impl Upstream for Translated {
    fn call(&self, mut call: UpstreamCall) -> UpstreamFuture {
        // These take other operations in OpenAI's dialect.
        match (self.provider, call.operation) {
            (Provider::Gemini, Operation::Embeddings) => {
                provider::use_bearer(call.request.headers_mut());
                return self.inner.call(call);
            }
            (Provider::Ollama, Operation::Completions | Operation::Embeddings) => {
                return self.inner.call(call);
            }
            _ => {}
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

    fn takes_origin_form(&self) -> bool {
        self.inner.takes_origin_form()
    }
}

/// Returns the time in seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns the URL of a method of a model, for the URL of all models.
fn with_method(models: &Uri, model: &str, method: &str) -> Uri {
    let model = utf8_percent_encode(model, MODEL);
    let path = PathAndQuery::try_from(format!("{}/{model}:{method}", models.path())).ok();
    let mut parts = models.clone().into_parts();
    parts.path_and_query = path;
    // An encoded path is a valid one.
    Uri::from_parts(parts).unwrap_or_default()
}

/// Adds features to those that the configuration requests.
fn add_betas(headers: &mut HeaderMap, betas: &[&'static str]) {
    for beta in betas {
        let configured = headers.get(&BETA).and_then(|value| value.to_str().ok());
        let all = match configured {
            Some(configured) if configured.split(',').any(|known| known.trim() == *beta) => continue,
            Some(configured) => HeaderValue::try_from(format!("{configured},{beta}")),
            None => Ok(HeaderValue::from_static(beta)),
        };
        // Both parts are values of headers already.
        if let Ok(all) = all {
            headers.insert(BETA.clone(), all);
        }
    }
}

/// Returns the response with its body translated. An error is classified first, in the words of the upstream.
fn response(head: Response<UpstreamBody>, translation: Translation, limit: usize) -> Response<UpstreamBody> {
    if !head.status().is_success() {
        return head;
    }
    let (mut parts, body) = head.into_parts();
    let body = body.decompressed(&mut parts.headers);
    // A compression that is not known: the layer above refuses the response.
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Response::from_parts(parts, body);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.translated(translation, limit))
}
