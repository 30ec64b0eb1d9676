//! The ids of responses that the gateway gives out: [`IssuedId`].
//!
//! Such an id contains the deployment that has the response, so that a later request finds it without a store, also
//! at another replica and after a restart. It is `resp_` and, in base64url, a version, the key of the deployment, the name of
//! the model, the id at the upstream, and an authentication code. It contains no secret and no address.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::config::{Deployment, IdKey, KeyDigest};

/// The beginning of each id, as at OpenAI.
const PREFIX: &str = "resp_";

/// The version of the form. Another form gets another number.
const VERSION: u8 = 1;

/// The key of a deployment in ids: a hash of the key of its limits, which does not change with a limit or a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DeploymentKey(u64);

impl DeploymentKey {
    /// Returns the key of a deployment.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        Self(KeyDigest::of(deployment.limit_key.as_bytes()).prefix())
    }
}

/// The content of an id that the gateway has issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuedId {
    /// The deployment that has the response.
    pub deployment: DeploymentKey,
    /// The name of the model that was called.
    pub model: Arc<str>,
    /// The id at the upstream.
    pub upstream: Arc<str>,
}

impl IssuedId {
    /// Returns the id for clients. A name of more than 64 KB, which no group has, is shortened: the id then leads nowhere.
    pub(crate) fn encode(&self, key: &IdKey) -> String {
        let length = u16::try_from(self.model.len()).unwrap_or(u16::MAX);
        let mut message =
            Vec::with_capacity(IdKey::CODE_LENGTH + 16 + self.model.len() + self.upstream.len());
        message.push(VERSION);
        message.extend(self.deployment.0.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend_from_slice(&self.model.as_bytes()[..length.into()]);
        message.extend_from_slice(self.upstream.as_bytes());
        let sealed = key.seal(message);
        let mut id = String::with_capacity(PREFIX.len() + sealed.len() * 4 / 3 + 1);
        id.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(sealed, &mut id);
        id
    }

    /// Reads an id of a client. Returns none for an id that the gateway has not issued with this key.
    pub(crate) fn decode(key: &IdKey, id: &str) -> Option<Self> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(id.strip_prefix(PREFIX)?).ok()?;
        let (&VERSION, rest) = key.open(&sealed)?.split_first()? else { return None };
        let (deployment, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (model, upstream) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        Some(Self {
            deployment: DeploymentKey(u64::from_be_bytes(*deployment)),
            model: std::str::from_utf8(model).ok()?.into(),
            upstream: std::str::from_utf8(upstream).ok()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn key(general: &str) -> IdKey {
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: gpt-4o, api_key: k}}}}]\n{general}"
        );
        Config::from_yaml(&yaml, "", &|_| None).unwrap().0.settings.id_key
    }

    fn issued() -> IssuedId {
        IssuedId { deployment: DeploymentKey(7), model: "openai/gpt 5 é".into(), upstream: "resp_0a".into() }
    }

    #[test]
    fn an_issued_id_is_read_by_every_gateway_with_the_same_master_key() {
        for general in ["general_settings: {master_key: sk-1}", ""] {
            let id = issued().encode(&key(general));
            assert_eq!(IssuedId::decode(&key(general), &id), Some(issued()));
            assert!(
                id.starts_with("resp_")
                    && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                "{id}"
            );
        }
        let id = issued().encode(&key("general_settings: {master_key: sk-1}"));
        for other in ["general_settings: {master_key: sk-2}", ""] {
            assert_eq!(IssuedId::decode(&key(other), &id), None, "{other}");
        }
    }

    #[test]
    fn an_issued_id_that_was_changed_in_any_character_is_none() {
        let key = key("general_settings: {master_key: sk-1}");
        let id = issued().encode(&key);
        for at in 0..id.len() {
            for other in ["A", "B", "-", "=", ""] {
                let changed = format!("{}{other}{}", &id[..at], &id[at + 1..]);
                let decoded = IssuedId::decode(&key, &changed);
                assert_eq!(decoded.is_some(), changed == id, "{changed}");
            }
        }
        for other in ["", "resp_", "resp_1", &id[5..], &format!("{id}A"), "resp_AAAAAAAAAAA"] {
            assert_eq!(IssuedId::decode(&key, other), None, "{other}");
        }
    }
}
