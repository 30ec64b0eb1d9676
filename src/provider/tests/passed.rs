//! Tests of the operations that are never translated: where they are, and which deployments have them.

use super::*;

fn path(provider: Provider, base: &str, operation: Operation) -> String {
    let version = matches!(provider, Provider::Azure).then(|| "2025-04-01-preview".into());
    let target = Target { api_version: version, ..target(provider, "m", base) };
    encoder(target).uri(operation).path_and_query().expect("a path").to_string()
}

#[test]
fn operations_that_are_passed_have_openais_paths_below_the_base() {
    for (operation, expected) in [
        (Operation::Moderations, "/v1/moderations"),
        (Operation::Rerank, "/v1/rerank"),
        (Operation::Images, "/v1/images/generations"),
        (Operation::ImageEdits, "/v1/images/edits"),
        (Operation::Transcriptions, "/v1/audio/transcriptions"),
        (Operation::Translations, "/v1/audio/translations"),
        (Operation::Speech, "/v1/audio/speech"),
    ] {
        assert_eq!(path(Provider::OpenAi, "http://h/v1", operation), expected);
        assert_eq!(path(Provider::OpenAi, &format!("http://h{expected}"), operation), expected);
        assert_eq!(path(Provider::Versioned, "http://h", operation), expected);
        let dated = format!("/openai/deployments/m{}?api-version=2025-04-01-preview", operation.path());
        assert_eq!(path(Provider::Azure, "http://h", operation), dated);
    }
}

#[test]
fn reranking_is_a_part_of_cohere_s_native_api() {
    for base in ["http://h", "http://h/v1", "http://h/v2", "http://h/compatibility/v1", "http://h/v2/rerank"]
    {
        let cohere = |operation| path(Provider::Below("/compatibility/v1"), base, operation);
        assert_eq!(cohere(Operation::Rerank), "/v2/rerank", "{base}");
        assert_eq!(cohere(Operation::Embeddings), "/compatibility/v1/embeddings", "{base}");
    }
    let own = path(Provider::Below("/compatibility/v1"), "http://h/own", Operation::Rerank);
    assert_eq!(own, "/own/rerank");
    for (base, expected) in [
        ("https://x.services.ai.azure.com", "/v1/rerank"),
        ("https://x.services.ai.azure.com/providers/cohere/v2", "/providers/cohere/v2/rerank"),
        ("https://x.models.ai.azure.com/v1", "/v1/rerank"),
    ] {
        assert_eq!(path(Provider::AzureAi, base, Operation::Rerank), expected, "{base}");
    }
}

#[test]
fn operations_that_are_passed_are_those_of_openais_dialect() {
    let lacking = |provider| {
        let operations = operations(&deployment(target(provider, "m", "http://h/v1")));
        let lacking = Operation::ALL.into_iter().filter(|operation| !operations.contains(*operation));
        lacking.map(Operation::as_str).collect::<Vec<_>>().join(" ")
    };
    let passed = "moderations rerank images image_edits transcriptions translations speech";
    assert_eq!(lacking(Provider::OpenAi), "");
    assert_eq!(lacking(Provider::Versioned), "");
    assert_eq!(lacking(Provider::Azure), "moderations rerank");
    assert_eq!(lacking(Provider::HuggingFace), "rerank");
    assert_eq!(lacking(Provider::Anthropic("")), format!("embeddings {passed}"));
    assert_eq!(lacking(Provider::Gemini), passed);
    assert_eq!(lacking(Provider::Ollama), passed);
}

#[test]
fn a_vendor_with_embeddings_alone_has_no_other_operation() {
    let voyage = vendor("voyage").expect("a row");
    let deployment = deployment(Target { vendor: voyage, ..target(Provider::OpenAi, "m", "http://h/v1") });
    assert_eq!(operations(&deployment), Operations::of(|operation| operation == Operation::Embeddings));
    assert!(!has_completions(&deployment));
}
