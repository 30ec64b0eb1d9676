//! Encoding of requests for each provider: URL, credential and model name.
//!
//! An [`Encoder`] is created once per deployment, when the tree is built; a call then clones a finished URL and a
//! finished header map, and joins or parses nothing. Each dialect has its own file. All of them are pure: no client,
//! no clock, no environment. Errors of providers are classified in [`classify`](crate::classify) instead, since the
//! meaning of a response depends on its content and not on the provider.
//!
//! To add a provider with OpenAI's dialect, add a row to [`config::VENDORS`](crate::config::VENDORS). Another dialect
//! also needs a variant of [`config::Provider`](crate::config::Provider), a file with its routes, and an arm in each
//! `match` below, which the compiler points out.
//!
//! Hazards: a configured header may replace any header that the encoder sets, including `authorization`, except those
//! that frame or encode the message or belong to the connection.

mod anthropic;
mod azure;
mod bedrock;
mod gemini;
mod google_token;
mod huggingface;
mod ollama;
mod openai;
mod sigv4;
mod stored;
mod vertex;

use std::{fmt, sync::Arc};

pub(crate) use anthropic::add_betas;
pub(crate) use gemini::use_bearer;
pub(crate) use google_token::{AccessToken, read_token, token_request};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{self, InvalidHeaderValue},
    uri::PathAndQuery,
};
use http_body::Body;
use secrecy::{ExposeSecret, SecretString};
pub(crate) use sigv4::Signer;

use crate::{
    config::{
        Deployment, ModelMode, ParameterRules, Pattern, Provider, Publisher, Target, Vendor, is_framing,
    },
    dialect::ClientDialect,
    operation::Operations,
    request::{self, Operation, ParsedRequest, SplicedBody},
};

/// The `User-Agent` of the gateway.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Some servers choose the framing of a stream by this header.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
/// The forms of audio and of transcriptions are many.
const ANY: HeaderValue = HeaderValue::from_static("*/*");
/// Without this header a server may compress responses (RFC 9110, section 12.5.3), and a compressed body cannot be
/// inspected.
const PLAIN: HeaderValue = HeaderValue::from_static("identity");

/// A placeholder in the header map, replaced by the length of each body.
const NO_LENGTH: HeaderValue = HeaderValue::from_static("0");

static ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// The prepared parts of requests to a deployment. A clone copies some reference counts and one header map.
#[derive(Clone)]
pub(crate) struct Encoder {
    model: Arc<str>,
    /// The patterns of the group and of the model of a wildcard deployment.
    patterns: Option<Arc<(Pattern, Pattern)>>,
    defaults: Arc<[(Arc<str>, Arc<str>)]>,
    parameters: Option<Arc<ParameterRules>>,
    /// True if ids of tool calls may have signatures of Gemini's, which this deployment would not take.
    leaves_out_signatures: bool,
    /// The URL of each operation that may be translated, in the order of [`Operation`].
    uris: [Uri; 6],
    /// The URL of reranking, where it is not beside that of chats.
    rerank: Option<Box<Uri>>,
    operations: Operations,
    headers: HeaderMap,
}

impl Encoder {
    /// Returns an encoder for this deployment.
    ///
    /// # Errors
    /// Returns an error if the URL or the credential cannot be sent. The error contains neither.
    pub(crate) fn new(deployment: &Deployment) -> Result<Self, InvalidTarget> {
        let target = &deployment.target;
        let texts = if has_completions(deployment) { Operation::Completions } else { Operation::Chat };
        let chat = called(target, Operation::Chat);
        let chats = uri(target, chat)?;
        // Shared where it is that of chats: there may be thousands of deployments.
        let uri_of = |operation| match called(target, operation) {
            called if called == chat => Ok(chats.clone()),
            called => uri(target, called),
        };
        Ok(Self {
            model: model(target),
            patterns: deployment.patterns().map(Arc::new),
            defaults: match &deployment.parameters {
                Some(rules) => request::renamed(&deployment.defaults, rules).into(),
                None => deployment.defaults.as_slice().into(),
            },
            parameters: deployment.parameters.clone(),
            leaves_out_signatures: false,
            uris: [
                uri_of(Operation::Chat)?,
                uri_of(texts)?,
                uri_of(Operation::Embeddings)?,
                uri_of(Operation::Messages)?,
                uri_of(Operation::CountTokens)?,
                uri_of(Operation::Responses)?,
            ],
            rerank: match target.vendor.provider {
                Provider::Below(_) | Provider::AzureAi => Some(uri(target, Operation::Rerank)?.into()),
                _ => None,
            },
            operations: operations(deployment),
            headers: headers(target)?,
        })
    }

