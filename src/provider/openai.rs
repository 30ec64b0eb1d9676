//! OpenAI, and every server that speaks like it: the base as it was given, and the route behind it.

use http::{HeaderValue, header::InvalidHeaderValue};

use crate::request::Route;

/// The base's path and the route's. No `/v1` is added: users rely on bases such as `/openai` and `/api/v3`.
pub(super) fn path(base: &str, route: Route) -> String {
    format!("{}{}", without_route(base), route.path())
}

/// The same below `/v1`, which is added unless it is there.
pub(super) fn versioned(base: &str, route: Route) -> String {
    let base = without_route(base);
    let root = base.strip_suffix("/v1").unwrap_or(base);
    format!("{root}/v1{}", route.path())
}

/// The base without a route at its end. People paste the whole address of the one route that they know; the others
/// are beside it.
pub(super) fn without_route(base: &str) -> &str {
    // `/completions` is the end of `/chat/completions`, so it comes last.
    let routes = [Route::Chat, Route::Embeddings, Route::Completions];
    routes.iter().find_map(|route| base.strip_suffix(route.path())).unwrap_or(base).trim_end_matches('/')
}

pub(super) fn bearer(key: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(format!("Bearer {key}"))
}
