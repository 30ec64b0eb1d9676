//! Access tokens of Google Cloud: the request for one (RFC 7523 for service accounts, RFC 6749 for users), and its response.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{
    error::Unspecified,
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::{JSON, PLAIN, USER_AGENT, host, openai};
use crate::{
    config::{GoogleCredential, GoogleGrant},
    request::SplicedBody,
};

/// The scope of all of Google Cloud, which the roles of the account limit.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The lifetime of a signed text, in seconds: the longest that is accepted.
const LIFETIME: u64 = 3600;

/// The longest lifetime of a token that is believed, in seconds: a day. Google's last an hour, at most twelve.
const LONGEST: u64 = 86_400;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
/// The header without which the metadata server refuses a request.
static METADATA_FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// An access token.
#[derive(Debug)]
pub(crate) struct AccessToken {
    /// The value of `authorization`, marked sensitive.
    pub(crate) bearer: HeaderValue,
    /// The time from the response to the end of the token.
    pub(crate) lifetime: Duration,
}

/// Returns the request for a token, at `now` in seconds since 1970.
///
/// # Errors
/// Returns an error if the key cannot sign.
pub(crate) fn token_request(
    credential: &GoogleCredential,
    now: u64,
) -> Result<Request<SplicedBody>, Unspecified> {
    let form = match &credential.grant {
        GoogleGrant::ServiceAccount { email, key_id, key } => {
            let audience = credential.token_uri.to_string();
            let claims =
                json!({"iss": &**email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + LIFETIME});
            let mut head = json!({"alg": "RS256", "typ": "JWT"});
            if let Some(key_id) = key_id {
                head["kid"] = (&**key_id).into();
            }
            form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &signed(&head, &claims, key)?),
            ])
        }
        GoogleGrant::User { client_id, client_secret, refresh_token } => form(&[
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("client_secret", client_secret.expose_secret()),
            ("refresh_token", refresh_token.expose_secret()),
        ]),
        GoogleGrant::Metadata => String::new(),
    };
    let mut request = Request::new(SplicedBody::from(Bytes::from(form)));
    *request.uri_mut() = credential.token_uri.clone();
    *request.headers_mut() = headers(credential, request.body().len());
    if !request.body().is_empty() {
        *request.method_mut() = Method::POST;
    }
    Ok(request)
}

