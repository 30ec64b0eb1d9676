//! The golden table: responses of real providers, and their expected classification.
//!
//! `answers.http` contains responses with an error status, `events.http` errors inside of a 200, `named_events.http` the
//! data of events that only their name marks as errors. Each entry has a name after `###`, the status (responses only),
//! headers, an empty line, the body, and after `=>` the kind and the wait in milliseconds.

mod peeked;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tollgate_layers::Outcome;

use crate::classify::{event, failure, kind_of, response};

struct Row<'a> {
    name: &'a str,
    head: Vec<&'a str>,
    body: &'a str,
    wanted: String,
}

fn rows(file: &str) -> Vec<Row<'_>> {
    file.split("### ").skip(1).map(row).collect()
}

fn row(text: &str) -> Row<'_> {
    let (name, rest) = text.split_once('\n').expect("a name");
    let (rest, wanted) = rest.rsplit_once("\n=> ").unwrap_or_else(|| panic!("{name}: no verdict"));
    let headless = rest.strip_prefix('\n').map(|body| ("", body));
    let (head, body) = headless.or_else(|| rest.split_once("\n\n")).unwrap_or((rest, ""));
    let wanted = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
    Row { name, head: head.lines().filter(|line| !line.is_empty()).collect(), body, wanted }
}

fn headers(lines: &[&str]) -> HeaderMap {
    let pair = |line: &&str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
        (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
    };
    lines.iter().map(pair).collect()
}

fn verdict(outcome: &Outcome) -> String {
    assert_eq!(outcome.class(), kind_of(outcome).class());
    match outcome.retry_after() {
        Some(wait) => format!("{:?} {}", kind_of(outcome), wait.as_millis()),
        None => format!("{:?}", kind_of(outcome)),
    }
}

/// All rows with another classification than expected, so that one run shows all of them.
fn wrong(rows: &[Row<'_>], judge: impl Fn(&Row<'_>) -> String) -> Vec<String> {
    let judged = rows.iter().map(|row| (row, judge(row)));
    judged
        .filter(|(row, got)| *got != row.wanted)
        .map(|(row, got)| format!("{}: {got}, not {}", row.name, row.wanted))
        .collect()
}

#[test]
fn each_response_of_the_golden_table_has_its_expected_outcome() {
    let rows = rows(include_str!("answers.http"));
    assert!(rows.len() >= 170, "{} responses", rows.len());
    let wrong = wrong(&rows, |row| {
        let (status, head) = row.head.split_first().expect("a status");
        let status: StatusCode = status.parse().unwrap_or_else(|_| panic!("{}: no status", row.name));
        verdict(&response(status, &headers(head), row.body.as_bytes()))
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_error_inside_a_200_is_classified_as_the_golden_table_says() {
    let rows = rows(include_str!("events.http"));
    assert!(rows.len() >= 30, "{} events", rows.len());
    let wrong = wrong(&rows, |row| {
        event(row.body.as_bytes(), &headers(&row.head))
            .map_or_else(|| "nothing".into(), |outcome| verdict(&outcome))
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_event_that_is_named_an_error_is_classified_as_the_golden_table_says() {
    let rows = rows(include_str!("named_events.http"));
    let wrong = wrong(&rows, |row| {
        failure(row.body.as_bytes(), &headers(&row.head))
            .map_or_else(|| "nothing".into(), |outcome| verdict(&outcome))
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
    for silent in ["{}", "null", "", r#"{"status":"ok"}"#, r#"{"choices":[]}"#] {
        assert_eq!(failure(silent.as_bytes(), &HeaderMap::new()), None, "{silent}");
    }
}

#[test]
fn names_of_the_golden_table_are_unique() {
    for file in [include_str!("answers.http"), include_str!("events.http"), include_str!("named_events.http")]
    {
        let mut names: Vec<_> = rows(file).into_iter().map(|row| row.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
