//! Hugging Face: a self-hosted TGI or vLLM, an Inference Endpoint, or the router that forwards to many providers.
//!
//! TGI's own `/generate` is not used: TGI has supported `/v1/chat/completions` since 1.4.

use std::sync::Arc;

use crate::config::Target;

/// The host of the router, which is the default base URL.
const ROUTER: &str = "router.huggingface.co";

/// Returns true for the router in front of the providers, which has chats only.
pub(super) fn is_router(target: &Target) -> bool {
    target.base.host().is_some_and(|host| host.eq_ignore_ascii_case(ROUTER))
        && matches!(target.base.path(), "" | "/" | "/v1" | "/v1/")
}

/// Returns the name of the model. For one provider behind the router LiteLLM writes `{provider}/{org}/{model}`, and
/// looks up the provider's own name and path. The router accepts `{org}/{model}:{provider}`, which needs no look-up.
pub(super) fn model(target: &Target) -> Arc<str> {
    match target.model.split_once('/') {
        Some((provider, model)) if is_router(target) && model.contains('/') && !model.contains(':') => {
            format!("{model}:{provider}").into()
        }
        Some(_) | None => target.model.clone(),
    }
}
