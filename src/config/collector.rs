//! The collectors of traces that LiteLLM's callbacks name: [`Collector`].

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::Scheme};
use percent_encoding::percent_decode_str;

/// The path of the traces of OTLP over HTTP.
const HTTP_PATH: &str = "/v1/traces";

/// The path of the traces of OTLP over gRPC.
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The encoding of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// `http/protobuf`: a POST of the message.
    Http,
    /// `grpc`.
    Grpc,
}

/// A collector that takes traces by OTLP.
#[derive(Clone, PartialEq, Eq)]
pub struct Collector {
    /// The name of the callback, or of the variable, that asks for it.
    pub name: &'static str,
    /// The URL of a transfer.
    pub url: Uri,
    /// The encoding.
    pub protocol: OtlpProtocol,
    /// The headers of each transfer, which contain the credentials.
    pub headers: HeaderMap,
    /// The attributes of the process besides those of the environment.
    pub attributes: Vec<(&'static str, String)>,
}

/// The URL and the headers of a collector are not printed: they may contain credentials.
impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector {
    /// Returns the collector at `base`, a URL to which the path of traces is added, or none if it is not an http or https
    /// URL. A base for HTTP may have the path already; the one for gRPC has none.
    pub(crate) fn new(name: &'static str, protocol: OtlpProtocol, base: &str) -> Option<Self> {
        let base = base.trim_end_matches('/');
        match protocol {
            OtlpProtocol::Http if base.ends_with(HTTP_PATH) => Self::at(name, protocol, base),
            OtlpProtocol::Http => Self::at(name, protocol, &format!("{base}{HTTP_PATH}")),
            OtlpProtocol::Grpc => Self::at(name, protocol, &format!("{base}{GRPC_PATH}")),
        }
    }

    /// Returns the collector at this URL, or none if it is not an http or https URL.
    pub(crate) fn at(name: &'static str, protocol: OtlpProtocol, url: &str) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        let is_http = url.scheme() == Some(&Scheme::HTTP) || url.scheme() == Some(&Scheme::HTTPS);
        let (headers, attributes) = (HeaderMap::new(), Vec::new());
        (is_http && url.host().is_some()).then_some(Self { name, url, protocol, headers, attributes })
    }
}

/// Returns the headers of a list of pairs `name=value` with commas between them, percent-encoded, or none if it is another
/// text.
pub(crate) fn headers(list: &str) -> Option<HeaderMap> {
    let pairs = list.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((HeaderName::try_from(name.trim()).ok()?, secret(&value)?))
    };
    pairs.map(header).collect()
}

fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The reason why a callback has no collector.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoCollector {
    /// The callback is for a service that the gateway sends nothing to.
    OtherService,
    /// The variable is not set, or its value cannot be used.
    Variable(&'static str),
}

/// Returns a variable of the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Returns the collector of a callback of LiteLLM's, by the variables that LiteLLM reads for it.
///
/// # Errors
///
/// The reason why there is none.
pub(super) fn of_callback(callback: &str, variable: Variables<'_>) -> Result<Collector, NoCollector> {
    match callback {
        _ if !cfg!(feature = "otlp") => Err(NoCollector::OtherService),
        "otel" => otel(variable),
        "langfuse" => langfuse("langfuse", ("LANGFUSE_HOST", "https://cloud.langfuse.com"), variable),
        "langfuse_otel" => {
            let host = variable("LANGFUSE_OTEL_HOST").map(|_| "LANGFUSE_OTEL_HOST");
            let default = "https://us.cloud.langfuse.com";
            langfuse("langfuse_otel", (host.unwrap_or("LANGFUSE_HOST"), default), variable)
        }
        "arize_phoenix" => phoenix(variable),
        "arize" => arize(variable),
        "logfire" => logfire(variable),
        _ => Err(NoCollector::OtherService),
    }
}

fn required(name: &'static str, variable: Variables<'_>) -> Result<String, NoCollector> {
    variable(name).ok_or(NoCollector::Variable(name))
}

/// Returns the first of the variables that is set: its name and its value.
fn first(names: &[&'static str], variable: Variables<'_>) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| Some((*name, variable(name)?)))
}

fn otel(variable: Variables<'_>) -> Result<Collector, NoCollector> {
    let protocol = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER"];
    let protocol = match first(&protocol, variable) {
        None => OtlpProtocol::Http,
        Some((name, value)) => match &*value {
            "http/protobuf" | "http/json" | "otlp_http" | "console" => OtlpProtocol::Http,
            "grpc" | "otlp_grpc" => OtlpProtocol::Grpc,
            _ => return Err(NoCollector::Variable(name)),
        },
    };
    let names = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_ENDPOINT"];
    let (name, url) = first(&names, variable).ok_or(NoCollector::Variable(names[0]))?;
    let collector = Collector::new("otel", protocol, &url).ok_or(NoCollector::Variable(name))?;
    let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_HEADERS"];
    let Some((name, list)) = first(&names, variable) else { return Ok(collector) };
    let headers = headers(&list).ok_or(NoCollector::Variable(name))?;
    Ok(Collector { headers, ..collector })
}

