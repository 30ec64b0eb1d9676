//! The files in `deploy/`: each metric that the dashboard and the alert rules name is exposed.

use std::collections::BTreeSet;

use crate::support::{answers as say, case::Case};

const FILES: [(&str, &str); 2] = [
    ("grafana.json", include_str!("../../deploy/grafana.json")),
    ("alerts.yaml", include_str!("../../deploy/alerts.yaml")),
];

/// Returns the names of metrics in a text.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    words.filter(|word| ["tollgate_", "process_"].iter().any(|start| word.starts_with(start)))
}

/// Returns the names of the series that a text of metrics describes.
fn exposed(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            let endings: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            names.extend(endings.iter().map(|ending| format!("{name}{ending}")));
        }
    }
    names
}

#[tokio::test]
async fn the_metrics_of_dashboard_and_alert_rules_are_exposed() {
    let case = Case::of("m: a b; n: c").first("a").always("a", say::server_error());
    let world = case.settings("fallbacks: [{m: [n]}]").start().await;
    assert_eq!(world.ask().await.status, 200);
    let exposed = exposed(&world.gateway.get("/metrics").await.text());
    for (file, text) in FILES {
        let names: BTreeSet<_> = named(text).collect();
        assert!(names.len() > 10, "{file}: {names:?}");
        for name in names {
            assert!(exposed.contains(name), "{file}: {name} is not exposed: {exposed:?}");
        }
    }
}
