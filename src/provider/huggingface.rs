//! Hugging Face: a TGI, vLLM or Inference Endpoint of one's own, or the router that forwards to many providers.
//!
//! TGI's own `/generate` is not spoken: it has served `/v1/chat/completions` since 1.4.

use std::sync::Arc;

use crate::config::Target;

/// The host of the router, which is the base where none was given.
const ROUTER: &str = "router.huggingface.co";

/// The model's name. LiteLLM writes `{provider}/{org}/{model}` for one provider behind the router and looks up that
/// provider's own name and path; the router understands `{org}/{model}:{provider}`, which saves the look-up.
pub(super) fn model(target: &Target) -> Arc<str> {
    let at_router = target.base.host().is_some_and(|host| host.eq_ignore_ascii_case(ROUTER))
        && matches!(target.base.path(), "" | "/" | "/v1" | "/v1/");
    match target.model.split_once('/') {
        Some((provider, model)) if at_router && model.contains('/') && !model.contains(':') => {
            format!("{model}:{provider}").into()
        }
        Some(_) | None => target.model.clone(),
    }
}
