//! Authentication of clients: a method of LiteLLM's that is not supported is an error only without a master key.

use secrecy::ExposeSecret;

use super::{PARAMS, read, read_with, summary};

#[test]
fn another_auth_method_is_a_warning_if_there_is_a_master_key() {
    let sections = "general_settings: {custom_auth: my_auth.check, master_key: tr0ub4dor}";
    let (config, warnings) = read(&format!("{PARAMS}\n{sections}\n"));
    assert!(config.master_key.is_some());
    assert!(warnings.contains("`custom_auth` is not supported yet"), "{warnings}");
}

#[test]
fn another_auth_method_that_is_off_is_ignored() {
    let (config, _) =
        read(&format!("{PARAMS}\ngeneral_settings: {{enable_jwt_auth: false, custom_auth:}}\n"));
    assert!(config.master_key.is_none());
}

#[test]
fn an_empty_master_key_of_the_environment_is_an_error() {
    let file = |more: &str| format!("{PARAMS}\n    api_key: k\n{more}\n");
    for value in ["", " ", "\n", "\t\r\n"] {
        let errors = read_with(&file(""), &[("LITELLM_MASTER_KEY", value)]).unwrap_err().to_string();
        assert!(errors.contains("the environment variable `LITELLM_MASTER_KEY` is empty"), "{errors}");
    }
    for section in ["{LITELLM_MASTER_KEY: ''}", "{LITELLM_MASTER_KEY: ' '}", "{LITELLM_MASTER_KEY: }"] {
        let file = file(&format!("environment_variables: {section}"));
        assert!(read_with(&file, &[]).is_err(), "{section}");
    }
    let unset = file("general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}");
    assert!(read_with(&unset, &[("LITELLM_MASTER_KEY", "")]).is_err());
    let written = file("general_settings: {master_key: tr0ub4dor}");
    let (config, _) = read_with(&written, &[("LITELLM_MASTER_KEY", "")]).unwrap();
    assert!(config.master_key.is_some(), "the key of the file protects it");
}

#[test]
fn the_master_key_may_come_from_the_environment() {
    let file = |more: &str| format!("{PARAMS}\n{more}\n");
    let key = |more: &str, env: &[(&str, &str)]| {
        let (config, warnings) = read_with(&file(more), env).unwrap_or_else(|errors| panic!("{errors}"));
        let key = config.master_key.as_ref().map(|key| key.expose_secret().to_owned());
        assert_eq!(summary(&config).to_string().contains("clients must send the master key"), key.is_some());
        (key, warnings.to_string())
    };
    let env = [("LITELLM_MASTER_KEY", "tr0ub4dor"), ("OPENAI_API_KEY", "k")];
    assert_eq!(key("", &env), (Some("tr0ub4dor".to_owned()), String::new()));
    let inside = "environment_variables: {LITELLM_MASTER_KEY: inner}";
    assert_eq!(key(inside, &env).0.as_deref(), Some("inner"));
    assert_eq!(key("general_settings: {master_key: written}", &env).0.as_deref(), Some("written"));
    assert!(key("general_settings: {custom_auth: a.b}", &env).0.is_some(), "the master key protects it");
    assert!(key("", &[("LITELLM_MASTER_KEY", "sk-1234")]).1.contains("well-known"));
    assert!(read_with(&file("general_settings: {master_key:}"), &env).is_err(), "an empty key is an error");
}
