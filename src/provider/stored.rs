//! The URLs of operations on responses that are stored at a server with OpenAI's Responses.

use http::{Uri, uri::PathAndQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters of an id that a path cannot have.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the URL of an operation on the response with this id, for the URL of all responses. The path ends with `end`, and
/// `query` is added to that of the URL.
pub(super) fn uri(responses: &Uri, id: &str, end: &str, query: &str) -> Uri {
    let queries = [responses.query().unwrap_or_default(), query];
    let queries: Vec<_> = queries.into_iter().filter(|query| !query.is_empty()).collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    let path =
        format!("{}/{}{end}{mark}{}", responses.path(), utf8_percent_encode(id, ID), queries.join("&"));
    let mut parts = responses.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    // An encoded id is valid, and the queries come from URLs.
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_stored_responses_have_the_query_of_the_server_and_that_of_the_client() {
        for (responses, id, end, query, expected) in [
            ("/v1/responses", "resp_1", "", "", "/v1/responses/resp_1"),
            ("https://h/v1/responses", "a/b?", "/cancel", "", "https://h/v1/responses/a%2Fb%3F/cancel"),
            (
                "/r?api-version=1",
                "x",
                "/input_items",
                "limit=2&after=i",
                "/r/x/input_items?api-version=1&limit=2&after=i",
            ),
            ("/r", "x", "", "stream=true", "/r/x?stream=true"),
        ] {
            assert_eq!(uri(&responses.parse().unwrap(), id, end, query), expected);
        }
    }
}
