//! Fallback and ContextWindowFallback: other groups, after this one has done all it could.

use serde_json::json;

use crate::support::{
    answers as say,
    case::{Case, hangs_up},
    reply::{Part, Reply},
};

/// A group that always fails, and one to go to.
fn two() -> Case {
    Case::of("m: a; n: b").always("a", say::server_error())
}

#[tokio::test]
async fn a_fallback_group_answers_when_the_first_cannot() {
    let asked = two().settings("num_retries: 1, fallbacks: [{m: [n]}]").ask().await;
    asked.answered_by("b").calls("a:2 b:1").fallbacks(1).header("x-litellm-model-group", "n");
}

#[tokio::test]
async fn a_fallback_group_is_asked_for_its_own_model() {
    let asked = two().settings("num_retries: 0, fallbacks: [{m: [n]}]").ask().await;
    assert_eq!(asked.world.upstream("b").only().json()["model"], "b-model");
    assert_eq!(asked.world.upstream("a").only().json()["model"], "a-model");
}

#[tokio::test]
async fn each_kind_of_failure_falls_back() {
    let failures = [
        say::bad_request(),
        say::unauthorized(),
        say::forbidden(),
        say::not_found(),
        say::rate_limited("60"),
        say::server_error(),
        say::bad_gateway(),
        hangs_up(),
        say::context_window(),
        say::content_policy(),
    ];
    for failure in failures {
        let case =
            Case::of("m: a; n: b").always("a", failure).settings("num_retries: 0, fallbacks: [{m: [n]}]");
        case.ask().await.answered_by("b").calls("a:1 b:1").fallbacks(1);
    }
}

#[tokio::test]
async fn a_timeout_falls_back_too() {
    let case = Case::of("m: a; n: b").always("a", say::silence()).patient("b");
    let asked = case.settings("num_retries: 0, request_timeout: 0.2, fallbacks: [{m: [n]}]").ask().await;
    asked.answered_by("b").fallbacks(1).took(180, 900);
}

