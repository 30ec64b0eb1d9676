//! What is not served is said, wherever it stands.

use super::{PARAMS, read};

#[test]
fn what_model_info_says_of_whom_it_serves_is_not_ignored_in_silence() {
    let info = |info: &str| read(&format!("{PARAMS}\n    api_key: k\n  model_info: {{{info}}}\n")).1;
    for said in ["blocked: true", "access_groups: [a]", "team_id: t"] {
        let (key, _) = said.split_once(':').unwrap();
        let warnings = info(said);
        assert!(warnings.contains(&format!("`{key}` is not served yet")), "{warnings}");
    }
    assert!(info("max_input_token: 8").contains("did you mean `max_input_tokens`?"));
    assert_eq!(info("blocked: false, mode: chat, base_model: gpt-4o, max_tokens: 7, team_id:"), "");
}