/// Returns the collector of Langfuse at the host that a variable names, or at the default one.
fn langfuse(
    callback: &'static str,
    (host_name, default): (&'static str, &str),
    variable: Variables<'_>,
) -> Result<Collector, NoCollector> {
    let (public, private) =
        (required("LANGFUSE_PUBLIC_KEY", variable)?, required("LANGFUSE_SECRET_KEY", variable)?);
    let mut host = variable(host_name).unwrap_or_else(|| default.to_owned());
    if !host.starts_with("http") {
        host.insert_str(0, "https://");
    }
    let base = format!("{}/api/public/otel", host.trim_end_matches('/'));
    let collector = Collector::new(callback, OtlpProtocol::Http, &base);
    let collector = collector.ok_or(NoCollector::Variable(host_name))?;
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{public}:{private}")));
    with_header(collector, ("LANGFUSE_SECRET_KEY", header::AUTHORIZATION), &basic)
}

fn phoenix(variable: Variables<'_>) -> Result<Collector, NoCollector> {
    let names = ["PHOENIX_COLLECTOR_HTTP_ENDPOINT", "PHOENIX_COLLECTOR_ENDPOINT"];
    let (name, base) =
        first(&names, variable).unwrap_or_else(|| (names[1], "http://localhost:6006".to_owned()));
    let is_grpc = base.starts_with("grpc://") || base.contains(":4317") && !base.contains(HTTP_PATH);
    let collector = if is_grpc {
        Collector::new("arize_phoenix", OtlpProtocol::Grpc, &base.replacen("grpc://", "http://", 1))
    } else {
        let base = base.trim_end_matches('/');
        Collector::new("arize_phoenix", OtlpProtocol::Http, base.strip_suffix("/v1").unwrap_or(base))
    };
    let mut collector = collector.ok_or(NoCollector::Variable(name))?;
    let project = variable("PHOENIX_PROJECT_NAME").unwrap_or_else(|| "default".to_owned());
    collector.attributes.push(("openinference.project.name", project));
    let Some(key) = variable("PHOENIX_API_KEY") else { return Ok(collector) };
    with_header(collector, ("PHOENIX_API_KEY", header::AUTHORIZATION), &format!("Bearer {key}"))
}

fn arize(variable: Variables<'_>) -> Result<Collector, NoCollector> {
    let names = ["ARIZE_SPACE_ID", "ARIZE_SPACE_KEY"];
    let (space_name, space) = first(&names, variable).ok_or(NoCollector::Variable(names[0]))?;
    let key = required("ARIZE_API_KEY", variable)?;
    let (name, base) = first(&["ARIZE_ENDPOINT", "ARIZE_HTTP_ENDPOINT"], variable)
        .unwrap_or_else(|| ("ARIZE_ENDPOINT", "https://otlp.arize.com/v1".to_owned()));
    let base = base.trim_end_matches('/');
    // The path of a gRPC address counts for nothing.
    let protocol = if name == "ARIZE_ENDPOINT" { OtlpProtocol::Grpc } else { OtlpProtocol::Http };
    let collector = Collector::new("arize", protocol, base.strip_suffix("/v1").unwrap_or(base));
    let mut collector = collector.ok_or(NoCollector::Variable(name))?;
    if let Some(project) = variable("ARIZE_PROJECT_NAME") {
        collector.attributes.push(("openinference.project.name", project.clone()));
        collector.attributes.push(("model_id", project));
    }
    let collector = with_header(collector, (space_name, HeaderName::from_static("space_id")), &space)?;
    with_header(collector, ("ARIZE_API_KEY", HeaderName::from_static("api_key")), &key)
}

fn logfire(variable: Variables<'_>) -> Result<Collector, NoCollector> {
    let token = required("LOGFIRE_TOKEN", variable)?;
    let base = variable("LOGFIRE_BASE_URL");
    let base = base.as_deref().unwrap_or("https://logfire-api.pydantic.dev");
    let collector = Collector::new("logfire", OtlpProtocol::Http, base);
    let collector = collector.ok_or(NoCollector::Variable("LOGFIRE_BASE_URL"))?;
    with_header(collector, ("LOGFIRE_TOKEN", header::AUTHORIZATION), &token)
}

/// Returns the collector with a header, of which the value is from this variable.
fn with_header(
    mut collector: Collector,
    (variable, header): (&'static str, HeaderName),
    value: &str,
) -> Result<Collector, NoCollector> {
    collector.headers.insert(header, secret(value).ok_or(NoCollector::Variable(variable))?);
    Ok(collector)
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::*;

    fn collector(callback: &str, variables: &[(&str, &str)]) -> Result<Collector, NoCollector> {
        of_callback(callback, &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const LANGFUSE: [(&str, &str); 2] = [("LANGFUSE_PUBLIC_KEY", "pk"), ("LANGFUSE_SECRET_KEY", "sk")];
    const ARIZE: [(&str, &str); 2] = [("ARIZE_SPACE_KEY", "space"), ("ARIZE_API_KEY", "key")];

    #[test]
    fn a_callback_has_the_collector_of_its_variables() {
        let langfuse = |host| [LANGFUSE[0], LANGFUSE[1], host];
        let arize = |endpoint| [ARIZE[0], ARIZE[1], endpoint];
        for (callback, variables, url) in [
            ("otel", &[("OTEL_ENDPOINT", "http://c:4318")][..], "http://c:4318/v1/traces"),
            ("otel", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/v1/traces")], "http://c/v1/traces"),
            ("langfuse", &LANGFUSE, "https://cloud.langfuse.com/api/public/otel/v1/traces"),
            ("langfuse_otel", &LANGFUSE, "https://us.cloud.langfuse.com/api/public/otel/v1/traces"),
            (
                "langfuse_otel",
                &langfuse(("LANGFUSE_HOST", "lf.example/")),
                "https://lf.example/api/public/otel/v1/traces",
            ),
            (
                "langfuse_otel",
                &langfuse(("LANGFUSE_OTEL_HOST", "http://lf:3000")),
                "http://lf:3000/api/public/otel/v1/traces",
            ),
            ("arize_phoenix", &[], "http://localhost:6006/v1/traces"),
            (
                "arize_phoenix",
                &[("PHOENIX_COLLECTOR_ENDPOINT", "http://p:6006/v1")],
                "http://p:6006/v1/traces",
            ),
            ("arize", &arize(("ARIZE_HTTP_ENDPOINT", "https://a.example/v1")), "https://a.example/v1/traces"),
            ("logfire", &[("LOGFIRE_TOKEN", "t")], "https://logfire-api.pydantic.dev/v1/traces"),
        ] {
            let collector = collector(callback, variables).unwrap();
            assert_eq!((collector.url.to_string(), collector.protocol), (url.to_owned(), OtlpProtocol::Http));
            assert_eq!(collector.name, callback);
        }
        for (callback, variables, host) in [
            (
                "otel",
                &[("OTEL_EXPORTER", "otlp_grpc"), ("OTEL_ENDPOINT", "http://c:4317")][..],
                "http://c:4317",
            ),
            ("arize", &ARIZE, "https://otlp.arize.com"),
            ("arize_phoenix", &[("PHOENIX_COLLECTOR_ENDPOINT", "grpc://p:4317")], "http://p:4317"),
        ] {
            let collector = collector(callback, variables).unwrap();
            assert_eq!(collector.url.to_string(), format!("{host}{GRPC_PATH}"), "{callback}");
            assert_eq!(collector.protocol, OtlpProtocol::Grpc);
        }
    }

    #[test]
    fn a_callback_authenticates_by_its_variables_and_shows_none_of_them() {
        let langfuse = collector("langfuse", &LANGFUSE).unwrap();
        assert_eq!(langfuse.headers[header::AUTHORIZATION], "Basic cGs6c2s=");
        let arize = collector("arize", &ARIZE).unwrap();
        assert_eq!(
            (&arize.headers["space_id"], &arize.headers["api_key"]),
            (&"space".parse().unwrap(), &"key".parse().unwrap())
        );
        let phoenix = [("PHOENIX_API_KEY", "key"), ("PHOENIX_PROJECT_NAME", "mine")];
        let phoenix = collector("arize_phoenix", &phoenix).unwrap();
        assert_eq!(phoenix.headers[header::AUTHORIZATION], "Bearer key");
        assert_eq!(phoenix.attributes, [("openinference.project.name", "mine".to_owned())]);
        let otel = [("OTEL_ENDPOINT", "http://c"), ("OTEL_HEADERS", "x-team=a%20b, x-other=c")];
        assert_eq!(collector("otel", &otel).unwrap().headers["x-team"], "a b");
        for collector in [langfuse, arize, phoenix] {
            assert!(collector.headers.values().all(HeaderValue::is_sensitive));
            assert_eq!(format!("{collector:?}"), format!("Collector {{ name: {:?}, .. }}", collector.name));
        }
    }

    #[test]
    fn a_callback_without_its_variables_names_the_one_that_is_missing() {
        for (callback, variables, name) in [
            ("otel", &[][..], "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("otel", &[("OTEL_ENDPOINT", "c:4317")], "OTEL_ENDPOINT"),
            ("otel", &[("OTEL_ENDPOINT", "http://c"), ("OTEL_EXPORTER", "zork")], "OTEL_EXPORTER"),
            ("otel", &[("OTEL_ENDPOINT", "http://c"), ("OTEL_HEADERS", "secret")], "OTEL_HEADERS"),
            ("langfuse", &[("LANGFUSE_PUBLIC_KEY", "pk")], "LANGFUSE_SECRET_KEY"),
            ("arize", &[], "ARIZE_SPACE_ID"),
            ("logfire", &[], "LOGFIRE_TOKEN"),
        ] {
            assert_eq!(collector(callback, variables), Err(NoCollector::Variable(name)), "{callback}");
        }
        assert_eq!(collector("datadog", &[]), Err(NoCollector::OtherService));
    }
}
