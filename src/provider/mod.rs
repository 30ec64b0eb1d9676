//! How each provider is called: where its routes are, how it is paid, what it calls the model.
//!
//! An [`Encoder`] is made once per deployment, when the tree is built; a call then clones a ready URL and a ready
//! header map and never joins or parses anything. One file per dialect, all of them pure: no client, no clock, no
//! environment. Error classification is not here but in [`classify`](crate::classify), since what an answer means
//! depends on what it says and not on who was meant to give it.
//!
//! To add a provider that speaks like OpenAI: a row of [`config::VENDORS`](crate::config::VENDORS). One that does not
//! needs a variant of [`config::Provider`](crate::config::Provider) too, a file that says where a route is, and a line
//! in each `match` on the provider below, which the compiler points at.
//!
//! Hazards: a header of the configuration may replace any that we set, `authorization` too, but never one that
//! frames or encodes the message or belongs to the connection.

mod azure;
mod huggingface;
mod openai;

use std::{fmt, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{self, InvalidHeaderValue},
    uri::PathAndQuery,
};
use http_body::Body;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::{Deployment, Pattern, Provider, Target, is_framing},
    request::{Payload, Prompt, Route},
};

/// What we call ourselves.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Some servers choose the framing of a stream by it.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
/// Without the header a server may compress as it likes (RFC 9110, section 12.5.3), and what is compressed cannot be
/// watched.
const PLAIN: HeaderValue = HeaderValue::from_static("identity");

/// A place in the list of headers, taken by the length of each body.
const NO_LENGTH: HeaderValue = HeaderValue::from_static("0");

static ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// All that is needed to write a request to one deployment. A clone is a few counts and one header map.
#[derive(Clone)]
pub(crate) struct Encoder {
    model: Arc<str>,
    /// Where the group and the model are patterns: what is captured of the one is put into the other.
    patterns: Option<Arc<(Pattern, Pattern)>>,
    defaults: Arc<[(Arc<str>, Arc<str>)]>,
    chat: Uri,
    completions: Uri,
    embeddings: Uri,
    headers: HeaderMap,
}

impl Encoder {
    /// An encoder for this deployment.
    ///
    /// # Errors
    /// When its URL or its credential cannot be sent. The error names neither.
    pub(crate) fn new(deployment: &Deployment) -> Result<Self, Invalid> {
        let target = &deployment.target;
        Ok(Self {
            model: model(target),
            patterns: deployment.patterns().map(Arc::new),
            defaults: deployment.defaults.as_slice().into(),
            chat: uri(target, Route::Chat)?,
            completions: uri(target, Route::Completions)?,
            embeddings: uri(target, Route::Embeddings)?,
            headers: headers(target)?,
        })
    }

    /// The same with path and query alone as the target of each request, for whoever knows the server: RFC 9112 calls it
    /// the origin form.
    pub(crate) fn in_origin_form(mut self) -> Self {
        for uri in [&mut self.chat, &mut self.completions, &mut self.embeddings] {
            *uri = origin_form(uri);
        }
        self
    }

    /// Where the route is.
    pub(crate) const fn uri(&self, route: Route) -> &Uri {
        match route {
            Route::Chat => &self.chat,
            Route::Completions => &self.completions,
            Route::Embeddings => &self.embeddings,
        }
    }

    /// Where the route is, and the headers of a call without a body; secret ones are marked sensitive.
    pub(crate) fn head(&self, route: Route) -> (Uri, HeaderMap) {
        (self.uri(route).clone(), self.headers.clone())
    }

    /// The whole request, with the prompt in this deployment's words. With `usage`, a stream is asked for its usage
    /// where the client has not said whether it wants it.
    pub(crate) fn encode(&self, prompt: &Prompt, usage: bool) -> Request<Payload> {
        let filled = self
            .patterns
            .as_deref()
            .and_then(|(group, model)| group.capture(prompt.group()).map(|captured| model.fill(captured)));
        let model = filled.as_deref().unwrap_or(&self.model);
        let body = match usage {
            true => prompt.payload_with_usage(model, &self.defaults),
            false => prompt.payload(model, &self.defaults),
        };
        self.request(prompt.head.route, body)
    }