    /// Leaves out the signatures in ids of tool calls, if they are of a configuration with Gemini's deployments and this is
    /// not one of them.
    pub(crate) fn beside_gemini(mut self, deployment: &Deployment, has_gemini: bool) -> Self {
        self.leaves_out_signatures = has_gemini && !deployment.target.vendor.provider.is_gemini();
        self
    }

    /// Makes the target of each request its path and query alone (the origin form of RFC 9112), for a client that
    /// already knows the server.
    pub(crate) fn in_origin_form(mut self) -> Self {
        self.uris = self.uris.map(|uri| origin_form(&uri));
        self.rerank = self.rerank.map(|uri| origin_form(&uri).into());
        self
    }

    /// Returns the URL of a route; of an operation on a stored response, the URL before its id.
    pub(crate) fn uri(&self, operation: Operation) -> Uri {
        let with_body = if operation.on_stored().is_some() { Operation::Responses } else { operation };
        match self.uris.get(with_body as usize) {
            Some(uri) => uri.clone(),
            None => self.passed_uri(operation),
        }
    }

    /// Returns the URL of an operation that is never translated: beside that of embeddings. Most deployments have one such
    /// operation or none, and each URL takes memory.
    #[cold]
    fn passed_uri(&self, operation: Operation) -> Uri {
        if let Some(uri) = self.rerank.as_deref().filter(|_| operation == Operation::Rerank) {
            return uri.clone();
        }
        let beside = &self.uris[Operation::Embeddings as usize];
        let root = beside.path().strip_suffix(Operation::Embeddings.path()).unwrap_or_default();
        let query = beside.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = beside.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(format!("{root}{}{query}", operation.path())).ok();
        // A part of a valid URL and the path of an operation are a valid URL.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// Returns the URL of a route and the headers of a request without a body. Secret values are marked sensitive.
    pub(crate) fn head(&self, operation: Operation) -> (Uri, HeaderMap) {
        (self.uri(operation), self.headers.clone())
    }

    /// Returns the request with the model name and the default parameters of this deployment. With `usage`, a stream
    /// requests its usage unless the client has set `stream_options.include_usage`.
    pub(crate) fn encode(&self, prompt: &ParsedRequest, usage: bool) -> Request<SplicedBody> {
        let filled = self.filled(prompt);
        let model = filled.as_deref().unwrap_or(&self.model);
        let changed = self.parameters.as_deref().and_then(|rules| prompt.with_parameters(rules));
        let prompt = changed.as_deref().unwrap_or(prompt);
        let body = match usage {
            true => prompt.payload_with_usage(model, &self.defaults),
            false => prompt.payload(model, &self.defaults),
        };
        self.request_of(prompt, body)
    }

    /// Returns the request for a body of the client's dialect.
    #[inline]
    fn request_of(&self, prompt: &ParsedRequest, body: SplicedBody) -> Request<SplicedBody> {
        let body = if self.leaves_out_signatures { body.without_signatures() } else { body };
        self.request(prompt.info.operation, body)
    }

    /// Returns the model of a wildcard deployment.
    fn filled(&self, prompt: &ParsedRequest) -> Option<String> {
        let (group, model) = self.patterns.as_deref()?;
        group.capture(prompt.group()).map(|captured| model.fill(captured))
    }

    /// Returns the request in the dialect of the client, which is not OpenAI's. The rules for parameters are about OpenAI's
    /// names: they are applied to the translation.
    pub(crate) fn encode_untranslated(&self, prompt: &ParsedRequest) -> Request<SplicedBody> {
        self.encode_with(prompt, |_| true)
    }

    /// Returns the request for an upstream of Anthropic's, with the client's headers of its API. The parameters of the
    /// deployment are those that Anthropic knows; none for a count.
    pub(crate) fn encode_messages(&self, prompt: &ParsedRequest) -> Request<SplicedBody> {
        let counts = prompt.info.operation == Operation::CountTokens;
        let mut request = self.encode_with(prompt, |name| !counts && anthropic::has_parameter(name));
        if let Some(messages) = &prompt.info.messages {
            anthropic::forward(request.headers_mut(), &messages.headers);
        }
        request
    }

    /// Returns the request for an upstream that speaks OpenAI's Responses. The parameters of the deployment are those that
    /// have the same name there.
    pub(crate) fn encode_response(&self, prompt: &ParsedRequest) -> Request<SplicedBody> {
        self.encode_with(prompt, |name| openai::RESPONSE_PARAMETERS.contains(&name))
    }

    /// Returns true if the deployment has the operation.
    pub(crate) const fn has(&self, operation: Operation) -> bool {
        self.operations.contains(operation)
    }

    /// Returns the request of an operation that is never translated. The rules for parameters are about those of chats.
    pub(crate) fn encode_passed(&self, prompt: &ParsedRequest) -> Request<SplicedBody> {
        let mut request = match &prompt.info.form {
            None => self.encode_with(prompt, |_| true),
            Some(form) => {
                let filled = self.filled(prompt);
                let model = filled.as_deref().unwrap_or(&self.model);
                let body = prompt.form_payload(form, model, &self.defaults);
                let mut request = self.request(prompt.info.operation, body);
                request.headers_mut().insert(header::CONTENT_TYPE, form.content_type.clone());
                request
            }
        };
        if request.headers().get(header::ACCEPT) == Some(&ACCEPT) {
            request.headers_mut().insert(header::ACCEPT, ANY);
        }
        request
    }

    /// Returns the request about a stored response: without a body, and about the id at the upstream. Returns none for an
    /// operation that is not about one.
    pub(crate) fn encode_stored(&self, prompt: &ParsedRequest) -> Option<Request<SplicedBody>> {
        let (method, end) = prompt.info.operation.on_stored()?;
        let stored = prompt.info.stored.as_ref()?;
        let mut request = self.request(prompt.info.operation, SplicedBody::new(Vec::new()));
        *request.uri_mut() = stored::uri(request.uri(), &stored.id.as_ref()?.upstream, end, &stored.query);
        *request.method_mut() = method;
        request.headers_mut().remove(header::CONTENT_TYPE);
        Some(request)
    }

    /// Returns the request in the dialect of the client, with the parameters of the deployment that `is_sent`.
    fn encode_with(&self, prompt: &ParsedRequest, is_sent: impl Fn(&str) -> bool) -> Request<SplicedBody> {
        let filled = self.filled(prompt);
        let model = filled.as_deref().unwrap_or(&self.model);
        let defaults: Vec<_> = self.defaults.iter().filter(|(name, _)| is_sent(name)).cloned().collect();
        self.request_of(prompt, prompt.payload(model, &defaults))
    }

    /// Returns the first parameter of the request that the deployment refuses.
    pub(crate) fn refused<'r>(&self, prompt: &'r ParsedRequest) -> Option<&'r str> {
        let rules = self.parameters.as_deref().filter(|rules| !rules.refused.is_empty())?;
        prompt.parameters().find(|name| rules.refuses(name))
    }

    /// Returns the request for a body that was written with the model and the defaults of the deployment.
    pub(crate) fn request<B: Body>(&self, operation: Operation, body: B) -> Request<B> {
        let (uri, mut headers) = self.head(operation);
        // Set here because hyper would add the header to a map that must grow for it.
        match body.size_hint().exact() {
            Some(length) => headers.insert(header::CONTENT_LENGTH, length.into()),
            None => headers.remove(header::CONTENT_LENGTH),
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }
}

