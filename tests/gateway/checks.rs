//! The output of `--check`, as people read it: each file of `tests/data/checks` with the text that belongs to it.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::gateway::{command, run};
use crate::support::soon;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/checks"))
}

/// Returns the names of the files, without their extension.
fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_output_of_a_check_is_the_text_beside_the_file() {
    let names = names();
    assert!(names.len() >= 15);
    let mut wrong = String::new();
    for name in names {
        let mut command = command();
        command.current_dir(folder()).args(["--check", "-c", &format!("{name}.yaml")]);
        let output = soon("the end of the check", command.output()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let printed = format!("{}---\n{}", text(output.stderr), text(output.stdout));
        let expected = std::fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap_or_default();
        if printed != expected {
            wrong += &format!("=== {name}\n{printed}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn a_check_as_json_has_every_diagnostic_and_the_verdict() {
    for name in names() {
        let path = folder().join(format!("{name}.yaml"));
        let path = path.to_str().unwrap();
        let (plain, json) =
            (run(["-c", path, "--check"]).await, run(["-c", path, "--check", "--json"]).await);
        assert_eq!((json.code, &*json.stderr), (plain.code, ""), "{name}");
        let report: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(report["verdict"].as_str(), plain.stdout.lines().last(), "{name}");
        assert_eq!(report["starts"], Value::Bool(json.code == Some(0)), "{name}");
        for (list, count) in [("errors", "errors"), ("left_out", "left_out")] {
            assert_eq!(
                report[list].as_array().map(Vec::len).map(Value::from),
                Some(report["counts"][count].clone())
            );
        }
        let warnings = report["warnings"].as_array().unwrap();
        for entry in warnings.iter().chain(report["errors"].as_array().unwrap()) {
            let message = entry["message"].as_str().unwrap();
            assert!(plain.stderr.contains(message) && entry["line"].is_u64(), "{name}: {message}");
        }
        assert_eq!(report["config"].is_null(), !report["errors"].as_array().unwrap().is_empty(), "{name}");
    }
    let missing = run(["-c", "/no/such/file.yaml", "--check", "--json"]).await;
    let report: Value = serde_json::from_str(&missing.stdout).unwrap();
    assert_eq!((missing.code, report["starts"].as_bool()), (Some(78), Some(false)));
}

#[tokio::test]
async fn the_schema_is_printed() {
    let printed = run(["schema"]).await;
    let schema: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(printed.code, Some(0));
    assert!(schema["properties"]["model_list"].is_object());
}
