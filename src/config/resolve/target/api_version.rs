//! Resolves the `api_version` of an Azure deployment.

use std::sync::Arc;

use crate::config::{
    DEFAULT_API_VERSION,
    error::DiagnosticSink,
    raw::Environment,
    read,
    yaml::{Location, Node},
};

const VARIABLE: &str = "AZURE_API_VERSION";

/// Returns the configured version, else that of the environment, else the default one.
pub(super) fn resolve(
    written: Option<&Node>,
    at: &Location,
    env: &Environment<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Arc<str>> {
    let (text, at, name) = match written {
        Some(node) => (read::text(node, sink)?, &node.at, "`api_version`"),
        None => match env.get(VARIABLE) {
            Some(text) => (text, at, "the environment variable `AZURE_API_VERSION`"),
            None => return Some(DEFAULT_API_VERSION.into()),
        },
    };
    let version = parse(&text);
    if version.is_none() {
        sink.error(at, format!("{name} is not a version of Azure's API"))
            .help("write the date alone, such as `2024-10-21` or `2025-04-01-preview`, or `v1` or `preview`");
    }
    version
}

/// Returns the version in a text that may be a part of a URL's query: `api-version=2024-10-21`.
fn parse(text: &str) -> Option<Arc<str>> {
    let text = text.trim().to_ascii_lowercase().replace("api_version", "api-version");
    let version = text.rsplit_once("api-version").map_or(&*text, |(_, value)| value);
    let version = version.split(['&', '#']).find(|part| !part.is_empty())?;
    let version = version.trim_matches(|c: char| c.is_whitespace() || "?=:/\"'".contains(c));
    (["v1", "latest", "preview"].contains(&version) || is_dated(version)).then(|| version.into())
}

/// Returns true for a date, which may be followed by `-preview`.
fn is_dated(version: &str) -> bool {
    let parts: Vec<_> = version.splitn(4, '-').collect();
    let [year, month, day, rest @ ..] = &*parts else { return false };
    let number = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let stage = |stage: &&str| stage.starts_with(|c: char| c.is_ascii_alphabetic());
    number(year, 4) && number(month, 2) && number(day, 2) && rest.iter().all(stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_version_may_be_written_as_a_part_of_a_query() {
        for text in [
            "2024-10-21",
            "api-version=2024-10-21",
            "?api-version=2024-10-21",
            "&api-version=2024-10-21",
            "api_version=2024-10-21",
            "API-Version=2024-10-21",
            "api-version: 2024-10-21",
            " 2024-10-21\n",
            "=2024-10-21",
            "?api-version=2024-10-21&x=y",
            "https://r.example/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ] {
            assert_eq!(parse(text).as_deref(), Some("2024-10-21"), "{text}");
        }
        assert_eq!(parse("api-version=2025-04-01-preview").as_deref(), Some("2025-04-01-preview"));
        assert_eq!(parse("2025-04-01-Preview").as_deref(), Some("2025-04-01-preview"));
        for (text, version) in
            [("v1", "v1"), ("V1", "v1"), ("api-version=preview", "preview"), ("latest", "latest")]
        {
            assert_eq!(parse(text).as_deref(), Some(version));
        }
    }

    #[test]
    fn an_api_version_that_is_not_a_version_is_refused() {
        for text in [
            "",
            "api-version=",
            "2024",
            "2024-10",
            "20241021",
            "2024/10/21",
            "21-10-2024",
            "v2",
            "2024-10-21-",
            "x=y",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