/// Returns the path and query. A URI in origin form is copied.
pub(crate) fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map(Uri::from).unwrap_or_default()
}

/// Leaves out the URLs, which only `--expose-upstreams` may show, and the values of headers.
impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Encoder")
            .field("model", &self.model)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// Why a deployment cannot be called at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTarget {
    /// The base and the route make no absolute http or https URL.
    Address,
    /// The base holds a user or a password; credentials go into `api_key` or `headers`.
    UserInfo,
    /// The credential holds what no header can carry, such as a line end in its middle.
    Credential,
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "api_base is no absolute http or https URL",
            Self::UserInfo => "api_base holds a user name: write the credential as api_key or in headers",
            Self::Credential => "api_key holds characters that cannot be sent in a header",
        })
    }
}

impl std::error::Error for InvalidTarget {}

impl From<InvalidHeaderValue> for InvalidTarget {
    fn from(_: InvalidHeaderValue) -> Self {
        Self::Credential
    }
}

/// Returns true if the limit of the output is `max_completion_tokens` for every model of the target: at OpenAI's own servers
/// and at Azure's. Other servers of the dialect have `max_tokens`.
pub(crate) fn has_newer_limit(target: &Target) -> bool {
    matches!(target.vendor.provider, Provider::Azure) || target.base.host() == Some("api.openai.com")
}

/// Returns true if clients that call in OpenAI's Responses are passed on: as the name of the model states, or at a vendor's
/// own servers that are known to have them.
pub(crate) fn speaks_responses(target: &Target) -> bool {
    let by_vendor = || match target.vendor.provider {
        Provider::Azure => azure::has_responses(base(target), target.api_version.as_deref()),
        _ => is_vendors_server(target),
    };
    target.responses || target.vendor.responses && by_vendor()
}

