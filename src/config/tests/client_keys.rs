//! `general_settings.keys`: what a key of clients may contain, and the errors of one that is not valid.

use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{PARAMS, errors_of, read, read_with, summary};
use crate::config::{BudgetLimit, BudgetPeriod, Config, Diagnostics, KeyDigest};

/// Returns a file with these entries of `keys`, as lines of YAML.
fn file(entries: &str) -> String {
    format!("{PARAMS}\n    api_key: k\ngeneral_settings:\n  master_key: tr0ub4dor\n  keys:\n{entries}\n")
}

#[test]
fn a_client_key_has_a_name_a_key_and_limits() {
    let yaml = file(
        "    - {name: one, key: os.environ/ONE, models: [m, 'gpt-*'], rpm_limit: 60, tpm_limit: '1000', \
         max_parallel_requests: 8, expires: 2027-01-31, max_budget: 2.5, budget_duration: 30d}\n    \
         - {name: two, key_sha256: 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08}\n    \
         - {name: three, key: third, models: [all-proxy-models]}",
    );
    let (config, warnings) = read_with(&yaml, &[("ONE", "first\n")]).unwrap();
    let [one, two, three] = &config.keys[..] else { panic!("{:?}", config.keys) };
    assert!(one.digest == KeyDigest::of(b"first") && two.digest == KeyDigest::of(b"test"));
    assert_eq!((&*one.name, one.rpm_limit, one.tpm_limit), ("one", Some(60), Some(1000)));
    assert_eq!((one.max_parallel_requests, one.models.len()), (Some(8), 2));
    assert_eq!(one.expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_801_353_600)));
    assert_eq!((two.rpm_limit, two.expires, two.models.len(), three.models.len()), (None, None, 0, 0));
    assert_eq!(one.budget, Some(BudgetLimit { max: 2.5, period: Some(BudgetPeriod::Months(1)) }));
    assert!(config.settings.needs_usage);
    let warnings = warnings.to_string();
    assert!(warnings.contains("there is no group `gpt-*`: the key cannot call it"), "{warnings}");
    let summary = summary(&config).to_string();
    assert!(summary.contains("key one  rpm 60  tpm 1000  parallel 8  calls m, gpt-*\n"), "{summary}");
    assert!(summary.contains("key two  calls every group\n"), "{summary}");
    assert!(summary.contains("clients must send a key of their own or the master key\n"), "{summary}");
}

#[test]
fn an_invalid_client_key_is_an_error_that_states_what_to_do() {
    for (entries, message, help) in [
        ("    - {key: a}", "the key has no `name`", "logs and metrics show the name"),
        ("    - {name: a}", "the entry has neither `key` nor `key_sha256`", "write `key: os.environ/NAME`"),
        ("    - {name: a, key: b, key_sha256: c}", "the key has both", "remove one of the two"),
        ("    - {name: a, key_sha256: abc}", "must be the SHA-256 of the key in 64 hexadecimal digits", ""),
        ("    - {name: a, key: os.environ/A_KEY}", "the environment variable `A_KEY` is not set", ""),
        ("    - {name: a, key: 123}", "`key` must be a string", "put it in quotes"),
        ("    - {name: a, key: b, expires: tomorrow}", "`expires` must be a date such as 2027-01-31", ""),
        ("    - {name: a, key: b, rpm_limit: 0}", "`rpm_limit` must be a whole number of at least 1", ""),
        ("    - {name: a, key: b}\n    - {name: a, key: c}", "two keys have the name `a`", "choose another"),
        ("    - {name: a, key: b}\n    - {name: c, key: b}", "this key is also that of `a`", "its own key"),
        ("    - {name: a, key: b, max_budget: -1}", "`max_budget` must be a number of at least 0", ""),
        (
            "    - {name: a, key: b, max_budget: 1, budget_duration: 1y}",
            "a number with a unit, such as 12h",
            "",
        ),
        (
            "    - {name: a, key: b, budget_duration: 1d}",
            "has no effect without a `max_budget`",
            "in dollars",
        ),
        ("    - tr0ub4dor", "an entry of `keys` must be a map of keys, found a string", ""),
    ] {
        let errors = errors_of(&file(entries), &[]).to_string();
        assert!(errors.contains(message) && errors.contains(help), "{entries}: {errors}");
        assert!(errors.contains("config.yaml:9") || errors.contains("config.yaml:10"), "{errors}");
        assert!(!errors.contains("tr0ub4dor"), "{errors}");
    }
}

