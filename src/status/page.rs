//! The status page: the [files](File) that a browser loads. They contain no data, and are served without a key.

use http::{HeaderMap, HeaderName, HeaderValue, Response as HttpResponse, header};

use crate::{body::Body, request::Response};

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// The document.
    Page,
    /// The style sheet.
    Style,
    /// The script, which polls the data.
    Script,
    /// The icon.
    Icon,
}

/// The headers of all files. The page loads nothing from elsewhere, and is not shown in a frame.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // A new version has the same names.
    (header::CACHE_CONTROL, "no-cache"),
];

impl File {
    /// Returns the response with this file.
    pub(crate) fn response(self) -> Response {
        let (kind, text) = self.content();
        let mut response = HttpResponse::new(Body::full(text));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response.into()
    }

    /// Returns the content type and the text.
    const fn content(self) -> (&'static str, &'static str) {
        match self {
            Self::Page => ("text/html; charset=utf-8", include_str!("page/index.html")),
            Self::Style => ("text/css; charset=utf-8", include_str!("page/style.css")),
            Self::Script => ("text/javascript; charset=utf-8", include_str!("page/script.js")),
            Self::Icon => ("image/svg+xml", include_str!("page/icon.svg")),
        }
    }
}

/// Returns true if a client prefers a page to JSON: a browser.
pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [File; 4] = [File::Page, File::Style, File::Script, File::Icon];

    #[test]
    fn the_page_has_at_most_60_kilobytes() {
        let size: usize = FILES.iter().map(|file| file.content().1.len()).sum();
        assert!(size <= 60 * 1024, "{size} bytes");
    }

    #[test]
    fn the_page_has_no_inline_script_or_style_and_names_no_other_host() {
        let (_, page) = File::Page.content();
        for banned in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(banned), "{banned}");
        }
        assert_eq!(page.matches("<script").count(), page.matches("<script src=\"status/").count());
        let namespaces = ["http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"];
        for (_, text) in FILES.map(File::content) {
            let text = namespaces.iter().fold(text.to_owned(), |text, namespace| text.replace(namespace, ""));
            assert!(!text.contains("://"), "{text}");
        }
    }

    #[test]
    fn a_browser_gets_the_page_and_other_clients_do_not() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json, text/html;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(accepts_html(&headers), expected, "{accept}");
        }
        assert!(!accepts_html(&HeaderMap::new()));
    }
}
