//! The table of the paths that are served: [`find`].
//!
//! Each row has one path. The operations of the API are also found behind `/v1` and `/openai`, and the calls of models
//! behind a path that names the model, in the spellings of Azure (`/deployments/{model}`) and of OpenAI's first API
//! (`/engines/{model}`). Anthropic's are also found behind `/anthropic/v1`. Doubled and trailing slashes are accepted.

use std::{borrow::Cow, sync::Arc};

use http::Method;
use serde_json::json;

use super::paths::{Route, RouteTarget};
use crate::{
    request::Operation,
    status::{Access, Action, page::File},
};

/// An operation: its method, its path and its route.
#[derive(Debug)]
pub(super) struct Row {
    /// The method. HEAD is accepted where GET is.
    pub(super) method: &'static str,
    /// The path, without a prefix and without the model.
    path: &'static str,
    scope: Scope,
    pub(super) route: Route,
}

/// The paths at which a row is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The row's path alone.
    Root,
    /// The row's path, also behind [`PREFIXES`].
    Api,
    /// As [`Api`](Self::Api), and behind [`MODELS`] and the name of a model.
    CallOfModel,
    /// As [`Api`](Self::Api), followed by the name of a model.
    Model,
    /// The row's path alone, followed by the id of a deployment.
    Deployment,
    /// As [`Api`](Self::Api), followed by the id of a response and the end of the operation's path.
    Response(Operation),
}

/// The prefixes of the API: OpenAI's clients are configured with or without the first, Azure's send the second.
const PREFIXES: [&str; 2] = ["/v1", "/openai"];

/// The beginnings of paths of OpenAI's API and of LiteLLM's that are not served, and what there is instead.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &[
            "/batches",
            "/files",
            "/uploads",
            "/fine_tuning",
            "/vector_stores",
            "/containers",
            "/videos",
            "/evals",
        ],
        "What a provider stores is not served: call the provider itself.",
    ),
    (&["/assistants", "/threads"], "Assistants are not served: use POST /v1/responses."),
    (
        &["/realtime"],
        "WebSockets are not served: use POST /v1/audio/transcriptions, /v1/chat/completions and /v1/audio/speech.",
    ),
    (&["/images/variations"], "Variations of images are not served: use POST /v1/images/edits."),
    (
        &[
            "/key/",
            "/user/",
            "/team/",
            "/spend/",
            "/global/",
            "/budget/",
            "/organization/",
            "/customer/",
            "/ui",
        ],
        "Keys, users, teams and spending are not kept in a database: keys and budgets are in the configuration.",
    ),
];

/// The paths before the name of a model.
const MODELS: [&str; 2] = ["/deployments/", "/engines/"];