#[test]
fn an_unknown_key_of_a_client_key_draws_a_warning_with_its_likely_meaning() {
    for (key, meant) in
        [("key_alias", "name"), ("rpm", "rpm_limit"), ("token", "key_sha256"), ("duration", "expires")]
    {
        let (_, warnings) = read(&file(&format!("    - {{name: a, key: b, {key}: 7}}")));
        assert!(warnings.contains(&format!("unknown key `{key}` in an entry of `keys`")), "{warnings}");
        assert!(warnings.contains(&format!("did you mean `{meant}`?")), "{warnings}");
    }
}

#[test]
fn an_empty_list_of_client_keys_does_not_open_the_gateway() {
    for list in ["[]", ""] {
        let file = format!("{PARAMS}\n    api_key: k\ngeneral_settings: {{keys: {list}}}\n");
        let errors = errors_of(&file, &[]).to_string();
        assert!(
            errors.contains("`keys` lists no key, and without a `master_key` every client may call"),
            "{errors}"
        );
    }
    let yaml = format!("{PARAMS}\n    api_key: k\ngeneral_settings: {{keys: [{{name: a, key: b}}]}}\n");
    let (config, warnings) = read(&yaml);
    assert!(!config.is_open() && warnings.contains("no request may read `/metrics`"), "{warnings}");
}

/// Reads a configuration in `/etc/main.yaml` that names the file of keys `clients/keys.yaml` with this content.
fn with_key_file(content: Option<&str>) -> Result<(Config, Diagnostics), Diagnostics> {
    let main = format!("{PARAMS}\n    api_key: k\ngeneral_settings: {{keys: ./clients/keys.yaml}}\n");
    let env = |name: &str| (name == "ONE").then(|| "first".to_owned());
    let open = |path: &Path| {
        assert_eq!(path, Path::new("/etc/clients/keys.yaml"));
        content.map(str::to_owned).ok_or(io::ErrorKind::NotFound.into())
    };
    Config::from_files(("/etc/main.yaml", &main), &env, &open)
}

#[test]
fn client_keys_may_stand_in_a_file_of_their_own() {
    let (config, _) =
        with_key_file(Some("- name: one\n  key: os.environ/ONE\n- {name: two, key: second}\n")).unwrap();
    assert_eq!(config.keys.len(), 2);
    assert!(config.keys[0].digest == KeyDigest::of(b"first"));
}

#[test]
fn an_invalid_file_of_client_keys_is_an_error_in_its_line_without_its_keys() {
    for (content, place, message) in [
        (None, "/etc/main.yaml:6", "the file of keys `/etc/clients/keys.yaml` cannot be read: "),
        (Some("- name: one\n- c4n4ry"), "/etc/clients/keys.yaml:1", "has neither `key` nor `key_sha256`"),
        (Some("- name: one\n- c4n4ry"), "/etc/clients/keys.yaml:2", "must be a map of keys, found a string"),
        (Some("c4n4ry: 1"), "/etc/main.yaml:6", "keys.yaml` must be a list of entries, found a map"),
        (Some("c4n4ry"), "/etc/main.yaml:6", "keys.yaml` must be a list of entries, found a string"),
        (Some("- key: c4n4ry\n  name: ["), "/etc/clients/keys.yaml:2", "invalid YAML"),
        (Some("- {name: a, key: c4n4ry, expires: c4n4ry c}"), "/etc/clients/keys.yaml:1", "must be a date"),
        (Some(""), "/etc/main.yaml:6", "`keys` lists no key"),
    ] {
        let errors = with_key_file(content).unwrap_err().to_string();
        assert!(errors.contains(place) && errors.contains(message), "{content:?}: {errors}");
        assert!(!errors.contains("c4n4ry"), "{errors}");
    }
}
