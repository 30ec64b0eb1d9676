//! The credentials of Google Cloud: [`GoogleCredential`].

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use http::Uri;
use ring::{
    digest::{SHA256, digest},
    signature::RsaKeyPair,
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::SecretString;
use serde::Deserialize;

/// The endpoint for tokens of a file that names none.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// The host of the metadata server of Google's machines.
pub(super) const METADATA_HOST: &str = "metadata.google.internal";

/// The path of a token at the metadata server.
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// A credential by which Google's token endpoint issues access tokens. Equal credentials share their tokens.
#[derive(Clone)]
pub struct GoogleCredential {
    /// The URL of the endpoint.
    pub token_uri: Uri,
    /// The proof that the endpoint accepts.
    pub grant: GoogleGrant,
    /// `project_id`, or `quota_project_id` of a user: the project, if the credential states one.
    pub project: Option<Arc<str>>,
    /// The SHA-256 of the text that the credential was read from.
    digest: [u8; 32],
}

/// A proof that Google's token endpoint accepts.
#[derive(Clone)]
pub enum GoogleGrant {
    /// A text signed by the key of a service account.
    ServiceAccount {
        /// `client_email`.
        email: Arc<str>,
        /// `private_key_id`.
        key_id: Option<Arc<str>>,
        /// `private_key`.
        key: Arc<RsaKeyPair>,
    },
    /// The login of a user, by `gcloud auth application-default login`.
    User {
        /// `client_id`.
        client_id: Arc<str>,
        /// `client_secret`.
        client_secret: SecretString,
        /// `refresh_token`.
        refresh_token: SecretString,
    },
    /// The metadata server of the machine, which needs none.
    Metadata,
}

/// The reason why a credential cannot be used. It contains nothing of the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadCredential {
    Json,
    Kind,
    PrivateKey,
    TokenUri,
}

impl fmt::Display for BadCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "is no JSON of a Google credential, or a member of it is missing",
            Self::Kind => "has a `type` that is not supported: `service_account` and `authorized_user` are",
            Self::PrivateKey => "has a `private_key` that is no RSA key in PEM form",
            Self::TokenUri => "has a `token_uri` that is no https URL",
        })
    }
}

/// A file with a credential, as Google issues it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount {
        client_email: String,
        private_key: String,
        private_key_id: Option<String>,
        project_id: Option<String>,
        token_uri: Option<String>,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: String,
        refresh_token: String,
        quota_project_id: Option<String>,
        token_uri: Option<String>,
    },
    #[serde(other)]
    Other,
}

impl GoogleCredential {
    /// Reads the JSON of a credential.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub(crate) fn parse(json: &str) -> Result<Self, BadCredential> {
        let (grant, token_uri, project) = match serde_json::from_str(json) {
            Ok(File::ServiceAccount { client_email, private_key, private_key_id, project_id, token_uri }) => {
                let grant = GoogleGrant::ServiceAccount {
                    email: client_email.into(),
                    key_id: private_key_id.map(Into::into),
                    key: Arc::new(private_key_of(&private_key)?),
                };
                (grant, token_uri, project_id)
            }
            Ok(File::AuthorizedUser {
                client_id,
                client_secret,
                refresh_token,
                quota_project_id,
                token_uri,
            }) => {
                let grant = GoogleGrant::User {
                    client_id: client_id.into(),
                    client_secret: client_secret.into(),
                    refresh_token: refresh_token.into(),
                };
                (grant, token_uri, quota_project_id)
            }
            Ok(File::Other) => return Err(BadCredential::Kind),
            Err(_) => return Err(BadCredential::Json),
        };
        let token_uri = token_uri.as_deref().unwrap_or(TOKEN_URI).parse().ok().filter(is_private);
        let token_uri = token_uri.ok_or(BadCredential::TokenUri)?;
        Ok(Self { token_uri, grant, project: project.map(Into::into), digest: hash(json) })
    }

    /// Returns the credential of a machine whose metadata server has this host, or none if it is no host.
    pub(super) fn of_machine(host: &str) -> Option<Self> {
        let token_uri: Uri = format!("http://{host}{METADATA_PATH}").parse().ok()?;
        (token_uri.authority()?.as_str() == host).then(|| Self {
            token_uri,
            grant: GoogleGrant::Metadata,
            project: None,
            digest: hash(host),
        })
    }
}