fn headers(credential: &GoogleCredential, length: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let host = host(&credential.token_uri).and_then(|host| HeaderValue::try_from(host).ok());
    headers.extend(host.map(|host| (header::HOST, host)));
    headers.insert(header::ACCEPT, JSON);
    headers.insert(header::ACCEPT_ENCODING, PLAIN);
    headers.insert(header::USER_AGENT, USER_AGENT);
    match credential.grant {
        GoogleGrant::Metadata => {
            headers.insert(METADATA_FLAVOR.clone(), HeaderValue::from_static("Google"));
        }
        GoogleGrant::ServiceAccount { .. } | GoogleGrant::User { .. } => {
            headers.insert(header::CONTENT_TYPE, FORM);
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
    }
    headers
}

/// Returns a signed text (JWT).
fn signed(
    head: &serde_json::Value,
    claims: &serde_json::Value,
    key: &RsaKeyPair,
) -> Result<String, Unspecified> {
    let encoded = |json: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", encoded(head), encoded(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)?;
    Ok(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Reads the response of the endpoint.
///
/// # Errors
/// Returns the code of its error, such as `invalid_grant`, if it has one. It contains nothing of the credential.
pub(crate) fn read_token(body: &[u8]) -> Result<AccessToken, Option<String>> {
    #[derive(Deserialize)]
    struct Response {
        access_token: Option<String>,
        #[serde(default)]
        expires_in: u64,
        error: Option<String>,
    }
    let response: Response = serde_json::from_slice(body).map_err(|_| None)?;
    let lasts = response.expires_in > 0;
    let Some(token) = response.access_token.filter(|token| lasts && !token.is_empty()) else {
        let is_code =
            |code: &String| code.len() <= 40 && code.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
        return Err(response.error.filter(is_code));
    };
    let mut bearer = openai::bearer(&token).map_err(|_| None)?;
    bearer.set_sensitive(true);
    Ok(AccessToken { bearer, lifetime: Duration::from_secs(response.expires_in.min(LONGEST)) })
}

#[cfg(test)]
mod tests {
    use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn parsed(file: &serde_json::Value) -> GoogleCredential {
        GoogleCredential::parse(&file.to_string()).unwrap()
    }

    fn sent(credential: &GoogleCredential) -> (Request<SplicedBody>, String) {
        let request = token_request(credential, NOW).unwrap();
        let body = String::from_utf8(request.body().to_bytes().to_vec()).unwrap();
        (request, body)
    }

    #[test]
    fn a_service_account_signs_its_claims() {
        let credential = parsed(
            &json!({"type": "service_account", "client_email": "me@p.iam", "private_key_id": "kid", "project_id": "p",
                "private_key": include_str!("../../tests/data/google_key.pem"), "token_uri": "https://h/token"}),
        );
        let (request, body) = sent(&credential);
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::POST, "https://h/token".to_owned())
        );
        assert_eq!(request.headers()[header::HOST], "h");
        assert_eq!(request.headers()[header::CONTENT_LENGTH], body.len().to_string());
        let jwt = body
            .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant%2Dtype%3Ajwt%2Dbearer&assertion=");
        let jwt = percent_encoding::percent_decode_str(jwt.unwrap()).decode_utf8().unwrap();
        let (text, signature) = jwt.rsplit_once('.').unwrap();
        let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        let GoogleGrant::ServiceAccount { key, .. } = &credential.grant else { panic!("another grant") };
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref().to_vec());
        public.verify(text.as_bytes(), &decoded(signature)).unwrap();
        let (head, claims) = text.split_once('.').unwrap();
        let json = |part: &str| serde_json::from_slice::<serde_json::Value>(&decoded(part)).unwrap();
        assert_eq!(json(head), json!({"alg": "RS256", "typ": "JWT", "kid": "kid"}));
        let wanted = json!({"iss": "me@p.iam", "scope": SCOPE, "aud": "https://h/token", "iat": NOW, "exp": NOW + 3600});
        assert_eq!(json(claims), wanted);
    }

    #[test]
    fn a_user_sends_a_refresh_token_in_a_form() {
        let credential = parsed(
            &json!({"type": "authorized_user", "client_id": "c d", "client_secret": "s&", "refresh_token": "1//r="}),
        );
        let (_, body) = sent(&credential);
        assert_eq!(
            body,
            "grant_type=refresh%5Ftoken&client_id=c%20d&client_secret=s%26&refresh_token=1%2F%2Fr%3D"
        );
    }

    #[test]
    fn a_response_has_a_token_or_a_code() {
        let token =
            read_token(br#"{"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"}"#).unwrap();
        assert_eq!(
            (&token.bearer, token.lifetime),
            (&HeaderValue::from_static("Bearer ya29.x"), Duration::from_secs(3599))
        );
        assert!(token.bearer.is_sensitive());
        let forever = format!(r#"{{"access_token": "x", "expires_in": {}}}"#, u64::MAX);
        assert_eq!(read_token(forever.as_bytes()).unwrap().lifetime, Duration::from_secs(86_400));
        for (body, code) in [
            (
                r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#,
                Some("invalid_grant"),
            ),
            (r#"{"error": "the key -----BEGIN"}"#, None),
            (r#"{"access_token": "", "expires_in": 9}"#, None),
            (r#"{"access_token": "a\nb", "expires_in": 9}"#, None),
            (r#"{"access_token": "ya29.x"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(read_token(body.as_bytes()).unwrap_err().as_deref(), code, "{body}");
        }
    }
}
