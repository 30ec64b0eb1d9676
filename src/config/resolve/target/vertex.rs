//! Resolves the address and the credential of a deployment at Vertex AI.

use std::{path::Path, sync::Arc};

use http::{HeaderName, HeaderValue, Uri, header::AUTHORIZATION};

use super::base;
use crate::config::{
    error::DiagnosticSink,
    google::{BadCredential, GoogleCredential, METADATA_HOST},
    include,
    raw::{Environment, ModelEntry, RawConfig},
    read,
    yaml::{Location, Node, Value},
};

/// LiteLLM's location of a deployment without one.
const LOCATION: &str = "us-central1";

/// The file of `gcloud auth application-default login`, below the home of the user.
const LOGIN: &str = ".config/gcloud/application_default_credentials.json";

const NO_CREDENTIAL: &str = "only machines of Google's have that server: elsewhere write `vertex_credentials: PATH`, the file of a \
     service account, or set `VERTEXAI_CREDENTIALS` or `GOOGLE_APPLICATION_CREDENTIALS`";

/// `vertex_project` and `vertex_location` of the settings: the defaults of all deployments.
pub(in crate::config::resolve) struct VertexDefaults {
    project: Option<String>,
    location: Option<String>,
}

impl VertexDefaults {
    pub(in crate::config::resolve) fn read(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Self {
        Self {
            project: raw.read("vertex_project", sink, project),
            location: raw.read("vertex_location", sink, location),
        }
    }
}

/// Returns the URL of the location in the project, and the credential. A deployment with an `Authorization` header of its
/// own needs no credential.
pub(super) fn resolve(
    entry: &ModelEntry,
    headers: &[(HeaderName, HeaderValue)],
    (defaults, env): (&VertexDefaults, &Environment<'_>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<(Uri, Option<Arc<GoogleCredential>>)> {
    let param = |name| entry.params.get(name).filter(|node| !node.is_null());
    let at = param("model").map_or(&entry.at, |node| &node.at);
    if let Some((key, _)) = entry.params.entry("api_key").filter(|(_, node)| !node.is_null()) {
        sink.harmless(&key.at, "`api_key` is not used: Vertex AI is called with `vertex_credentials`");
    }
    let is_authorized = headers.iter().any(|(name, _)| *name == AUTHORIZATION);
    let credential = match is_authorized {
        true => None,
        false => Some(credential(param("vertex_credentials"), (at, env), sink)?),
    };
    let project = match param("vertex_project") {
        Some(node) => Some(project(node, sink)?),
        None => defaults.project.clone().or_else(|| env.get("VERTEXAI_PROJECT")),
    };
    let of_credential = || credential.as_ref()?.project.as_deref().map(str::to_owned);
    let project = project.or_else(of_credential).or_else(|| env.get("GOOGLE_CLOUD_PROJECT"));
    let location = match param("vertex_location") {
        Some(node) => location(node, sink)?,
        None => default_location(defaults, (at, env), sink)?,
    };
    let Some(project) = project.filter(|project| is_project(project)) else {
        sink.error(at, "the deployment has no valid `vertex_project`")
            .help("write the id of the project, or set `VERTEXAI_PROJECT`");
        return None;
    };
    let base = match param("api_base").or_else(|| param("base_url")) {
        Some(node) => base::parse(&read::text(node, sink)?, &node.at, "`api_base`", sink)?,
        None => format!("https://{}", host(&location)).parse().ok()?,
    };
    Some((below(&base, &project, &location)?, credential.map(Arc::new)))
}

/// Returns the location of the settings or the environment, or LiteLLM's default.
fn default_location(
    defaults: &VertexDefaults,
    (at, env): (&Location, &Environment<'_>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<String> {
    let variables = ["VERTEXAI_LOCATION", "VERTEX_LOCATION"];
    let location = defaults.location.clone().or_else(|| env.first(&variables));
    let location = location.unwrap_or_else(|| LOCATION.to_owned());
    if !is_location(&location) {
        sink.error(at, "the environment variable `VERTEXAI_LOCATION` is no location of Google Cloud")
            .help("such as `us-central1`, `eu` or `global`");
        return None;
    }
    Some(location)
}

/// Returns the host for a location: `global`, a geography of several regions, or a region.
fn host(location: &str) -> String {
    match location {
        "global" => "aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
        _ => format!("{location}-aiplatform.googleapis.com"),
    }
}

/// Returns the URL of the location. A base may have any part of its path: that before the version, the version, or that of
/// a model, as LiteLLM requires.
fn below(base: &Uri, project: &str, location: &str) -> Option<Uri> {
    let path = base.path().trim_end_matches('/');
    let path = match path.split_once("/locations/") {
        Some((before, rest)) => {
            format!("{before}/locations/{}", rest.split('/').next().unwrap_or_default())
        }
        None if path.ends_with("/v1") || path.ends_with("/v1beta1") => {
            format!("{path}/projects/{project}/locations/{location}")
        }
        None => format!("{path}/v1/projects/{project}/locations/{location}"),
    };
    let mut parts = base.clone().into_parts();
    parts.path_and_query = path.parse().ok();
    Uri::from_parts(parts).ok()
}

fn project(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<String> {
    // The number of a project may stand without quotes.
    let text = match &node.value {
        Value::Number(number) => number.to_string(),
        _ => read::text(node, sink)?,
    };
    if is_project(&text) { Some(text) } else { read::invalid(node, "the id of a project", sink) }
}

fn location(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<String> {
    let text = read::text(node, sink)?;
    let must = "a location of Google Cloud, such as `us-central1`, `eu` or `global`";
    if is_location(&text) { Some(text) } else { read::invalid(node, must, sink) }
}

/// Returns true for a text that can be a part of a path: an id, which may have the domain of its organization, or a number.
fn is_project(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// Returns true for a text that can be a part of a host's name.
fn is_location(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Returns the credential: `vertex_credentials`, or that of the environment, in the order of LiteLLM and Google's libraries.
fn credential(
    written: Option<&Node>,
    (at, env): (&Location, &Environment<'_>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<GoogleCredential> {
    if let Some(node) = written {
        return of_node(node, sink);
    }
    for variable in ["VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"] {
        if let Some(text) = env.get(variable) {
            let what = format!("the Google credential of the environment variable `{variable}`");
            return of_text(&text, Path::new(&text), (at, &what), sink);
        }
    }
    let login = env.get("HOME").and_then(|home| sink.read(&Path::new(&home).join(LOGIN)).ok());
    if let Some(json) = login {
        return checked(GoogleCredential::parse(&json), at, "the file of `gcloud auth`", sink);
    }
    of_machine((at, env), sink)
}

/// Returns the credential of the machine. Whether it is one of Google's is known only once a token is fetched.
fn of_machine(
    (at, env): (&Location, &Environment<'_>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<GoogleCredential> {
    let host = env.get("GCE_METADATA_HOST");
    if host.is_none() && env.get("K_SERVICE").is_none() {
        let message = format!("no Google credential: access tokens are fetched at {METADATA_HOST}");
        sink.warning(at, message).help(NO_CREDENTIAL);
    }
    let machine = GoogleCredential::of_machine(host.as_deref().unwrap_or(METADATA_HOST));
    if machine.is_none() {
        sink.error(at, "the environment variable `GCE_METADATA_HOST` is no host")
            .help("write a host and a port, as in `metadata.google.internal:80`");
    }
    machine
}

/// Reads `vertex_credentials`: a map, or a text.
fn of_node(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<GoogleCredential> {
    let text = match &node.value {
        Value::Map(_) => node.json_text(),
        _ => read::text(node, sink)?,
    };
    let path = include::resolve(Path::new(&*sink.name(node.at.file)), Path::new(&text));
    of_text(&text, &path, (&node.at, "`vertex_credentials`"), sink)
}

/// Reads a credential: its JSON, or the path of a file with it. No message shows the text: it may be a secret.
fn of_text(
    text: &str,
    path: &Path,
    (at, what): (&Location, &str),
    sink: &mut DiagnosticSink<'_>,
) -> Option<GoogleCredential> {
    if is_json(text) {
        return checked(GoogleCredential::parse(text), at, what, sink);
    }
    match sink.read(path) {
        Ok(json) => checked(GoogleCredential::parse(&json), at, what, sink),
        Err(error) => {
            sink.error(at, format!("the file of {what} cannot be read: {error}"))
                .help("write the path of a JSON file, or the JSON itself");
            None
        }
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn checked(
    credential: Result<GoogleCredential, BadCredential>,
    at: &Location,
    what: &str,
    sink: &mut DiagnosticSink<'_>,
) -> Option<GoogleCredential> {
    match credential {
        Ok(credential) => Some(credential),
        Err(error) => {
            sink.error(at, format!("{what} {error}"))
                .help("download the JSON key of a service account from the console of Google Cloud");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_that_of_the_world_of_a_geography_or_of_a_region() {
        assert_eq!(host("global"), "aiplatform.googleapis.com");
        assert_eq!(host("eu"), "aiplatform.eu.rep.googleapis.com");
        assert_eq!(host("europe-west4"), "europe-west4-aiplatform.googleapis.com");
    }

    #[test]
    fn a_base_may_have_any_part_of_the_path() {
        for (base, path) in [
            ("https://h", "/v1/projects/p/locations/l"),
            ("https://h/own/", "/own/v1/projects/p/locations/l"),
            ("https://h/own/v1", "/own/v1/projects/p/locations/l"),
            ("https://h/v1beta1", "/v1beta1/projects/p/locations/l"),
            ("https://h/v1/projects/q/locations/m", "/v1/projects/q/locations/m"),
            ("https://h/v1/projects/q/locations/m/publishers/google/models/x", "/v1/projects/q/locations/m"),
        ] {
            assert_eq!(below(&base.parse().unwrap(), "p", "l").unwrap().path(), path, "{base}");
        }
    }

    #[test]
    fn a_location_is_a_part_of_a_host_and_a_project_a_part_of_a_path() {
        for bad in ["", "US", "us-central1.evil.example", "a/b", "-a", "1a", "a_b", "a@b", "a:1"] {
            assert!(!is_location(bad), "{bad}");
        }
        assert!(is_location("us-central1") && is_location("global"));
        for bad in ["", "a/b", "a?b", "ä", "a b", "a#b", "a%2e"] {
            assert!(!is_project(bad), "{bad}");
        }
        assert!(is_project("example.com:my-project") && is_project("123456"));
    }
}
