//! Signatures of AWS (Signature Version 4): [`Signer`].
//!
//! Source: "AWS Signature Version 4 for API requests" in the reference of IAM. What is signed: the method, the path and the
//! query, the headers `content-type`, `host`, `x-amz-date` and `x-amz-security-token`, and the body. The time is an
//! argument, so that each attempt has a signature of its own.

use std::{
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use secrecy::ExposeSecret;

use crate::config::{AwsCredentials, calendar::date_and_time};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

static DATE: HeaderName = HeaderName::from_static("x-amz-date");
static TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The characters of a path that its canonical form encodes: all but the unreserved ones (RFC 3986) and the slash. That of
/// a percent sign is encoded too, which encodes a path twice.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Signs the requests of one deployment.
#[derive(Debug)]
pub(crate) struct Signer {
    credentials: AwsCredentials,
    service: &'static str,
}

impl Signer {
    /// Creates a signer for the service with this name.
    pub(crate) const fn new(credentials: AwsCredentials, service: &'static str) -> Self {
        Self { credentials, service }
    }

    /// Signs a request with this body at a time. A signature that it has is replaced.
    pub(crate) fn sign<B>(&self, request: &mut Request<B>, body: &[u8], now: SystemTime) {
        let time = timestamp(now);
        let headers = request.headers_mut();
        insert(headers, &DATE, &time);
        if let Some(token) = &self.credentials.session_token {
            insert(headers, &TOKEN, token.expose_secret());
        }
        let (canonical, signed) = canonical(request, &hex(digest(&SHA256, body).as_ref()));
        let scope = format!("{}/{}/{}/aws4_request", &time[..8], self.credentials.region, self.service);
        let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let signature = self.signature(&time[..8], &format!("{ALGORITHM}\n{time}\n{scope}\n{hash}"));
        let key = &self.credentials.access_key_id;
        let authorization =
            format!("{ALGORITHM} Credential={key}/{scope}, SignedHeaders={signed}, Signature={signature}");
        insert(request.headers_mut(), &header::AUTHORIZATION, &authorization);
    }

    /// Returns the signature of a text: its key is derived from the secret, the day, the region and the service.
    fn signature(&self, day: &str, text: &str) -> String {
        let secret = format!("AWS4{}", self.credentials.secret_access_key.expose_secret());
        let parts = [day, &self.credentials.region, self.service, "aws4_request"];
        let key = parts.iter().fold(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        });
        hex(hmac::sign(&key, text.as_bytes()).as_ref())
    }
}

/// Inserts a header, whose value is sensitive. One that cannot be sent is left out: the configuration has none.
fn insert(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    if let Ok(mut value) = HeaderValue::try_from(value) {
        value.set_sensitive(name != DATE);
        headers.insert(name.clone(), value);
    }
}

/// Returns the canonical form of a request, and the names of the headers in it.
fn canonical<B>(request: &Request<B>, payload: &str) -> (String, String) {
    let path = utf8_percent_encode(request.uri().path(), PATH);
    let mut query: Vec<_> = request.uri().query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let mut text = format!("{}\n{path}\n{}\n", request.method(), query.join("&"));
    let mut names = Vec::new();
    for name in [&header::CONTENT_TYPE, &header::HOST, &DATE, &TOKEN] {
        if let Some(value) = request.headers().get(name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}:{}", words.join(" "));
            names.push(name.as_str());
        }
    }
    let names = names.join(";");
    let _ = write!(text, "\n{names}\n{payload}");
    (text, names)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns a time in the basic form of ISO 8601: `20150830T123600Z`.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let [year, month, day, hour, minute, second] = date_and_time(since);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Returns the `authorization` of a request of AWS's own test suite for Signature Version 4: its credentials, region,
    /// service and time.
    fn signed(mut request: Request<()>, token: Option<&str>, body: &[u8]) -> String {
        let credentials = AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(Into::into),
            region: "us-east-1".to_owned(),
        };
        let signer = Signer::new(credentials, "service");
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("example.amazonaws.com"));
        signer.sign(&mut request, body, UNIX_EPOCH + Duration::from_secs(1_440_938_160));
        let value = &request.headers()[header::AUTHORIZATION];
        assert!(value.is_sensitive() && request.headers()[&DATE] == "20150830T123600Z");
        value.to_str().unwrap().to_owned()
    }

    fn request(method: &str, target: &str) -> Request<()> {
        Request::builder().method(method).uri(target).body(()).unwrap()
    }

    /// Source: AWS's `aws-sig-v4-test-suite`: get-vanilla, post-vanilla, get-vanilla-query-order-key-case, and
    /// post-x-www-form-urlencoded.
    #[test]
    fn signatures_are_those_of_awss_test_suite() {
        let form = Request::post("/").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (request, body, headers, signature) in [
            (
                request("GET", "/"),
                "",
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                request("POST", "/"),
                "",
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                request("GET", "/?Param2=value2&Param1=value1"),
                "",
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                form.body(()).unwrap(),
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let wanted = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={headers}, Signature={signature}"
            );
            assert_eq!(signed(request, None, body.as_bytes()), wanted);
        }
    }

    #[test]
    fn a_session_token_and_a_path_that_is_encoded_twice_are_signed() {
        let mut signed = request("POST", "/model/a%3A0/converse");
        insert(signed.headers_mut(), &TOKEN, "t  1");
        let (canonical, names) = canonical(&signed, "hash");
        let wanted =
            "POST\n/model/a%253A0/converse\n\nx-amz-security-token:t 1\n\nx-amz-security-token\nhash";
        assert_eq!((canonical.as_str(), names.as_str()), (wanted, "x-amz-security-token"));
    }
}