/// Returns true if text completions are passed on. The vendor decides, unless the model is known to be one of text
/// completions, or one of chats at OpenAI's own servers.
pub(crate) fn has_completions(deployment: &Deployment) -> bool {
    let target = &deployment.target;
    let is_openais_own = || target.vendor.prefix == "openai" && is_vendors_server(target);
    match (target.vendor.provider, deployment.info.facts.mode) {
        (Provider::Anthropic(_) | Provider::Gemini | Provider::Vertex(_) | Provider::Bedrock, _) => false,
        _ if target.responses || target.vendor.embeddings_only => false,
        (_, Some(ModelMode::Completion)) => true,
        (_, Some(ModelMode::Chat)) if is_openais_own() => false,
        (Provider::HuggingFace, _) => !huggingface::is_router(target),
        _ => target.vendor.completions,
    }
}

/// Returns true if the responses of a deployment are stored at its server, by ids that the gateway replaces.
pub(crate) fn stores_responses(deployment: &Deployment) -> bool {
    deployment.mock.is_none() && speaks_responses(&deployment.target)
}

/// Returns true if the server is the public one of the vendor, or below its name.
fn is_vendors_server(target: &Target) -> bool {
    let (Some(public), Some(host)) = (target.vendor.public_host(), target.base.host()) else { return false };
    host.strip_suffix(public).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Returns true if the dialect of a deployment is not OpenAI's.
pub(crate) const fn is_translated(deployment: &Deployment) -> bool {
    match deployment.target.vendor.provider {
        Provider::Anthropic(_) | Provider::Gemini | Provider::Ollama | Provider::Bedrock => true,
        Provider::Vertex(publisher) => !matches!(publisher, Publisher::Open),
        _ => false,
    }
}

/// Returns true if the usage of a deployment's streams is requested where the client did not request it. A translated
/// stream always has it. Otherwise it is requested if it is `needed`, or for a limit of tokens: as `stream_usage` states,
/// else if the target supports it.
pub(crate) fn requests_usage(deployment: &Deployment, needed: bool) -> bool {
    let may = || deployment.stream_usage.unwrap_or_else(|| supports_include_usage(&deployment.target));
    is_translated(deployment)
        || deployment.target.responses
        || (needed || deployment.limits.counts_tokens()) && may()
}

/// Returns true if streams of this target support `stream_options.include_usage`.
pub(crate) fn supports_include_usage(target: &Target) -> bool {
    target.vendor.supports_include_usage
        && match target.vendor.provider {
            Provider::OpenAi
            | Provider::Versioned
            | Provider::Below(_)
            | Provider::AzureAi
            | Provider::HuggingFace
            | Provider::Vertex(_) => true,
            Provider::Azure => azure::supports_include_usage(base(target), target.api_version.as_deref()),
            Provider::Anthropic(_) | Provider::Gemini | Provider::Ollama | Provider::Bedrock => true,
        }
}

/// Returns the operations that a deployment has. Where a server may lack one of OpenAI's, the server decides.
pub(crate) fn operations(deployment: &Deployment) -> Operations {
    if deployment.mock.is_some() {
        return Operations::ALL;
    }
    let Vendor { provider, embeddings_only, .. } = *deployment.target.vendor;
    if embeddings_only {
        return Operations::of(|operation| operation == Operation::Embeddings);
    }
    let is_vertex = matches!(provider, Provider::Vertex(_));
    let is_openais = !is_translated(deployment) && !is_vertex;
    Operations::of(|operation| match operation {
        Operation::Embeddings => {
            !is_vertex && !matches!(provider, Provider::Anthropic(_) | Provider::Bedrock)
        }
        Operation::Moderations => is_openais && provider != Provider::Azure,
        // A server of text embeddings at Hugging Face has a form of its own.
        Operation::Rerank => is_openais && !matches!(provider, Provider::Azure | Provider::HuggingFace),
        _ => is_openais || !operation.is_passed(),
    })
}

fn base(target: &Target) -> &str {
    target.base.path().trim_end_matches('/')
}

fn model(target: &Target) -> Arc<str> {
    match target.vendor.provider {
        Provider::OpenAi
        | Provider::Versioned
        | Provider::Below(_)
        | Provider::Azure
        | Provider::AzureAi
        | Provider::Anthropic(_)
        | Provider::Gemini
        | Provider::Vertex(_)
        | Provider::Ollama
        | Provider::Bedrock => target.model.clone(),
        Provider::HuggingFace => huggingface::model(target),
    }
}

/// Returns the operation that is called for one of a client. A request in another dialect becomes a chat.
fn called(target: &Target, operation: Operation) -> Operation {
    let passes = match operation.dialect() {
        ClientDialect::Chat | ClientDialect::Completions => true,
        ClientDialect::Messages => matches!(target.vendor.provider, Provider::Anthropic(_)),
        ClientDialect::Responses => speaks_responses(target),
    };
    match if passes { operation } else { Operation::Chat } {
        Operation::Chat if target.responses => Operation::Responses,
        operation => operation,
    }
}

/// Returns the URL of an operation that is called.
fn uri(target: &Target, operation: Operation) -> Result<Uri, InvalidTarget> {
    let base = base(target);
    let provider = target.vendor.provider;
    let path = match provider {
        Provider::OpenAi => openai::path(base, operation),
        Provider::Versioned | Provider::HuggingFace => openai::versioned(base, operation),
        Provider::Below(root) => openai::below(root, base, operation),
        Provider::AzureAi => {
            azure::models_path((is_foundry(&target.base), base), operation, target.api_version.as_deref())
        }
        Provider::Azure => azure::path(base, operation, &target.model, target.api_version.as_deref()),
        Provider::Anthropic(root) => anthropic::path(root, base, operation),
        Provider::Gemini => gemini::path(base, operation),
        Provider::Vertex(publisher) => vertex::path(base, publisher, &target.model),
        Provider::Ollama => ollama::path(base, operation),
        Provider::Bedrock => bedrock::path(base),
    };
    let mut parts = target.base.clone().into_parts();
    let named = matches!(parts.scheme.as_ref().map(http::uri::Scheme::as_str), Some("http" | "https"));
    let authority = parts.authority.as_ref().filter(|_| named).ok_or(InvalidTarget::Address)?;
    if authority.as_str().contains('@') {
        return Err(InvalidTarget::UserInfo);
    }
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| InvalidTarget::Address)?);
    Uri::from_parts(parts).map_err(|_| InvalidTarget::Address)
}