/// All rows. The first row that matches counts: the name of a model may contain slashes.
static TABLE: [Row; 38] = {
    use RouteTarget::{
        Call, Health, Metrics, Model, ModelGroupInfo, ModelInfo, Models, Operate, Routes, Status,
    };
    const fn row(method: &'static str, path: &'static str, scope: Scope, route: Route) -> Row {
        Row { method, path, scope, route }
    }
    const fn call(scope: Scope, operation: Operation) -> Row {
        row("POST", operation.path(), scope, Route::Target(Call(operation)))
    }
    const fn stored(method: &'static str, operation: Operation) -> Row {
        row(method, "/responses/", Scope::Response(operation), Route::Target(Call(operation)))
    }
    [
        call(Scope::CallOfModel, Operation::Chat),
        call(Scope::CallOfModel, Operation::Completions),
        call(Scope::CallOfModel, Operation::Embeddings),
        call(Scope::Api, Operation::Responses),
        stored("GET", Operation::ListInputItems),
        stored("POST", Operation::CancelResponse),
        stored("GET", Operation::RetrieveResponse),
        stored("DELETE", Operation::DeleteResponse),
        call(Scope::Api, Operation::Messages),
        call(Scope::Api, Operation::CountTokens),
        row("POST", "/anthropic/v1/messages", Scope::Root, Route::Target(Call(Operation::Messages))),
        row(
            "POST",
            "/anthropic/v1/messages/count_tokens",
            Scope::Root,
            Route::Target(Call(Operation::CountTokens)),
        ),
        call(Scope::CallOfModel, Operation::Moderations),
        call(Scope::CallOfModel, Operation::Rerank),
        call(Scope::CallOfModel, Operation::Images),
        call(Scope::CallOfModel, Operation::ImageEdits),
        call(Scope::CallOfModel, Operation::Transcriptions),
        call(Scope::CallOfModel, Operation::Translations),
        call(Scope::CallOfModel, Operation::Speech),
        row("POST", "/v2/rerank", Scope::Root, Route::Target(Call(Operation::Rerank))),
        row("GET", "/models", Scope::Api, Route::Target(Models)),
        row("GET", "/models/", Scope::Model, Route::Target(Model)),
        row("GET", "/model/info", Scope::Api, Route::Target(ModelInfo)),
        row("GET", "/model_group/info", Scope::Api, Route::Target(ModelGroupInfo)),
        row("GET", "/routes", Scope::Root, Route::Target(Routes)),
        row("GET", "/health", Scope::Root, Route::Target(Health)),
        row("GET", "/metrics", Scope::Root, Route::Target(Metrics)),
        row("GET", "/health/liveliness", Scope::Root, Route::Alive),
        row("GET", "/health/liveness", Scope::Root, Route::Alive),
        row("GET", "/health/readiness", Scope::Root, Route::Ready),
        row("GET", "/status/data", Scope::Root, Route::Target(Status(Access::Operate))),
        row("GET", "/status/access", Scope::Root, Route::Target(RouteTarget::Access(Some(Access::Operate)))),
        row("GET", "/status/style.css", Scope::Root, Route::File(File::Style)),
        row("GET", "/status/script.js", Scope::Root, Route::File(File::Script)),
        row("GET", "/status/icon.svg", Scope::Root, Route::File(File::Icon)),
        row("POST", "/status/cool_down/", Scope::Deployment, Route::Target(Operate(Action::CoolDown))),
        row("POST", "/status/revive/", Scope::Deployment, Route::Target(Operate(Action::Revive))),
        row("POST", "/status/drain/", Scope::Deployment, Route::Target(Operate(Action::Drain))),
    ]
};

/// Returns the row of a path and a method, and the model, the deployment or the response that the path names. If the path has
/// other methods only, the row is the first of them. Returns `None` for an unknown path.
pub(super) fn find(path: &str, method: &Method) -> Option<(&'static Row, Option<Arc<str>>)> {
    let found =
        |path: &str| look_up(path, method).map(|(row, model)| (row, model.map(|name| decoded(name).into())));
    found(path).or_else(|| found(&collapsed(path)))
}

/// Returns a sentence about what there is, for the error of an unknown path.
pub(super) fn help(path: &str) -> String {
    let in_api = without_prefixes(path);
    match INSTEAD.iter().find(|(others, _)| others.iter().any(|other| in_api.starts_with(other))) {
        Some((_, instead)) => (*instead).to_owned(),
        None => format!("Available are {}.", served()),
    }
}

/// Returns all paths with their methods as JSON, in the form of LiteLLM's `/routes`.
pub(super) fn routes() -> Vec<u8> {
    let path = |row: &Row| match row.scope {
        Scope::Root => row.path.to_owned(),
        Scope::Api | Scope::CallOfModel => format!("{}{}", PREFIXES[0], row.path),
        Scope::Model => format!("{}{}{{model_id}}", PREFIXES[0], row.path),
        Scope::Deployment => format!("{}{{id}}", row.path),
        Scope::Response(operation) => {
            let end = operation.on_stored().map_or("", |(_, end)| end);
            format!("{}{}{{response_id}}{end}", PREFIXES[0], row.path)
        }
    };
    let of_model = TABLE.iter().filter(|row| row.scope == Scope::CallOfModel);
    let of_model = of_model.map(|row| (row, format!("{}{}{{model}}{}", PREFIXES[1], MODELS[0], row.path)));
    let all = TABLE.iter().map(|row| (row, path(row))).chain(of_model);
    let routes = all.map(|(row, path)| json!({"path": path, "methods": [row.method]}));
    json!({"routes": routes.collect::<Vec<_>>()}).to_string().into()
}

/// Returns the operations of the API.
fn served() -> String {
    let api = TABLE.iter().filter(|row| matches!(row.scope, Scope::Api | Scope::CallOfModel));
    let paths: Vec<_> = api.map(|row| format!("{} {}{}", row.method, PREFIXES[0], row.path)).collect();
    paths.join(", ")
}

