//! A request in `multipart/form-data`: its [`Form`], and the construction of an upstream's body.

use std::borrow::Cow;

use http::HeaderValue;
use serde_json::value::RawValue;

use super::{
    ParsedRequest, SplicedBody,
    splice::{Parameter, Splice, named},
};

/// The frame of a form: how its parts are separated.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// The content type, with the boundary.
    pub content_type: HeaderValue,
    /// The boundary.
    pub boundary: Box<str>,
}

impl ParsedRequest {
    /// Returns the body of a form for one deployment. `model` is the upstream's name of the model; `defaults` are added
    /// unless the request contains them.
    ///
    /// The parameters of a fallback replace the client's, and parts with settings for the gateway are cut. All else is slices
    /// of the original, as in [`payload`](Self::payload).
    ///
    /// # Panics
    ///
    /// Panics if `info` was not parsed from `bytes`.
    pub(crate) fn form_payload(&self, form: &Form, model: &str, defaults: &[Parameter]) -> SplicedBody {
        let (layout, replaced) = (&self.info.layout, self.replaced());
        let has = |name: &str| {
            let is_listed = |key: &str| key.strip_suffix("[]") == Some(name);
            layout.keys.iter().any(|(key, _)| key == name || is_listed(key))
        };
        let mut splice = Splice::new(&self.bytes, layout);
        for (name, range) in layout.keys.iter() {
            if name == "model" {
                splice.edit(range.clone(), model);
            } else if let Some(value) = named(replaced, name) {
                splice.edit(range.clone(), &text_of(value));
            }
        }
        let mut added = String::new();
        if !has("model") {
            form.add("model", model, &mut added);
        }
        let defaults = defaults.iter().filter(|(name, _)| named(replaced, name).is_none());
        for (name, value) in replaced.iter().chain(defaults).filter(|(name, _)| !has(name)) {
            form.add_value(name, value, &mut added);
        }
        splice.edit(layout.close..layout.close, &added);
        splice.finish()
    }
}

impl Form {
    /// Returns true if the name or a text of a parameter contains the boundary: an upstream could read more parts than the
    /// gateway.
    pub(crate) fn is_divided_by(&self, (name, value): &Parameter) -> bool {
        let list: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
        let texts = list.iter().map(|value| text_of(value.get())).chain([text_of(value)]);
        texts.chain([Cow::Borrowed(&**name)]).any(|text| text.contains(&*self.boundary))
    }

    /// Adds a parameter, which is JSON text: a part, or one for each value of a list, as OpenAI's clients do.
    fn add_value(&self, name: &str, value: &str, into: &mut String) {
        let list: Option<Vec<&RawValue>> = serde_json::from_str(value).ok();
        match list {
            Some(list) => {
                let name = format!("{name}[]");
                list.iter().for_each(|value| self.add(&name, &text_of(value.get()), into));
            }
            None => self.add(name, &text_of(value), into),
        }
    }

    fn add(&self, name: &str, text: &str, into: &mut String) {
        // As browsers and OpenAI's clients write it (HTML standard, section 4.10.22.7).
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        into.extend(["--", &self.boundary, "\r\nContent-Disposition: form-data; name=\"", &name]);
        into.extend(["\"\r\n\r\n", text, "\r\n"]);
    }
}

/// Returns the text of a JSON value in a form: that of a string, or the JSON itself.
fn text_of(value: &str) -> Cow<'_, str> {
    serde_json::from_str::<String>(value).map_or(Cow::Borrowed(value), Cow::Owned)
}