    /// The request round a body that was written with the deployment's model and defaults.
    pub(crate) fn request<B: Body>(&self, route: Route, body: B) -> Request<B> {
        let (uri, mut headers) = self.head(route);
        // hyper would write the same, but in a list of headers that has to grow for it.
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

/// Path and query alone. Of what is in this form already it is a copy.
pub(crate) fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map(Uri::from).unwrap_or_default()
}

/// Without the URLs, which only `--expose-upstreams` may show, and without the values of headers.
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
pub enum Invalid {
    /// The base and the route make no absolute http or https URL.
    Address,
    /// The base holds a user or a password; credentials go into `api_key` or `headers`.
    UserInfo,
    /// The credential holds what no header can carry, such as a line end in its middle.
    Credential,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "api_base is no absolute http or https URL",
            Self::UserInfo => "api_base holds a user name: write the credential as api_key or in headers",
            Self::Credential => "api_key holds characters that cannot be sent in a header",
        })
    }
}

impl std::error::Error for Invalid {}

impl From<InvalidHeaderValue> for Invalid {
    fn from(_: InvalidHeaderValue) -> Self {
        Self::Credential
    }
}

/// Whether a stream of this target may be asked for its usage.
pub(crate) fn supports_include_usage(target: &Target) -> bool {
    target.vendor.supports_include_usage
        && match target.vendor.provider {
            Provider::OpenAi | Provider::Versioned | Provider::HuggingFace => true,
            Provider::Azure => azure::supports_include_usage(base(target), target.api_version.as_deref()),
        }
}

fn base(target: &Target) -> &str {
    target.base.path().trim_end_matches('/')
}

fn model(target: &Target) -> Arc<str> {
    match target.vendor.provider {
        Provider::OpenAi | Provider::Versioned | Provider::Azure => target.model.clone(),
        Provider::HuggingFace => huggingface::model(target),
    }
}

fn uri(target: &Target, route: Route) -> Result<Uri, Invalid> {
    let base = base(target);
    let path = match target.vendor.provider {
        Provider::OpenAi => openai::path(base, route),
        Provider::Versioned | Provider::HuggingFace => openai::versioned(base, route),
        Provider::Azure => azure::path(base, route, &target.model, target.api_version.as_deref()),
    };
    let mut parts = target.base.clone().into_parts();
    let named = matches!(parts.scheme.as_ref().map(http::uri::Scheme::as_str), Some("http" | "https"));
    let authority = parts.authority.as_ref().filter(|_| named).ok_or(Invalid::Address)?;
    if authority.as_str().contains('@') {
        return Err(Invalid::UserInfo);
    }
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| Invalid::Address)?);
    Uri::from_parts(parts).map_err(|_| Invalid::Address)
}

fn headers(target: &Target) -> Result<HeaderMap, Invalid> {
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
            Provider::OpenAi | Provider::Versioned | Provider::HuggingFace => {
                (header::AUTHORIZATION, openai::bearer(key)?)
            }
            Provider::Azure => (azure::API_KEY.clone(), HeaderValue::try_from(key)?),
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if let (Provider::OpenAi, Some(organization)) = (target.vendor.provider, &target.organization) {
        headers.insert(ORGANIZATION.clone(), organization.clone());
    }
    for (name, value) in target.headers.iter().filter(|(name, _)| !is_framing(name)) {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(headers)
}

/// What `host` says of this URL: a port only where it is not the scheme's own.
fn host(url: &Uri) -> Option<String> {
    let host = url.host()?;
    match (url.port_u16(), url.scheme_str()) {
        (None, _) | (Some(80), Some("http")) | (Some(443), Some("https")) => Some(host.to_owned()),
        (Some(port), _) => Some(format!("{host}:{port}")),
    }
}

/// A key read from a file or an environment often has a line end behind it.
fn expose(key: &SecretString) -> &str {
    key.expose_secret().trim()
}

#[cfg(test)]
mod tests;