fn headers(target: &Target) -> Result<HeaderMap, InvalidTarget> {
    let mut headers = HeaderMap::with_capacity(target.headers.len() + 8);
    if let Some(host) = host(&target.base) {
        headers.insert(header::HOST, HeaderValue::try_from(host)?);
    }
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::ACCEPT, ACCEPT);
    headers.insert(header::ACCEPT_ENCODING, PLAIN);
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::CONTENT_LENGTH, NO_LENGTH);
    if let Some(key) = target.key.as_ref().map(expose).filter(|key| !key.is_empty()) {
        let (name, mut value) = match target.vendor.provider {
            Provider::OpenAi
            | Provider::Versioned
            | Provider::Below(_)
            | Provider::HuggingFace
            | Provider::Vertex(_)
            | Provider::Ollama
            | Provider::Bedrock => (header::AUTHORIZATION, openai::bearer(key)?),
            Provider::AzureAi if !is_foundry(&target.base) => (header::AUTHORIZATION, openai::bearer(key)?),
            Provider::Azure | Provider::AzureAi => (azure::API_KEY.clone(), HeaderValue::try_from(key)?),
            Provider::Anthropic(_) => anthropic::credential(key)?,
            Provider::Gemini => (gemini::API_KEY.clone(), HeaderValue::try_from(key)?),
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if matches!(target.vendor.provider, Provider::Anthropic(_)) {
        anthropic::add_headers(&mut headers);
    }
    if let (Provider::OpenAi, Some(organization)) = (target.vendor.provider, &target.organization) {
        headers.insert(ORGANIZATION.clone(), organization.clone());
    }
    for (name, value) in target.headers.iter().filter(|(name, _)| !is_framing(name)) {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    // A map reserves memory for more entries, a clone has none to spare.
    Ok(headers.clone())
}

/// Returns true for a resource of Azure AI Foundry. Other servers of `azure_ai/` have one model each.
fn is_foundry(base: &Uri) -> bool {
    base.host().is_some_and(|host| host.ends_with(".services.ai.azure.com"))
}

/// Returns the value of `host`: the port is included unless it is the default of the scheme.
fn host(url: &Uri) -> Option<String> {
    let host = url.host()?;
    match (url.port_u16(), url.scheme_str()) {
        (None, _) | (Some(80), Some("http")) | (Some(443), Some("https")) => Some(host.to_owned()),
        (Some(port), _) => Some(format!("{host}:{port}")),
    }
}

/// Keys from files and environment variables often end in a line break.
fn expose(key: &SecretString) -> &str {
    key.expose_secret().trim()
}

#[cfg(test)]
mod tests;