fn look_up<'a>(path: &'a str, method: &Method) -> Option<(&'static Row, Option<&'a str>)> {
    let in_api = without_prefixes(path);
    let mut rows = TABLE.iter().filter_map(|row| {
        let path = if matches!(row.scope, Scope::Root | Scope::Deployment) { path } else { in_api };
        row.name_in(path).map(|name| (row, name))
    });
    let first = rows.next()?;
    // Only the paths of responses have several methods.
    let accepts = |(row, _): &(&Row, _)| row.accepts(method);
    if accepts(&first) { Some(first) } else { rows.find(accepts).or(Some(first)) }
}

impl Row {
    /// Returns true if the row accepts the method.
    pub(super) fn accepts(&self, method: &Method) -> bool {
        method.as_str() == self.method || (self.method == "GET" && method == Method::HEAD)
    }

    /// Returns the methods of the row's path.
    pub(super) const fn methods(&self) -> &'static str {
        match self.scope {
            Scope::Response(Operation::RetrieveResponse | Operation::DeleteResponse) => "GET, DELETE",
            _ => self.method,
        }
    }

    /// Returns the name that `path` contains, or `None` if the path is not of this row.
    fn name_in<'a>(&self, path: &'a str) -> Option<Option<&'a str>> {
        let is_name = |name: &&str| !name.is_empty() && !name.starts_with('/');
        match self.scope {
            Scope::Model | Scope::Deployment => path.strip_prefix(self.path).filter(is_name).map(Some),
            Scope::Response(operation) => {
                let (_, end) = operation.on_stored()?;
                let id = path.strip_prefix(self.path)?.strip_suffix(end)?;
                (!id.is_empty() && !id.contains('/')).then_some(Some(id))
            }
            _ if path == self.path => Some(None),
            Scope::Root | Scope::Api => None,
            Scope::CallOfModel => {
                let behind = MODELS.iter().find_map(|models| path.strip_prefix(models));
                let name = behind.and_then(|path| path.strip_suffix(self.path));
                name.filter(|name| is_name(name) && !name.ends_with('/')).map(Some)
            }
        }
    }
}

/// Returns the path without the prefixes of the API.
fn without_prefixes(mut path: &str) -> &str {
    let rest = |path| PREFIXES.iter().find_map(|prefix| str::strip_prefix(path, prefix));
    while let Some(rest) = rest(path).filter(|rest| rest.starts_with('/')) {
        path = rest;
    }
    path
}

/// Returns the path with one slash for several, and without a slash at its end.
fn collapsed(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.flat_map(|part| ["/", part]).collect()
}