#[tokio::test]
async fn a_dead_port_falls_back_too() {
    let case = Case::of("m: a; n: b").refuses("a").settings("num_retries: 0, fallbacks: [{m: [n]}]");
    case.ask().await.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn each_fallback_group_has_its_own_retries() {
    let case = Case::of("m: a b; n: c d; o: e").always("a b c d", say::server_error());
    let asked = case.settings("num_retries: 1, fallbacks: [{m: [n, o]}]").ask().await;
    asked.answered_by("e").calls("a:1 b:1 c:1 d:1 e:1").fallbacks(2);
}

#[tokio::test]
async fn a_fallback_list_is_walked_in_its_order() {
    let case = Case::of("m: a; n: b; o: c; p: d").always("a b c", say::unavailable());
    let asked = case.settings("num_retries: 0, fallbacks: [{m: [o, n, p]}]").ask().await;
    asked.answered_by("d").in_order("a c b d").fallbacks(3);
}

#[tokio::test]
async fn a_fallback_has_fallbacks_of_its_own_which_come_first() {
    let case = Case::of("m: a; n: b; o: c; p: d").always("a b c", say::unavailable());
    let asked = case.settings("num_retries: 0, fallbacks: [{m: [n, p]}, {n: [o]}]").ask().await;
    asked.answered_by("d").in_order("a b c d");
}

#[tokio::test]
async fn a_cycle_of_fallbacks_ends_and_no_group_is_asked_twice() {
    let case = Case::of("m: a; n: b; o: c").always("a b c", say::unavailable());
    let asked = case.settings("num_retries: 0, fallbacks: [{m: [n]}, {n: [o]}, {o: [m, n]}]").ask().await;
    asked.status(503).in_order("a b c");
}

#[tokio::test]
async fn when_all_fallbacks_fail_the_error_of_the_first_group_is_shown() {
    let case = Case::of("m: a; n: b").always("a", say::unavailable()).always("b", say::server_error());
    let asked = case.settings("num_retries: 0, fallbacks: [{m: [n]}]").ask().await;
    asked.status(503).body(&say::unavailable()).calls("a:1 b:1").fallbacks(1);
}

#[tokio::test]
async fn a_chain_of_fallbacks_is_at_most_five_deep() {
    let case =
        Case::of("g0: a; g1: b; g2: c; g3: d; g4: e; g5: f; g6: g").always("a b c d e f", say::unavailable());
    let chain =
        "num_retries: 0, fallbacks: [{g0: [g1]}, {g1: [g2]}, {g2: [g3]}, {g3: [g4]}, {g4: [g5]}, {g5: [g6]}]";
    case.settings(chain).ask().await.status(503).in_order("a b c d e f").calls("g:0");
}

#[tokio::test]
async fn max_fallbacks_in_the_configuration_makes_it_shorter() {
    let case = Case::of("g0: a; g1: b; g2: c").always("a b", say::unavailable());
    let chain = "num_retries: 0, max_fallbacks: 1, fallbacks: [{g0: [g1]}, {g1: [g2]}]";
    case.settings(chain).ask().await.status(503).in_order("a b");
}

#[tokio::test]
async fn max_fallbacks_in_the_request_makes_it_shorter_or_longer() {
    let chain = "num_retries: 0, max_fallbacks: 1, fallbacks: [{g0: [g1]}, {g1: [g2]}]";
    let case = || Case::of("g0: a; g1: b; g2: c").always("a b", say::unavailable()).settings(chain);
    case().with(json!({"max_fallbacks": 2})).ask().await.answered_by("c").in_order("a b c");
    let none = case().with(json!({"max_fallbacks": 0})).ask().await.status(503).in_order("a");
    assert_eq!(none.world.upstream("a").only().json().get("max_fallbacks"), None);
}

#[tokio::test]
async fn a_context_window_error_goes_to_the_larger_group() {
    let case = Case::of("m: a a2; n: b; o: c").always("a a2", say::context_window());
    let asked = case.settings("fallbacks: [{m: [n]}], context_window_fallbacks: [{m: [o]}]").ask().await;
    asked.answered_by("c").together("a a2", 1).calls("b:0 c:1").fallbacks(1);
}

#[tokio::test]
async fn each_form_of_a_context_window_error_is_recognised() {
    let shapes = [
        say::context_window(),
        say::tgi_too_long(),
        say::error(
            400,
            "invalid_request_error",
            Some("context_length_exceeded"),
            "Your input is too big for us",
        ),
        say::error(400, "exceed_context_size_error", None, "the request exceeds the available context size"),
        say::error(400, "invalid_request_error", None, "prompt is too long: 210000 tokens > 200000 maximum"),
    ];
    for shape in shapes {
        let case = Case::of("m: a; n: b; o: c").always("a", shape);
        let asked = case.settings("fallbacks: [{m: [n]}], context_window_fallbacks: [{m: [o]}]").ask().await;
        asked.answered_by("c").calls("a:1 b:0 c:1");
    }
}

#[tokio::test]
async fn a_context_list_without_an_entry_shows_the_callers_error() {
    let case = Case::of("m: a; n: b; o: c").always("a", say::context_window());
    let asked = case.settings("fallbacks: [{m: [n]}], context_window_fallbacks: [{o: [n]}]").ask().await;
    asked.status(400).body(&say::context_window()).calls("a:1 b:0 c:0");
}

#[tokio::test]
async fn fallback_on_context_window_goes_on_to_the_ordinary_list() {
    let lists =
        "fallbacks: [{m: [n]}], context_window_fallbacks: [{o: [n]}], fallback_on_context_window: true";
    let case = Case::of("m: a; n: b; o: c").always("a", say::context_window());
    case.router(lists).ask().await.answered_by("b").calls("a:1 c:0");
}

#[tokio::test]
async fn an_outage_then_a_prompt_too_long_walks_both_fallback_lists() {
    let case =
        Case::of("m: a; n: b; o: c").always("a", say::unavailable()).always("b", say::context_window());
    let lists = "num_retries: 1, fallbacks: [{m: [n]}], context_window_fallbacks: [{m: [o]}, {n: [o]}]";
    case.settings(lists).ask().await.answered_by("c").in_order("a a b c").fallbacks(2);
}

#[tokio::test]
async fn a_content_policy_error_goes_to_content_policy_fallbacks() {
    for refusal in [say::content_policy(), say::azure_content_filter()] {
        let case = Case::of("m: a; n: b; o: c").always("a", refusal);
        let asked = case.settings("fallbacks: [{m: [n]}], content_policy_fallbacks: [{m: [o]}]").ask().await;
        asked.answered_by("c").calls("a:1 b:0 c:1");
    }
}

#[tokio::test]
async fn a_deployment_of_higher_order_serves_before_a_fallback_group() {
    let case = Case::of("m: a b; n: c")
        .params("a", "order: 1")
        .params("b", "order: 2")
        .always("a", say::unavailable());
    let asked = case.settings("num_retries: 1, fallbacks: [{m: [n]}]").ask().await;
    asked.answered_by("b").calls("c:0").fallbacks(0);
}

#[tokio::test]
async fn an_alias_falls_back_as_its_group_does() {
    let case = two().router("num_retries: 0, model_group_alias: {mine: m}, fallbacks: [{m: [n]}]");
    case.with(json!({"model": "mine"})).ask().await.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn a_fallback_list_may_be_written_for_an_alias() {
    let case = two().router("num_retries: 0, model_group_alias: {mine: m}, fallbacks: [{mine: [n]}]");
    case.with(json!({"model": "mine"})).ask().await.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn a_stream_falls_back_before_its_first_word() {
    let asked =
        two().settings("num_retries: 0, fallbacks: [{m: [n]}]").with(json!({"stream": true})).ask().await;
    asked.status(200).body(&say::stream(&["b"])).fallbacks(1);
}

/// A success whose only content is that a filter removed it.
pub(super) fn filtered(reason: &str) -> Reply {
    let message = json!({"role": "assistant", "content": null});
    Reply::json(
        200,
        &json!({"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}}),
    )
}

fn filtered_stream(first: Reply) -> Reply {
    first.and(Reply::events([say::chunk(&json!({}), Some("content_filter"))]))
}

#[tokio::test]
async fn a_success_that_a_filter_emptied_falls_back_by_content_policy_fallbacks() {
    for reason in ["content_filter", "sensitive", "SAFETY", "refusal"] {
        let case = Case::of("m: a; n: b").always("a", filtered(reason));
        let asked = case.settings("content_policy_fallbacks: [{m: [n]}]").ask().await;
        asked.answered_by("b").fallbacks(1).calls("a:1 b:1");
    }
    let case = Case::of("m: a; n: b").always("a", filtered("content_filter"));
    case.with(json!({"content_policy_fallbacks": [{"m": ["n"]}]})).ask().await.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn a_stream_that_a_filter_emptied_falls_back_by_content_policy_fallbacks() {
    let done = || filtered_stream(say::role()).and(say::done());
    for reply in [
        done(),
        filtered_stream(say::role()),
        filtered_stream(say::role()).then(Part::Hang),
        filtered_stream(Reply::events([r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#])),
    ] {
        let case = Case::of("m: a; n: b").always("a", reply).settings("content_policy_fallbacks: [{m: [n]}]");
        let world = case.start().await;
        let mut stream = world.gateway.stream("m", json!({})).await;
        stream.rest().await;
        assert_eq!(stream.seen, say::stream(&["b"]).body());
        assert_eq!(world.each("a b"), [1, 1]);
    }
}

#[tokio::test]
async fn a_success_that_a_filter_emptied_is_passed_on_without_a_list_for_it() {
    for settings in ["fallbacks: [{m: [n]}]", "content_policy_fallbacks: [{n: [m]}]", "num_retries: 2"] {
        let case = Case::of("m: a; n: b").always("a", filtered("content_filter")).settings(settings);
        let asked = case.ask().await.status(200).body(&filtered("content_filter"));
        asked.no_header("x-should-retry").calls("a:1 b:0");
    }
    // A list whose groups fail: the response of the first group is better than an error.
    let case =
        Case::of("m: a; n: b").always("a", filtered("content_filter")).always("b", say::server_error());
    let asked = case.settings("num_retries: 0, content_policy_fallbacks: [{m: [n]}]").ask().await;
    asked.status(200).body(&filtered("content_filter")).calls("a:1 b:1");
    // A fallback group that a filter emptied, without a list of its own, is better than the error before it.
    let case =
        Case::of("m: a; n: b").always("a", say::server_error()).always("b", filtered("content_filter"));
    let settings = "num_retries: 0, fallbacks: [{m: [n]}], content_policy_fallbacks: [{m: [n]}]";
    case.settings(settings).ask().await.status(200).body(&filtered("content_filter")).calls("a:1 b:1");
}

#[tokio::test]
async fn a_filter_after_output_does_not_fall_back() {
    let said = filtered_stream(say::role().and(say::words(&["half"]))).and(say::done());
    let case =
        Case::of("m: a; n: b").always("a", said.clone()).settings("content_policy_fallbacks: [{m: [n]}]");
    let world = case.start().await;
    let mut stream = world.gateway.stream("m", json!({})).await;
    stream.rest().await;
    assert_eq!(stream.seen, said.body());
    assert_eq!(world.each("a b"), [1, 0]);
    let message = json!({"role": "assistant", "content": "half"});
    let half = Reply::json(
        200,
        &json!({"choices": [{"index": 0, "message": message, "finish_reason": "content_filter"}]}),
    );
    let case =
        Case::of("m: a; n: b").always("a", half.clone()).settings("content_policy_fallbacks: [{m: [n]}]");
    case.ask().await.status(200).body(&half).calls("a:1 b:0");
}
