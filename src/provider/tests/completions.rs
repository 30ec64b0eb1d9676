//! Tests of text completions: which deployments have them, and where a chat is called in their place.

use super::*;

/// Returns the deployment of a model name at its vendor's own server, with this `mode`.
fn at(prefix: &str, base: &str, mode: Option<ModelMode>) -> Deployment {
    let target = Target { vendor: vendor(prefix).expect("a row"), ..target(Provider::OpenAi, "m", base) };
    let mut deployment = deployment(target);
    deployment.info.facts.mode = mode;
    deployment
}

#[test]
fn text_completions_are_those_of_the_vendor_unless_the_mode_of_the_model_is_known() {
    const OPENAI: &str = "https://api.openai.com/v1";
    let (chat, text) = (Some(ModelMode::Chat), Some(ModelMode::Completion));
    for (prefix, base, mode, has) in [
        ("openai", OPENAI, None, true),
        ("openai", OPENAI, text, true),
        ("openai", OPENAI, chat, false),
        ("openai", "http://h/v1", chat, true),
        ("text-completion-openai", OPENAI, chat, true),
        ("hosted_vllm", "http://h/v1", chat, true),
        ("azure", "https://h", None, false),
        ("azure", "https://h", text, true),
        ("azure_text", "https://h", None, true),
        ("groq", "http://h", None, false),
        ("groq", "http://h", text, true),
        ("huggingface", "https://router.huggingface.co/v1", None, false),
        ("huggingface", "http://h/v1", None, true),
        ("anthropic", "http://h", text, false),
        ("gemini", "http://h", text, false),
        ("ollama", "http://h", chat, true),
    ] {
        assert_eq!(has_completions(&at(prefix, base, mode)), has, "{prefix} {base} {mode:?}");
    }
}

#[test]
fn a_text_completion_at_a_deployment_without_them_has_the_url_of_a_chat() {
    let uri = |target: Target, operation| encoder(target).uri(operation).to_string();
    for (provider, wanted) in [
        (Provider::AzureAi, "http://h/v1/chat/completions"),
        (Provider::Anthropic(""), "http://h/v1/messages"),
        (Provider::Gemini, "http://h/v1beta/models"),
        (Provider::Ollama, "http://h/v1/completions"),
        (Provider::OpenAi, "http://h/v1/completions"),
    ] {
        assert_eq!(uri(target(provider, "m", "http://h/v1"), Operation::Completions), wanted);
    }
    let stored = Target { responses: true, ..target(Provider::OpenAi, "m", "http://h/v1") };
    assert_eq!(uri(stored.clone(), Operation::Completions), "http://h/v1/responses");
    assert_eq!(uri(stored, Operation::Speech), "http://h/v1/audio/speech");
}
