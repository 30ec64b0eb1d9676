//! Who may call: a door of LiteLLM's that is not served is an error only where nothing else keeps callers out.

use super::{PARAMS, read};

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
