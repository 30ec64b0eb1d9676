//! Golden cases of prompts that are too long and of content that is refused, with cases that look alike.
//!
//! A case is a name behind `###`, its source (`source: owner/repository#issue`, a file of a server's code, or a page of
//! a provider's documentation), the status, headers, an empty line, the body, and behind `=>` the kind.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{error_details::ErrorDetails, kind_of, response};

pub(super) const CONTEXT_WINDOW: &str = include_str!("golden/context_window.http");
pub(super) const CONTENT_POLICY: &str = include_str!("golden/content_policy.http");
pub(super) const NEITHER: &str = include_str!("golden/neither.http");

pub(super) struct Case {
    name: &'static str,
    source: &'static str,
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: &'static str,
    kind: &'static str,
}

impl Case {
    fn parse(text: &'static str) -> Self {
        let (name, rest) = text.split_once("\nsource: ").unwrap_or_else(|| panic!("{text}: no source"));
        let (rest, kind) = rest.rsplit_once("\n=> ").unwrap_or_else(|| panic!("{name}: no kind"));
        let (head, body) = rest.split_once("\n\n").unwrap_or_else(|| panic!("{name}: no body"));
        let mut head = head.lines();
        let source = head.next().unwrap_or_default();
        let status = head.next().and_then(|status| status.parse().ok());
        let header = |line: &'static str| {
            let (name, value) = line.split_once(": ").expect("a header");
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Self {
            name,
            source,
            status: status.unwrap_or_else(|| panic!("{name}: no status")),
            headers: head.map(header).collect(),
            body,
            kind: kind.trim(),
        }
    }

    /// Returns what the classifier reads of the body and the headers.
    pub(super) fn details(&self) -> ErrorDetails {
        ErrorDetails::of_response(&self.headers, self.body.as_bytes())
    }
}

pub(super) fn cases(file: &'static str) -> Vec<Case> {
    file.split("### ").skip(1).map(Case::parse).collect()
}

#[test]
fn every_case_is_classified_as_what_it_is() {
    for (file, least) in [(CONTEXT_WINDOW, 60), (CONTENT_POLICY, 25), (NEITHER, 30)] {
        let cases = cases(file);
        assert!(cases.len() >= least, "{} cases", cases.len());
        let judged = cases.iter().map(|case| {
            (case, format!("{:?}", kind_of(&response(case.status, &case.headers, case.body.as_bytes()))))
        });
        let wrong: Vec<_> = judged
            .filter(|(case, kind)| kind != case.kind)
            .map(|(case, kind)| format!("{}: {kind}, not {}", case.name, case.kind))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn every_case_has_a_source_and_a_name_and_a_body_of_its_own() {
    let cases: Vec<_> = [CONTEXT_WINDOW, CONTENT_POLICY, NEITHER].into_iter().flat_map(cases).collect();
    for file in [CONTEXT_WINDOW, CONTENT_POLICY, NEITHER] {
        let mut names: Vec<_> = self::cases(file).into_iter().map(|case| case.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
    let mut bodies: Vec<_> = cases.iter().map(|case| (case.status, case.body)).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), cases.len());
    assert!(cases.iter().all(|case| case.source.len() > 3));
}

#[test]
fn the_cases_of_a_file_have_the_kinds_of_that_file() {
    assert!(cases(CONTEXT_WINDOW).iter().all(|case| case.kind == "ContextWindow"));
    assert!(cases(CONTENT_POLICY).iter().all(|case| case.kind == "ContentPolicy"));
    assert!(cases(NEITHER).iter().all(|case| !["ContextWindow", "ContentPolicy"].contains(&case.kind)));
}
