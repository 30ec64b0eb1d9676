//! The forms in which fallbacks may be written: in the configuration, in the body, for all, for none.

use serde_json::{Value, json};

use crate::support::{answers as say, case::Case};

/// A failing group and two to go to, none of them configured.
fn asked_with(more: Value) -> Case {
    Case::of("m: a; n: b; o: c").always("a", say::server_error()).settings("num_retries: 0").with(more)
}

#[tokio::test]
async fn default_fallbacks_serve_every_group_without_a_list() {
    let case = Case::of("m: a; n: b").always("a", say::server_error());
    case.settings("num_retries: 0, default_fallbacks: [n]").ask().await.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn no_fallback_answers_for_a_model_that_is_not_there() {
    let settings = "num_retries: 0, default_fallbacks: [n], context_window_fallbacks: [{\"*\": [n]}]";
    for more in [json!({"model": "nn"}), json!({"model": "nn", "fallbacks": ["n"]})] {
        let case = Case::of("m: a; n: b").settings(settings).with(more);
        case.ask().await.fails(404).contains("model_not_found").calls("a:0 b:0");
    }
}

#[tokio::test]
async fn a_star_in_fallbacks_is_default_fallbacks() {
    let case = Case::of("m: a; n: b").always("a", say::server_error());
    case.settings("num_retries: 0, fallbacks: [{\"*\": [n]}]").ask().await.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn the_fallback_list_of_a_group_precedes_default_fallbacks() {
    let case = Case::of("m: a; n: b; o: c").always("a", say::server_error());
    let asked = case.settings("num_retries: 0, default_fallbacks: [n], fallbacks: [{m: [o]}]").ask().await;
    asked.answered_by("c").calls("b:0");
}

#[tokio::test]
async fn a_fallback_list_in_router_settings_replaces_the_other_whole() {
    let case =
        Case::of("m: a; n: b; o: c").always("a", say::server_error()).settings("fallbacks: [{m: [n]}]");
    let asked = case.router("num_retries: 0, fallbacks: [{m: [o]}]").ask().await;
    asked.answered_by("c").calls("b:0");
}

#[tokio::test]
async fn a_request_may_set_fallbacks_as_a_map() {
    let asked = asked_with(json!({"fallbacks": [{"m": ["n"]}]})).ask().await;
    assert_eq!(asked.world.upstream("b").only().json().get("fallbacks"), None);
    asked.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn a_request_may_set_fallbacks_as_a_flat_list() {
    asked_with(json!({"fallbacks": ["o", "n"]})).ask().await.answered_by("c").calls("b:0").fallbacks(1);
}

#[tokio::test]
async fn a_flat_list_of_fallbacks_serves_every_kind_of_error() {
    let lists = "num_retries: 0, context_window_fallbacks: [{m: [o]}]";
    let case = Case::of("m: a; n: b; o: c").always("a", say::context_window()).settings(lists);
    case.with(json!({"fallbacks": ["n"]})).ask().await.answered_by("b").calls("c:0");
}

#[tokio::test]
async fn a_request_may_set_fallbacks_with_settings_of_their_own() {
    let other =
        json!([{"model": "n", "messages": [{"role": "user", "content": "shorter"}], "temperature": 0}]);
    let asked = asked_with(json!({"fallbacks": other, "temperature": 1, "top_p": 0.9})).ask().await;
    let sent = asked.world.upstream("b").only().json();
    assert_eq!(sent["messages"][0]["content"], "shorter");
    assert_eq!(
        (&sent["temperature"], &sent["top_p"], &sent["model"]),
        (&json!(0), &json!(0.9), &json!("b-model"))
    );
    asked.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn the_fallback_list_of_a_request_replaces_the_configured_one() {
    let case = Case::of("m: a; n: b; o: c").always("a", say::server_error());
    let case =
        case.settings("num_retries: 0, fallbacks: [{m: [n]}]").with(json!({"fallbacks": [{"m": ["o"]}]}));
    case.ask().await.answered_by("c").calls("b:0");
}

#[tokio::test]
async fn context_window_fallbacks_of_a_request_are_obeyed_and_cut_out() {
    let case =
        Case::of("m: a; n: b; o: c").always("a", say::context_window()).settings("fallbacks: [{m: [n]}]");
    let asked = case.with(json!({"context_window_fallbacks": [{"m": ["o"]}]})).ask().await;
    assert_eq!(asked.world.upstream("c").only().json().get("context_window_fallbacks"), None);
    asked.answered_by("c").calls("a:1 b:0");
}

#[tokio::test]
async fn a_null_in_the_request_switches_context_window_fallbacks_off() {
    let lists = "fallbacks: [{m: [n]}], context_window_fallbacks: [{m: [o]}]";
    let case = Case::of("m: a; n: b; o: c").always("a", say::context_window()).settings(lists);
    case.with(json!({"context_window_fallbacks": null})).ask().await.answered_by("b").calls("c:0");
}

#[tokio::test]
async fn content_policy_fallbacks_of_a_request_are_obeyed() {
    let case =
        Case::of("m: a; n: b; o: c").always("a", say::content_policy()).settings("fallbacks: [{m: [n]}]");
    case.with(json!({"content_policy_fallbacks": [{"m": ["o"]}]})).ask().await.answered_by("c").calls("b:0");
}

#[tokio::test]
async fn disable_fallbacks_disables_them() {
    let case = Case::of("m: a; n: b").always("a", say::server_error());
    let case =
        case.settings("num_retries: 0, fallbacks: [{m: [n]}]").with(json!({"disable_fallbacks": true}));
    let asked = case.ask().await.fails(500).calls("a:1 b:0").fallbacks(0);
    assert_eq!(asked.world.upstream("a").only().json().get("disable_fallbacks"), None);
}

#[tokio::test]
async fn a_fallback_may_be_the_id_of_a_deployment() {
    let case = Case::of("m: a; n: b c").always("a", say::server_error());
    case.settings("num_retries: 0")
        .with(json!({"fallbacks": ["c"]}))
        .ask()
        .await
        .answered_by("c")
        .calls("b:0");
}

#[tokio::test]
async fn an_unknown_fallback_in_a_request_is_refused_before_any_call() {
    for (list, more, near) in [
        ("fallbacks", json!(["n", "spare-grop"]), "`spare-group`"),
        ("fallbacks", json!([{"model": "nn", "temperature": 0}]), "GET /v1/models"),
        ("fallbacks", json!([{"m": ["spare-grop"]}]), "`spare-group`"),
        ("context_window_fallbacks", json!([{"*": ["spare-grop"]}]), "`spare-group`"),
        ("content_policy_fallbacks", json!([{"other": ["hushhush-1"]}]), "GET /v1/models"),
    ] {
        let case = Case::of("m: a; n: b; spare-group: c").always("a", say::server_error());
        let case = case.router("model_group_alias: {hushhush-2: {model: m, hidden: true}}");
        let asked = case.with(json!({list: more})).ask().await.calls("a:0 b:0 c:0");
        let error = asked.answer.error(400);
        assert_eq!((&error["param"], &error["code"]), (&json!(list), &json!("model_not_found")), "{more}");
        assert!(error["message"].as_str().unwrap().contains(near), "{error}");
    }
}

#[tokio::test]
async fn fallbacks_of_a_request_may_name_any_model_and_list_unknown_groups() {
    let case =
        || Case::of("m: a; n: b").always("a", say::server_error()).router("model_group_alias: {nn: n}");
    for name in ["n", "nn", "b"] {
        let lists = json!({"fallbacks": [{"m": [name]}, {"not-here": ["n"]}], "num_retries": 0});
        case().with(lists).ask().await.answered_by("b");
    }
}

#[tokio::test]
async fn num_retries_of_a_request_holds_for_each_fallback_group() {
    let case = Case::of("m: a b; n: c d").always("a b c d", say::server_error()).settings("num_retries: 0");
    let asked = case.with(json!({"num_retries": 1, "fallbacks": ["n"]})).ask().await;
    asked.fails(500).calls("a:1 b:1 c:1 d:1");
}
