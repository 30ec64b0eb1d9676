//! The tags of a request: [`RequestTags`].

/// The tags of a request, from the three places in which LiteLLM reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestTags {
    all: Vec<Box<str>>,
    /// True if the body has `tags`, which replace those of the header.
    in_body: bool,
}

impl RequestTags {
    /// Returns all tags.
    pub(crate) fn all(&self) -> &[Box<str>] {
        &self.all
    }

    /// Adds the value of `tags` of the body. Anything but a text or a list of texts is ignored.
    pub(crate) fn add_body(&mut self, json: &str) {
        self.in_body = true;
        self.add(&serde_json::from_str(json).unwrap_or_default());
    }

    /// Adds the `tags` in the value of `metadata`.
    pub(crate) fn add_metadata(&mut self, json: &str) {
        let metadata: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        self.add(&metadata["tags"]);
    }

    /// Adds the tags of a header, which commas separate.
    pub(crate) fn add_header(&mut self, text: &str) {
        if !self.in_body {
            let tags = text.split(',').map(str::trim).filter(|tag| !tag.is_empty());
            self.all.extend(tags.map(Box::from));
        }
    }

    fn add(&mut self, value: &serde_json::Value) {
        let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        self.all.extend(list.iter().filter_map(|tag| tag.as_str()).map(Box::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_the_body_replace_those_of_the_header_and_add_to_those_of_the_metadata() {
        let mut tags = RequestTags::default();
        tags.add_metadata(r#"{"tags": ["a", 1, "b"]}"#);
        tags.add_header("c, d,");
        assert_eq!(tags.all(), ["a", "b", "c", "d"].map(Box::from));
        let mut tags = RequestTags::default();
        tags.add_body(r#"["x"]"#);
        tags.add_header("c");
        assert_eq!(tags.all(), ["x"].map(Box::from));
        for odd in ["null", "{}", "3", r#"{"tags": {}}"#, "["] {
            let mut tags = RequestTags::default();
            tags.add_body(odd);
            tags.add_metadata(odd);
            assert_eq!(tags.all(), [""; 0].map(Box::from), "{odd}");
        }
    }
}
