//! Credentials by which requests to AWS are signed: [`AwsCredentials`].

use std::hash::{Hash, Hasher};

use secrecy::{ExposeSecret, SecretString};

/// Credentials of AWS.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// `aws_access_key_id`.
    pub access_key_id: String,
    /// `aws_secret_access_key`.
    pub secret_access_key: SecretString,
    /// `aws_session_token`, which temporary credentials have.
    pub session_token: Option<SecretString>,
    /// The region for which requests are signed.
    pub region: String,
}

impl Hash for AwsCredentials {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let token = self.session_token.as_ref().map(ExposeSecret::expose_secret);
        (&self.access_key_id, self.secret_access_key.expose_secret(), token, &self.region).hash(state);
    }
}
