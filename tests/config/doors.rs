//! Who may call: a door of LiteLLM's that is not served is an error only where nothing else keeps callers out.

use secrecy::ExposeSecret;

use super::{PARAMS, read, read_with, summary};

#[test]
fn another_door_is_a_warning_where_there_is_a_master_key() {
    let sections = "general_settings: {custom_auth: my_auth.check, master_key: tr0ub4dor}";
    let (config, warnings) = read(&format!("{PARAMS}\n{sections}\n"));
    assert!(config.master_key.is_some());
    assert!(warnings.contains("`custom_auth` is not served yet"), "{warnings}");
}

#[test]
fn a_door_that_is_off_keeps_nobody_out() {
    let (config, _) =
        read(&format!("{PARAMS}\ngeneral_settings: {{enable_jwt_auth: false, custom_auth:}}\n"));
    assert!(config.master_key.is_none());
}

#[test]
fn a_key_that_stands_in_the_environment_alone_shuts_the_door_too() {
    let file = |more: &str| format!("{PARAMS}\n{more}\n");
    let key = |more: &str, env: &[(&str, &str)]| {
        let (config, warnings) = read_with(&file(more), env).unwrap_or_else(|errors| panic!("{errors}"));
        let key = config.master_key.as_ref().map(|key| key.expose_secret().to_owned());
        assert_eq!(summary(&config).to_string().contains("a master key is needed"), key.is_some());
        (key, warnings.to_string())
    };
    let env = [("LITELLM_MASTER_KEY", "tr0ub4dor"), ("OPENAI_API_KEY", "k")];
    assert_eq!(key("", &env), (Some("tr0ub4dor".to_owned()), String::new()));
    let inside = "environment_variables: {LITELLM_MASTER_KEY: inner}";
    assert_eq!(key(inside, &env).0.as_deref(), Some("inner"));
    assert_eq!(key("general_settings: {master_key: written}", &env).0.as_deref(), Some("written"));
    assert!(key("general_settings: {custom_auth: a.b}", &env).0.is_some(), "nothing is open");
    assert!(key("", &[("LITELLM_MASTER_KEY", "sk-1234")]).1.contains("well-known"));
    assert!(read_with(&file("general_settings: {master_key:}"), &env).is_err(), "an empty one is a slip");
}