/// Decodes the percent encoding of a name. A percent sign without two hexadecimal digits stays as it is.
fn decoded(name: &str) -> Cow<'_, str> {
    if !name.contains('%') {
        return Cow::Borrowed(name);
    }
    let mut rest = name.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Option<(Route, Option<String>)> {
        find(path, &Method::GET).map(|(row, model)| (row.route, model.map(|name| name.to_string())))
    }

    #[test]
    fn paths_of_every_spelling_lead_to_their_operation_and_name_the_model() {
        let cases = [
            ("/chat/completions", Operation::Chat, None),
            ("/v1/chat/completions", Operation::Chat, None),
            ("/openai/v1/chat/completions", Operation::Chat, None),
            ("/v1/openai/completions", Operation::Completions, None),
            ("//v1//chat/completions", Operation::Chat, None),
            ("/v1/chat/completions/", Operation::Chat, None),
            ("/v1/embeddings///", Operation::Embeddings, None),
            ("/openai/deployments/m/chat/completions", Operation::Chat, Some("m")),
            ("/v1/openai/deployments/m/completions", Operation::Completions, Some("m")),
            ("/deployments/m/embeddings", Operation::Embeddings, Some("m")),
            ("//openai/deployments//m/chat//completions/", Operation::Chat, Some("m")),
            ("/engines/m/chat/completions", Operation::Chat, Some("m")),
            ("/v1/engines/m/completions", Operation::Completions, Some("m")),
            ("/v1/engines/openai/m-4/embeddings", Operation::Embeddings, Some("openai/m-4")),
            ("/engines/openai%2Fm%204/completions", Operation::Completions, Some("openai/m 4")),
            ("/engines/chat/completions", Operation::Completions, Some("chat")),
            ("/v1/responses", Operation::Responses, None),
            ("/openai/responses/", Operation::Responses, None),
            ("/v1/messages", Operation::Messages, None),
            ("/messages/", Operation::Messages, None),
            ("/anthropic/v1/messages", Operation::Messages, None),
            ("/v1/messages/count_tokens", Operation::CountTokens, None),
            ("/anthropic//v1/messages/count_tokens", Operation::CountTokens, None),
        ];
        for (path, operation, model) in cases {
            let expected = (Route::Target(RouteTarget::Call(operation)), model.map(str::to_owned));
            assert_eq!(target(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn paths_of_models_name_a_model_or_list_all() {
        for (path, model) in [
            ("/models/a", Some("a")),
            ("/v1/models/a/b", Some("a/b")),
            ("/v1//models/a%2Fb/", Some("a/b")),
            ("/openai/models/100%25%", Some("100%%")),
        ] {
            let expected = (Route::Target(RouteTarget::Model), model.map(str::to_owned));
            assert_eq!(target(path), Some(expected), "{path}");
        }
        for path in ["/models", "/v1/models/", "/openai/v1//models"] {
            assert_eq!(target(path), Some((Route::Target(RouteTarget::Models), None)), "{path}");
        }
    }

    #[test]
    fn paths_of_operations_on_deployments_name_the_deployment() {
        for (path, action, id) in [
            ("/status/drain/eu-1", Action::Drain, "eu-1"),
            ("/status/cool_down/azure%2Fa%20b", Action::CoolDown, "azure/a b"),
            ("/status//revive/a/b", Action::Revive, "a/b"),
        ] {
            let expected = (Route::Target(RouteTarget::Operate(action)), Some(id.to_owned()));
            assert_eq!(target(path), Some(expected), "{path}");
        }
        assert_eq!(target("/status/drain/"), None);
        assert_eq!(target("/v1/status/data"), None);
    }

    #[test]
    fn paths_of_stored_responses_have_an_operation_for_each_method_and_name_the_response() {
        for (method, path, operation) in [
            (Method::GET, "/v1/responses/resp_1", Operation::RetrieveResponse),
            (Method::HEAD, "/responses/resp_1/", Operation::RetrieveResponse),
            (Method::DELETE, "/openai/v1/responses/resp_1", Operation::DeleteResponse),
            (Method::POST, "/openai/responses/resp_1/cancel", Operation::CancelResponse),
            (Method::GET, "/v1/responses//resp_1/input_items", Operation::ListInputItems),
        ] {
            let (row, id) = find(path, &method).unwrap();
            assert_eq!(
                (row.route, id.as_deref()),
                (Route::Target(RouteTarget::Call(operation)), Some("resp_1"))
            );
            assert!(row.accepts(&method), "{method} {path}");
        }
        for (method, path, methods) in [
            (Method::POST, "/v1/responses/resp_1", "GET, DELETE"),
            (Method::GET, "/v1/responses/resp_1/cancel", "POST"),
            (Method::DELETE, "/v1/responses/resp_1/input_items", "GET"),
        ] {
            let (row, _) = find(path, &method).unwrap();
            assert_eq!((row.accepts(&method), row.methods()), (false, methods), "{method} {path}");
        }
    }

    #[test]
    fn paths_that_are_not_served_are_not_found() {
        for path in [
            "",
            "/",
            "*",
            "/v1",
            "/v1/",
            "/openai",
            "/v1/chat",
            "/chat/completionsx",
            "/v1chat/completions",
            "/v2/models",
            "/engines/chat",
            "/engines//completions",
            "/deployments/m",
            "/openai/deployments/m/",
            "/v1/metrics",
            "/metrics/x",
            "/v1/health/readiness",
            "/m/chat/completions",
            "/anthropic/v1/chat/completions",
            "/v1/messages/batches",
            "/v1/responses/resp_1/other",
            "/v1/responses/resp_1/cancel/more",
        ] {
            assert_eq!(target(path), None, "{path}");
        }
        assert_eq!(target("/health//readiness/"), Some((Route::Ready, None)));
    }

    #[test]
    fn paths_in_the_help_are_served() {
        let help = served();
        for path in help.split(", ") {
            let (method, path) = path.split_once(' ').unwrap();
            assert_eq!(find(path, &Method::GET).map(|(row, _)| row.method), Some(method), "{path}");
        }
        assert_eq!(help.split(", ").count(), 16);
    }
}
