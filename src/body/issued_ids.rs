//! The replacement of an upstream's ids of responses by those that the gateway issues: [`IdIssuer`].
//!
//! A response has the id in `id`, that of the earlier response in `previous_response_id`, and an event has the response in
//! `response`. All other bytes stay.

use std::{borrow::Cow, ops::Range, sync::Arc};

use bytes::Bytes;
use simdutf8::basic::from_utf8;

use super::watch::plain;
use crate::{
    config::IdKey,
    issued_id::{DeploymentKey, IssuedId},
    json::Cursor,
};

/// The members with an id.
const IDS: [&[u8]; 2] = [b"id", b"previous_response_id"];

/// Issues the ids of the responses of one deployment.
#[derive(Clone, Debug)]
pub(crate) struct IdIssuer {
    key: IdKey,
    deployment: DeploymentKey,
}

impl IdIssuer {
    /// Returns the issuer of a deployment's ids.
    pub(crate) const fn new(key: IdKey, deployment: DeploymentKey) -> Self {
        Self { key, deployment }
    }

    /// Returns a complete response to a call of `model` with issued ids. A text that is not a response stays as it is.
    pub(crate) fn response(&self, model: &Arc<str>, json: Bytes) -> Bytes {
        let places = from_utf8(&json).ok().and_then(|text| places(text, false)).unwrap_or_default();
        if places.is_empty() { json } else { self.replaced(model, &json, &places).into() }
    }

    /// Returns the data of an event of a response to a call of `model` with issued ids. Returns none for an event without any.
    pub(super) fn event(&self, model: &Arc<str>, json: &[u8]) -> Option<Vec<u8>> {
        let places = places(from_utf8(json).ok()?, true)?;
        (!places.is_empty()).then(|| self.replaced(model, json, &places))
    }

    fn replaced(&self, model: &Arc<str>, json: &[u8], places: &[Range<usize>]) -> Vec<u8> {
        let mut written = Vec::with_capacity(json.len() + 128 * places.len());
        let mut from = 0;
        for place in places {
            written.extend_from_slice(&json[from..place.start]);
            from = place.end;
            match serde_json::from_slice::<Cow<'_, str>>(&json[place.clone()]) {
                Ok(id) => {
                    let upstream = Arc::from(&*id);
                    let issued = IssuedId { deployment: self.deployment, model: Arc::clone(model), upstream };
                    written.push(b'"');
                    written.extend_from_slice(issued.encode(&self.key).as_bytes());
                    written.push(b'"');
                }
                // Half a surrogate pair, which no id contains.
                Err(_) => written.extend_from_slice(&json[place.clone()]),
            }
        }
        written.extend_from_slice(&json[from..]);
        written
    }
}

/// Returns the places of the ids in a response, or in the response of an event, in order. Returns none for invalid JSON.
fn places(text: &str, in_event: bool) -> Option<Vec<Range<usize>>> {
    let (mut cursor, mut places) = (Cursor::new(text), Vec::new());
    cursor.object(|cursor, key| match plain(key).unwrap_or_default() {
        b"response" if in_event && cursor.peek()? == b'{' => {
            cursor.object(|cursor, key| member(cursor, plain(key).unwrap_or_default(), &mut places))
        }
        name if !in_event => member(cursor, name, &mut places),
        _ => cursor.value(),
    })?;
    cursor.end()?;
    Some(places)
}

/// Skips the value of a member, and notes its place if it is an id.
fn member(cursor: &mut Cursor<'_>, name: &[u8], places: &mut Vec<Range<usize>>) -> Option<()> {
    let is_id = IDS.contains(&name) && cursor.peek()? == b'"';
    let from = cursor.at();
    cursor.value()?;
    if is_id {
        places.push(from..cursor.at());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;

    fn issuer() -> (IdIssuer, IdKey) {
        let yaml = "model_list: [{model_name: m, litellm_params: {model: gpt-4o, api_key: k}}]";
        let (config, _) = Config::from_yaml(yaml, "", &|_| None).unwrap();
        let key = config.settings.id_key;
        (IdIssuer::new(key.clone(), DeploymentKey::of(&config.groups[0].deployments[0])), key)
    }

    fn upstream_id(id: &Value) -> String {
        IssuedId::decode(&issuer().1, id.as_str().unwrap()).unwrap().upstream.to_string()
    }

    #[test]
    fn issued_ids_replace_those_of_a_response_and_no_other_byte() {
        let text = r#" { "object" : "response", "id":"re\u0073p_1","previous_response_id" :"resp_0", "output":[{"id":"msg_1"}],"x":{"id":"y"} } "#;
        let issued = issuer().0.response(&"m".into(), text.into());
        let value: Value = serde_json::from_slice(&issued).unwrap();
        assert_eq!(upstream_id(&value["id"]), "resp_1");
        assert_eq!(upstream_id(&value["previous_response_id"]), "resp_0");
        let back = String::from_utf8(issued.to_vec()).unwrap();
        let back = back.replace(value["id"].as_str().unwrap(), r"re\u0073p_1");
        assert_eq!(back.replace(value["previous_response_id"].as_str().unwrap(), "resp_0"), text);
        for other in
            ["{}", "[1]", r#"{"id":null,"previous_response_id":7}"#, "{\"id\":\"a\"", r#"{"id":"\ud800"}"#]
        {
            assert_eq!(issuer().0.response(&"m".into(), other.into()), other);
        }
    }

    #[test]
    fn issued_ids_replace_those_in_the_response_of_an_event() {
        let event = json!({"type": "response.created", "id": "e", "response": {"id": "resp_1", "previous_response_id": null}});
        let issued = issuer().0.event(&"m".into(), event.to_string().as_bytes()).unwrap();
        let value: Value = serde_json::from_slice(&issued).unwrap();
        assert_eq!((&value["id"], upstream_id(&value["response"]["id"])), (&json!("e"), "resp_1".into()));
        for other in
            [r#"{"type":"response.output_text.delta","id":"a","delta":"x"}"#, r#"{"response":"a"}"#, "{"]
        {
            assert_eq!(issuer().0.event(&"m".into(), other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn issued_ids_leave_any_other_text_as_it_is(text in "[ {}\\[\\]\":,a\\\\0]{0,40}") {
            let issued = issuer().0.response(&"m".into(), Bytes::from(text.clone()));
            prop_assert!(!text.contains("\"id\"") && issued == text || text.contains("\"id\""));
        }
    }
}
