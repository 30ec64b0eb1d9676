//! Resolves the base URL of a deployment.

use std::net::IpAddr;

use http::Uri;

use super::Dialect;
use crate::config::{
    BaseUrl, Provider,
    error::DiagnosticSink,
    keys,
    raw::{self, Environment, ModelEntry},
    read,
    yaml::Location,
};

/// Returns `api_base`, else the environment variable of the vendor, else its public URL. No message shows a URL: it
/// may contain a password.
pub(super) fn resolve(
    entry: &ModelEntry,
    (dialect, region): (&Dialect, Option<&str>),
    (mock, env): (bool, &Environment<'_>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<Uri> {
    let param = |name| entry.params.get(name);
    let endpoint = || param(keys::BEDROCK_ENDPOINT).filter(|_| dialect.vendor.provider == Provider::Bedrock);
    let written = param("api_base").or_else(|| param("base_url")).or_else(endpoint);
    if let Some(node) = written {
        return parse(&read::text(node, sink)?, &node.at, "`api_base`", sink);
    }
    let at = entry.params.get("model").map_or(&entry.at, |node| &node.at);
    let vendor = dialect.vendor;
    for name in vendor.base_variables {
        if let Some(text) = env.get(name) {
            return parse(&text, at, &format!("the environment variable `{name}`"), sink);
        }
    }
    match vendor.base {
        BaseUrl::Public(base) => Some(Uri::from_static(base)),
        BaseUrl::SelfHosted(_) | BaseUrl::Account { .. } | BaseUrl::Vertex if mock => {
            Some(Uri::from_static("http://localhost"))
        }
        // Resolved with the location.
        BaseUrl::Vertex => None,
        BaseUrl::Regional(before, after) => {
            let region = region?;
            let china = if region.starts_with("cn-") { ".cn" } else { "" };
            parse(&format!("{before}{region}{after}{china}"), at, "the URL of the region", sink)
        }
        BaseUrl::Account { before, variable, after } => match env.get(variable) {
            Some(account) => {
                let text = format!("{before}{account}{after}");
                parse(&text, at, &format!("the environment variable `{variable}`"), sink)
            }
            None => {
                sink.error(at, "the deployment has no `api_base`")
                    .help(format!("set `{variable}`, or write `api_base: {before}ACCOUNT{after}`"));
                None
            }
        },
        BaseUrl::SelfHosted(example) => {
            let name = vendor.base_variables.first().copied().unwrap_or_default();
            sink.error(at, "the deployment has no `api_base`")
                .help(format!("write `api_base: {example}`, or set `{name}`"));
            None
        }
    }
}

pub(super) fn parse(text: &str, at: &Location, what: &str, sink: &mut DiagnosticSink<'_>) -> Option<Uri> {
    if let Some(name) = raw::shell_variable(text) {
        sink.error(at, format!("{what} is not a valid URL: `${{{name}}}` is not expanded"))
            .help(format!("write `os.environ/{name}` as the whole value"));
        return None;
    }
    match check(text.trim()) {
        Ok(uri) => Some(uri),
        Err(reason) => {
            sink.error(at, format!("{what} is not a valid URL: {reason}"))
                .help("such as `https://host:8080/v1`");
            None
        }
    }
}

fn check(text: &str) -> Result<Uri, &'static str> {
    if text.contains('#') {
        return Err("it has a fragment");
    }
    if text.contains('?') {
        return Err("it has a query");
    }
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| "it cannot be parsed")?;
    let secure = match uri.scheme_str() {
        None => return Err("it must begin with `http://` or `https://`"),
        Some("http" | "https") => uri.host().is_some_and(|host| !host.is_empty()),
        Some(_) => return Err("only http and https are supported"),
    };
    let authority = uri.authority().map_or("", |a| a.as_str());
    if !secure {
        return Err("it has no host");
    }
    if authority.contains('@') {
        return Err("it has a user name: write the key as `api_key`");
    }
    let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    if port.is_some() && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is not a number from 1 to 65535");
    }
    Ok(uri)
}

/// Returns true if a request to the URL crosses a public network unencrypted.
pub(super) fn is_exposed(base: &Uri) -> bool {
    /// Domains of this machine and of private networks.
    const PRIVATE: [&str; 6] = ["localhost", "local", "docker.internal", "lan", "home.arpa", "svc"];
    let host = base.host().unwrap_or_default().trim_matches(['[', ']']);
    let private = match host.parse() {
        Ok(address) => is_private(address),
        Err(_) => {
            let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(|name| name.ends_with('.'));
            !host.contains('.') || PRIVATE.iter().any(|domain| is_below(domain))
        }
    };
    base.scheme_str() == Some("http") && !private
}

/// Returns true for addresses of this machine and of private networks.
fn is_private(address: IpAddr) -> bool {
    match address {
        // Connections to the unspecified address reach this machine too.
        _ if address.is_loopback() || address.is_unspecified() => true,
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_must_be_absolute_http_without_query_fragment_and_user() {
        let bad = [
            "",
            "host",
            "/v1",
            "ftp://h",
            "https://",
            "https://h?x=1",
            "https://h#f",
            "https://u:p@h",
            "http://h:99999",
        ];
        for text in bad {
            assert!(check(text).is_err(), "{text}");
        }
        assert_eq!(check("https://h:8080/v1///").unwrap(), "https://h:8080/v1");
        assert_eq!(check("http://[::1]:80").unwrap(), "http://[::1]:80");
    }

    #[test]
    fn a_plain_http_base_url_is_exposed_unless_it_is_local() {
        let exposed = |text: &str| is_exposed(&check(text).unwrap());
        assert!(
            exposed("http://8.8.8.8") && exposed("http://host.example/v1") && exposed("http://[2001:db8::1]")
        );
        for private in ["10.0.0.1", "192.168.1.9", "vllm:8000", "host.docker.internal", "x.svc", "[fd00::1]"]
        {
            assert!(!exposed(&format!("http://{private}/v1")), "{private}");
        }
        assert!(!exposed("https://host") && !exposed("http://0.0.0.0:8001") && !exposed("http://[::1]:1"));
        assert!(!exposed("http://localhost:1"));
    }
}