/// Returns true for a URL that nobody on the way can read: https, or an address of this machine.
fn is_private(uri: &Uri) -> bool {
    let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    is_plain
        && match uri.scheme_str() {
            Some("https") => true,
            Some("http") => uri.host() == Some("127.0.0.1"),
            _ => false,
        }
}

fn private_key_of(pem: &str) -> Result<RsaKeyPair, BadCredential> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadCredential::PrivateKey)?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(BadCredential::PrivateKey),
    };
    pair.map_err(|_| BadCredential::PrivateKey)
}

fn hash(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}

impl PartialEq for GoogleCredential {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for GoogleCredential {}

impl Hash for GoogleCredential {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

/// Prints nothing of the credential.
impl fmt::Debug for GoogleCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GoogleCredential")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A key that was made for tests.
    const KEY: &str = include_str!("../../tests/data/google_key.pem");

    fn account() -> Value {
        json!({"type": "service_account", "project_id": "p-1", "private_key_id": "kid", "private_key": KEY,
            "client_email": "me@p-1.iam.gserviceaccount.com", "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token"})
    }

    fn changed(name: &str, value: Value) -> Result<GoogleCredential, BadCredential> {
        let mut file = account();
        file[name] = value;
        GoogleCredential::parse(&file.to_string())
    }

    #[test]
    fn a_service_account_has_its_key_its_project_and_its_endpoint() {
        let credential = GoogleCredential::parse(&account().to_string()).unwrap();
        assert_eq!(
            (credential.project.as_deref(), credential.token_uri.host()),
            (Some("p-1"), Some("oauth2.googleapis.com"))
        );
        let GoogleGrant::ServiceAccount { email, key_id, key } = &credential.grant else {
            panic!("another grant")
        };
        assert_eq!((&**email, key_id.as_deref()), ("me@p-1.iam.gserviceaccount.com", Some("kid")));
        assert_eq!(key.public().modulus_len(), 256);
        assert_eq!(changed("token_uri", Value::Null).unwrap().token_uri, TOKEN_URI);
        assert_eq!(format!("{credential:?}"), "GoogleCredential");
    }

    #[test]
    fn credentials_of_the_same_text_are_equal_and_of_another_are_not() {
        let one = GoogleCredential::parse(&account().to_string()).unwrap();
        assert!(one == GoogleCredential::parse(&account().to_string()).unwrap());
        assert!(one != changed("project_id", "p-2".into()).unwrap());
        assert!(GoogleCredential::of_machine("h") != GoogleCredential::of_machine("h:1"));
    }

    #[test]
    fn the_login_of_a_user_has_a_refresh_token() {
        let file = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
            "quota_project_id": "q"});
        let credential = GoogleCredential::parse(&file.to_string()).unwrap();
        assert!(matches!(credential.grant, GoogleGrant::User { .. }));
        assert_eq!(
            (credential.project.as_deref(), credential.token_uri),
            (Some("q"), TOKEN_URI.parse().unwrap())
        );
    }

    #[test]
    fn a_credential_that_cannot_be_used_has_a_reason() {
        for (name, value, reason) in [
            ("type", json!("external_account"), BadCredential::Kind),
            ("type", Value::Null, BadCredential::Json),
            ("client_email", Value::Null, BadCredential::Json),
            ("private_key", json!("x"), BadCredential::PrivateKey),
            (
                "private_key",
                json!("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
                BadCredential::PrivateKey,
            ),
            ("token_uri", json!("http://oauth2.googleapis.com/token"), BadCredential::TokenUri),
            ("token_uri", json!("https://me:secret@h/token"), BadCredential::TokenUri),
            ("token_uri", json!("/token"), BadCredential::TokenUri),
        ] {
            assert_eq!(changed(name, value.clone()).unwrap_err(), reason, "{name}: {value}");
        }
        assert!(changed("token_uri", "http://127.0.0.1:9/token".into()).is_ok());
        assert_eq!(GoogleCredential::parse("{").unwrap_err(), BadCredential::Json);
    }

    #[test]
    fn the_host_of_a_metadata_server_is_checked() {
        let uri =
            |host| GoogleCredential::of_machine(host).map(|credential| credential.token_uri.to_string());
        assert_eq!(
            uri("h:8080").as_deref(),
            Some("http://h:8080/computeMetadata/v1/instance/service-accounts/default/token")
        );
        for bad in ["", "h/x", "a b", "h?x"] {
            assert_eq!(uri(bad), None, "{bad}");
        }
    }
}
