//! The vendors, and their defaults for URL and key.

use std::collections::BTreeSet;

use crate::{
    config::{BaseUrl, Target, VENDORS},
    provider::Encoder,
    request::Operation,
};

use super::{CANARY, deployment, errors_of, read, read_with};

/// Returns the only deployment of a file with this `litellm_params`, its chat URL and the warnings.
fn target(params: &str, env: &[(&str, &str)]) -> (Target, String, String) {
    let text = format!("model_list:\n- model_name: g\n  litellm_params: {{{params}}}\n");
    let (config, warnings) = read_with(&text, env).unwrap_or_else(|errors| panic!("{errors}"));
    let deployment = &config.groups[0].deployments[0];
    let chat = Encoder::new(deployment).unwrap().uri(Operation::Chat).to_string();
    (deployment.target.clone(), chat, warnings.to_string())
}

fn key(target: &Target) -> Option<&str> {
    target.key.as_ref().map(secrecy::ExposeSecret::expose_secret)
}

#[test]
fn a_vendor_is_found_by_its_prefix_and_takes_its_key_from_each_of_its_variables() {
    for vendor in VENDORS {
        let base = match vendor.base {
            BaseUrl::Public(_) | BaseUrl::Vertex | BaseUrl::Regional(..) => String::new(),
            BaseUrl::SelfHosted(_) | BaseUrl::Account { .. } => {
                ", api_base: https://own.example/v1".to_owned()
            }
        };
        let params = format!("model: {}/name{base}", vendor.prefix);
        for variable in vendor.key_variables {
            let (target, chat, warnings) = target(&params, &[(variable, "k-1")]);
            assert_eq!((key(&target), target.vendor.prefix), (Some("k-1"), vendor.prefix));
            let route = match vendor.prefix {
                "anthropic" => "/v1/messages",
                "gemini" => "/models",
                "ollama" | "ollama_chat" => "/api/chat",
                "bedrock" => ".amazonaws.com/model",
                _ => "/chat/completions",
            };
            assert!(chat.contains(route) && target.model.ends_with("name"), "{chat}");
            let lost = warnings.contains("is called through its OpenAI-compatible API: ");
            assert_eq!((lost, warnings.is_empty()), (!vendor.lost.is_empty(), vendor.lost.is_empty()));
        }
        for variable in vendor.base_variables {
            let env = [(*variable, "https://elsewhere.example/v1"), (vendor.key_variables[0], "k-1")];
            let (_, chat, _) = target(&format!("model: {}/name", vendor.prefix), &env);
            assert!(chat.starts_with("https://elsewhere.example/"), "{variable}: {chat}");
        }
    }
}

#[test]
fn vendor_prefixes_are_unique_and_public_base_urls_are_complete() {
    for (n, vendor) in VENDORS.iter().enumerate() {
        assert!(VENDORS[n + 1..].iter().all(|other| other.prefix != vendor.prefix), "{}", vendor.prefix);
        if let BaseUrl::Public(base) = vendor.base {
            let local = base.starts_with("http://localhost:") || base.starts_with("http://127.0.0.1:");
            assert!((local || base.starts_with("https://")) && !base.ends_with('/'), "{base}");
        }
        let has_none = vendor.base_variables.is_empty() || vendor.key_variables.is_empty();
        assert_eq!(has_none, vendor.base == BaseUrl::Vertex, "{}", vendor.prefix);
    }
}

/// Asserts for each deployment the URL of a chat and the model that is sent.
fn assert_called(deployments: &[(&str, &str, &str)]) {
    for (params, url, model) in deployments {
        let (target, chat, _) = target(params, &[]);
        assert_eq!((chat.as_str(), &*target.model), (*url, *model));
    }
}

#[test]
fn vendors_are_called_at_their_documented_urls() {
    assert_called(&[
        ("model: groq/llama-3.3-70b", "https://api.groq.com/openai/v1/chat/completions", "llama-3.3-70b"),
        ("model: mistral/small", "https://api.mistral.ai/v1/chat/completions", "small"),
        ("model: mistral/small, api_base: http://h", "http://h/v1/chat/completions", "small"),
        ("model: ollama/llama3", "http://localhost:11434/api/chat", "llama3"),
        ("model: ollama_chat/llama3, api_base: http://h:1", "http://h:1/api/chat", "llama3"),
        ("model: ollama/llama3, api_base: http://h:1/api/chat", "http://h:1/api/chat", "llama3"),
        ("model: openrouter/openai/gpt-4o", "https://openrouter.ai/api/v1/chat/completions", "openai/gpt-4o"),
        ("model: perplexity/sonar", "https://api.perplexity.ai/chat/completions", "sonar"),
        (
            "model: fireworks_ai/kimi",
            "https://api.fireworks.ai/inference/v1/chat/completions",
            "accounts/fireworks/models/kimi",
        ),
        (
            "model: fireworks_ai/accounts/mine/models/m",
            "https://api.fireworks.ai/inference/v1/chat/completions",
            "accounts/mine/models/m",
        ),
        (
            "model: fireworks_ai/nomic-ai/nomic-embed-text-v1.5",
            "https://api.fireworks.ai/inference/v1/chat/completions",
            "nomic-ai/nomic-embed-text-v1.5",
        ),
        ("model: m, custom_llm_provider: xai", "https://api.x.ai/v1/chat/completions", "m"),
    ]);
}

#[test]
fn claude_is_called_in_its_own_dialect_at_anthropic_and_at_azure() {
    assert_called(&[
        ("model: anthropic/claude-x", "https://api.anthropic.com/v1/messages", "claude-x"),
        ("model: claude-x", "https://api.anthropic.com/v1/messages", "claude-x"),
        (
            "model: anthropic/claude-x, api_base: https://api.anthropic.com",
            "https://api.anthropic.com/v1/messages",
            "claude-x",
        ),
        ("model: anthropic/m, api_base: https://h/proxy/v1", "https://h/proxy/v1/messages", "m"),
        (
            "model: azure_ai/claude-opus-4-1, api_base: https://r.services.ai.azure.com",
            "https://r.services.ai.azure.com/anthropic/v1/messages",
            "claude-opus-4-1",
        ),
        (
            "model: azure_ai/claude-opus-4-1, api_base: https://r.services.ai.azure.com/anthropic",
            "https://r.services.ai.azure.com/anthropic/v1/messages",
            "claude-opus-4-1",
        ),
    ]);
}

#[test]
fn gemini_is_called_in_its_own_dialect_below_its_models() {
    assert_called(&[
        ("model: gemini/g", "https://generativelanguage.googleapis.com/v1beta/models", "g"),
        (
            "model: gemini-2.5-pro",
            "https://generativelanguage.googleapis.com/v1beta/models",
            "gemini-2.5-pro",
        ),
        ("model: gemini/g, api_base: https://h", "https://h/v1beta/models", "g"),
        ("model: gemini/g, api_base: https://h/v1beta", "https://h/v1beta/models", "g"),
        ("model: gemini/g, api_base: https://h/v1beta/openai", "https://h/v1beta/models", "g"),
        ("model: gemini/g, api_base: https://h/own", "https://h/own/models", "g"),
    ]);
}

#[test]
fn the_base_url_of_a_native_api_becomes_that_of_the_compatible_one() {
    assert_called(&[
        (
            "model: cohere/c, api_base: https://api.cohere.com/v2/chat",
            "https://api.cohere.com/compatibility/v1/chat/completions",
            "c",
        ),
        (
            "model: azure_ai/grok, api_base: https://r.services.ai.azure.com, api_version: 2024-05-01-preview",
            "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            "grok",
        ),
        (
            "model: azure_ai/grok, api_base: https://r.services.ai.azure.com/openai/v1",
            "https://r.services.ai.azure.com/openai/v1/chat/completions",
            "grok",
        ),
        (
            "model: azure_ai/m, api_base: https://m.eastus2.models.ai.azure.com",
            "https://m.eastus2.models.ai.azure.com/chat/completions",
            "m",
        ),
    ]);
}

#[test]
fn a_keyless_vendor_without_a_key_has_no_warning() {
    for params in [
        "model: hosted_vllm/m, api_base: http://127.0.0.1:8000/v1",
        "model: ollama/m",
        "model: lm_studio/m, api_base: http://localhost:1234/v1",
        "model: llamafile/m",
    ] {
        let (target, _, warnings) = target(params, &[]);
        assert_eq!((key(&target), warnings.as_str()), (None, ""), "{params}");
    }
    let (_, _, warnings) = target("model: groq/m", &[]);
    assert!(warnings.contains("set `GROQ_API_KEY`"), "{warnings}");
}

#[test]
fn the_organization_variable_applies_to_openai_alone() {
    let env = [("OPENAI_ORGANIZATION", "org-1"), ("GROQ_API_KEY", "k"), ("OPENAI_API_KEY", "k")];
    assert!(target("model: openai/m", &env).0.organization.is_some());
    assert!(target("model: groq/m", &env).0.organization.is_none());
}

#[test]
fn a_missing_key_variable_is_a_warning_for_a_self_hosted_server() {
    let (config, warnings) = read(&deployment("api_key: os.environ/NONE\napi_base: http://127.0.0.1:1/v1/"));
    assert_eq!((super::key(&config, 0), config.groups[0].deployments[0].target.base.path()), (None, "/v1"));
    assert!(warnings.contains("called without a credential"), "{warnings}");
}

#[test]
fn a_key_sent_over_plain_http_to_another_machine_has_a_warning() {
    let (_, warnings) = read(&deployment(&format!("api_key: {CANARY}\napi_base: http://gpu.internal/v1")));
    assert!(warnings.contains("the key is sent to gpu.internal over plain http"), "{warnings}");
    let (_, warnings) = read(&deployment("api_key: k\napi_base: http://localhost:1/v1"));
    assert_eq!(warnings, "");
}

#[test]
fn azure_accepts_an_entra_token_if_there_is_no_key() {
    const AZURE: &str = "model: azure/d, api_base: https://r.openai.azure.com";
    let bearer = |params: &str, env: &[(&str, &str)]| {
        let (target, _, warnings) = target(&format!("{AZURE}{params}"), env);
        assert!(!warnings.contains("tr0ub") && !format!("{target:?}").contains("tr0ub"), "{warnings}");
        let headers = target.headers.iter().filter(|(name, _)| name == "authorization");
        let headers: Vec<_> = headers.map(|(_, value)| value.to_str().unwrap().to_owned()).collect();
        (key(&target).map(str::to_owned), headers, warnings)
    };
    let token = "Bearer tr0ub4dor".to_owned();
    let written = bearer(", azure_ad_token: tr0ub4dor", &[]);
    assert_eq!(written, (None, vec![token.clone()], String::new()));
    assert_eq!(bearer("", &[("AZURE_AD_TOKEN", "tr0ub4dor\n")]), (None, vec![token], String::new()));
    let both = bearer(", azure_ad_token: tr0ub4dor, api_key: k", &[]);
    assert_eq!((both.0.as_deref(), both.1.len()), (Some("k"), 0), "a key takes precedence");
    assert!(both.2.contains("`azure_ad_token` is not used: the key takes precedence"), "{}", both.2);
    let outer = bearer(", azure_ad_token: tr0ub4dor", &[("AZURE_API_KEY", "k")]);
    assert!(outer.0.is_some() && outer.2.contains("is not used"), "{}", outer.2);
    let said = bearer(", azure_ad_token: tr0ub4dor, extra_headers: {authorization: mine}", &[]);
    assert_eq!(said.1, ["mine"], "a configured header takes precedence over both");
}

#[test]
fn hints_of_litellm_are_not_a_part_of_the_models_name() {
    let own = "api_base: https://r.example, api_key: k, api_version: api-version=2024-10-21";
    for (model, name) in [
        ("azure/o_series/my-o3", "my-o3"),
        ("azure/gpt5_series/my-gpt", "my-gpt"),
        ("azure/responses/my-gpt", "my-gpt"),
        ("azure/responses/gpt5_series/my-gpt", "my-gpt"),
        ("azure/my-gpt", "my-gpt"),
        ("openai/responses/gpt-5", "gpt-5"),
        ("openai/accounts/a/models/m", "accounts/a/models/m"),
        ("openai/responses", "responses"),
        ("hosted_vllm/responses/m", "responses/m"),
    ] {
        let (target, chat, warnings) = target(&format!("model: {model}, {own}"), &[]);
        assert_eq!(&*target.model, name, "{model}");
        let expected = model.contains("/responses/") && !model.starts_with("hosted");
        let path =
            if expected { "responses".to_owned() } else { format!("deployments/{name}/chat/completions") };
        let azure = format!("https://r.example/openai/{path}?api-version=2024-10-21");
        assert!(!model.starts_with("azure/") || chat == azure, "{chat}");
        assert_eq!(target.responses, expected, "{model}");
        assert!(!warnings.contains("responses"), "{model}: {warnings}");
    }
    let (target, ..) = target(&format!("model: o_series/my-o3, custom_llm_provider: azure, {own}"), &[]);
    assert_eq!(&*target.model, "my-o3");
}

#[test]
fn the_api_version_of_the_environment_may_be_written_as_a_query() {
    let params = "model: azure/m, api_base: https://r.example/openai/v1/, api_key: k";
    let chat = |params: &str, env: &[(&str, &str)]| target(params, env).1;
    let preview = "https://r.example/openai/v1/chat/completions?api-version=preview";
    assert_eq!(chat(params, &[("AZURE_API_VERSION", "?api-version=preview")]), preview);
    assert_eq!(chat(&format!("{params}, api_version: preview"), &[]), preview);
    let dated = "https://r.example/openai/v1/chat/completions";
    assert_eq!(chat(&format!("{params}, api_version: 2024-10-21"), &[]), dated);
    let bad = format!("model_list: [{{model_name: g, litellm_params: {{{params}}}}}]");
    let errors = errors_of(&bad, &[("AZURE_API_VERSION", "soon")]).to_string();
    assert!(errors.contains("`AZURE_API_VERSION` is not a version"), "{errors}");
    assert_eq!(target("model: openai/m, api_key: k, api_version: anything", &[]).0.api_version, None);
}

#[test]
fn a_bare_name_finds_the_vendor_of_its_family() {
    for (model, prefix) in [
        ("gpt-4o", "openai"),
        ("o3-mini", "openai"),
        ("ft:gpt-4o:mine", "openai"),
        ("text-embedding-3-small", "openai"),
        ("davinci-002", "openai"),
        ("dall-e-3", "openai"),
        ("whisper-1", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("command-a-03-2025", "cohere"),
        ("mistral-large-latest", "mistral"),
        ("deepseek-chat", "deepseek"),
    ] {
        let (target, ..) = target(&format!("model: '{model}', api_key: k"), &[]);
        assert_eq!((target.vendor.prefix, &*target.model), (prefix, model));
    }
}

#[test]
fn a_name_without_a_known_provider_finds_the_vendor_of_its_base_url() {
    for (model, base, prefix) in [
        ("nvidia/meta/llama-3", "https://integrate.api.nvidia.com/v1", "nvidia_nim"),
        ("llama-3", "https://API.groq.com/openai/v1", "groq"),
    ] {
        let (target, chat, _) = target(&format!("model: {model}, api_base: '{base}', api_key: k"), &[]);
        assert_eq!((target.vendor.prefix, &*target.model), (prefix, model));
        assert!(chat.to_lowercase().starts_with(&base.to_lowercase()), "{chat}");
    }
    let unknown =
        "model_list:\n- model_name: g\n  litellm_params: {model: nvidia/a, api_base: 'http://own/v1'}\n";
    assert!(errors_of(unknown, &[]).to_string().contains("unknown provider `nvidia`"));
}

#[test]
fn the_account_of_a_vendor_comes_from_its_variable() {
    let chat = target("model: cloudflare/@cf/meta/llama, api_key: k", &[("CLOUDFLARE_ACCOUNT_ID", "acc")]).1;
    assert_eq!(chat, "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions");
    let text = "model_list: [{model_name: g, litellm_params: {model: cloudflare/m, api_key: k}}]";
    let errors = errors_of(text, &[]).to_string();
    assert!(errors.contains("set `CLOUDFLARE_ACCOUNT_ID`"), "{errors}");
}

#[test]
fn a_provider_of_litellm_that_is_not_served_has_the_reason() {
    for (model, reason) in [
        ("bedrock_mantle/m", "its requests must be signed for AWS"),
        ("gdc/m", "a signed token"),
        ("github_copilot/gpt-4o", "a login by a device code"),
        ("snowflake/m", "a signed token"),
        ("sagemaker/m", "signed for AWS"),
    ] {
        let text = format!("model_list: [{{model_name: g, litellm_params: {{model: {model}}}}}]");
        let errors = errors_of(&text, &[]).to_string();
        assert!(errors.contains(reason) && !errors.contains("did you mean"), "{errors}");
    }
}

#[test]
fn the_vendors_without_text_completions_are_those_of_the_document() {
    let document = include_str!("../../../docs/configuration.md");
    let (_, list) = document.split_once("\n- Chats are called at `").unwrap();
    let (list, _) = list.split_once("`; at the router").unwrap();
    let named: BTreeSet<_> = list.split('`').filter_map(|name| name.strip_suffix('/')).collect();
    let lacking = VENDORS
        .iter()
        .filter(|vendor| !vendor.completions && !vendor.embeddings_only)
        .map(|vendor| vendor.prefix);
    assert_eq!(lacking.collect::<BTreeSet<_>>(), named);
}

const GOOGLE_KEY: &str = include_str!("../../../tests/data/google_key.pem");

/// Returns the JSON of a service account.
fn account(kind: &str) -> String {
    serde_json::json!({"type": kind, "project_id": "p-1", "private_key": GOOGLE_KEY, "client_email": "me@p"})
        .to_string()
}

#[test]
fn vertex_is_called_in_its_location_by_the_publisher_of_the_model() {
    let root = "https://us-central1-aiplatform.googleapis.com/v1/projects/p-1/locations/us-central1";
    for (name, path, model) in [
        ("gemini-2.5-pro", "publishers/google/models", "gemini-2.5-pro"),
        ("gemini/gemini-x", "publishers/google/models", "gemini-x"),
        ("4965075652664360960", "endpoints", "4965075652664360960"),
        ("gemini/4965075652664360960", "endpoints", "4965075652664360960"),
        ("claude-sonnet-4-5@20250929", "publishers/anthropic/models", "claude-sonnet-4-5@20250929"),
        ("meta/llama-3.3", "endpoints/openapi/chat/completions", "meta/llama-3.3"),
        ("openai/gpt-oss-20b-maas", "endpoints/openapi/chat/completions", "openai/gpt-oss-20b-maas"),
        ("openapi/google/gemini-x", "endpoints/openapi/chat/completions", "google/gemini-x"),
    ] {
        for prefix in ["vertex_ai", "vertex_ai_beta"] {
            let env = [("VERTEXAI_CREDENTIALS", &*account("service_account"))];
            let (target, chat, warnings) = target(&format!("model: {prefix}/{name}"), &env);
            assert_eq!((chat, &*target.model), (format!("{root}/{path}"), model), "{name}");
            assert_eq!((target.vendor.prefix, target.google.is_some(), &*warnings), ("vertex_ai", true, ""));
        }
    }
}

#[test]
fn the_project_and_the_location_of_vertex_have_an_order() {
    let json = account("service_account");
    let all = [
        ("VERTEXAI_CREDENTIALS", &*json),
        ("VERTEXAI_PROJECT", "env"),
        ("VERTEXAI_LOCATION", "global"),
        ("VERTEX_LOCATION", "eu"),
    ];
    let model = "model: vertex_ai/gemini-x";
    let base = |params: &str, env: &[(&str, &str)]| target(params, env).0.base.to_string();
    let written = format!("{model}, vertex_project: mine, vertex_location: us");
    assert_eq!(
        base(&written, &all),
        "https://aiplatform.us.rep.googleapis.com/v1/projects/mine/locations/us"
    );
    assert_eq!(base(model, &all), "https://aiplatform.googleapis.com/v1/projects/env/locations/global");
    let older = [all[0], all[3]];
    assert_eq!(base(model, &older), "https://aiplatform.eu.rep.googleapis.com/v1/projects/p-1/locations/eu");
    let text = format!(
        "model_list: [{{model_name: g, litellm_params: {{{model}}}}}]\nlitellm_settings: {{vertex_project: s, vertex_location: us-east5}}"
    );
    let (config, warnings) = read_with(&text, &all).unwrap_or_else(|errors| panic!("{errors}"));
    let of_settings = config.groups[0].deployments[0].target.base.to_string();
    assert_eq!(of_settings, "https://us-east5-aiplatform.googleapis.com/v1/projects/s/locations/us-east5");
    assert!(warnings.is_empty(), "{warnings}");
}

#[test]
fn the_credential_of_vertex_may_be_a_map_a_text_a_variable_or_a_header() {
    let json = account("service_account");
    for params in [
        format!("vertex_credentials: {json}"),
        format!("vertex_credentials: '{json}'"),
        "vertex_credentials: os.environ/ACCOUNT".to_owned(),
    ] {
        let (target, _, warnings) =
            target(&format!("model: vertex_ai/gemini-x, {params}"), &[("ACCOUNT", &json)]);
        assert_eq!((target.google.is_some(), &*warnings), (true, ""), "{params}");
    }
    let own = "model: vertex_ai/gemini-x, vertex_project: p, headers: {Authorization: Bearer t}";
    assert!(target(own, &[]).0.google.is_none());
    for (variables, warning) in
        [(&[("K_SERVICE", "gateway")][..], ""), (&[], "only machines of Google's have that server")]
    {
        let (machine, _, warnings) = target("model: vertex_ai/gemini-x, vertex_project: p", variables);
        let uri = machine.google.map(|google| google.token_uri.to_string()).unwrap_or_default();
        assert!(uri.starts_with("http://metadata.google.internal/"), "{uri}");
        assert!(warnings.contains(warning) && warnings.is_empty() == warning.is_empty(), "{warnings}");
    }
}

#[test]
fn a_deployment_of_vertex_that_cannot_be_called_is_left_out_with_the_reason() {
    let (json, other) = (account("service_account"), account("external_account"));
    let without_project = json.replace("project_id", "no_project");
    for (params, reason) in [
        ("model: vertex_ai/gemini-x".to_owned(), "no valid `vertex_project`"),
        (
            "model: vertex_ai/gemini-x, vertex_credentials: /nowhere".to_owned(),
            "the file of `vertex_credentials` cannot be read",
        ),
        (format!("model: vertex_ai/gemini-x, vertex_credentials: '{other}'"), "`authorized_user` are"),
        (
            format!("model: vertex_ai/gemini-x, vertex_credentials: '{without_project}'"),
            "no valid `vertex_project`",
        ),
        (
            format!(
                "model: vertex_ai/gemini-x, vertex_credentials: '{json}', vertex_location: evil.example/x"
            ),
            "a location of Google Cloud",
        ),
        (
            format!("model: vertex_ai/gemini-x, vertex_credentials: '{json}', vertex_project: a/b"),
            "the id of a project",
        ),
        (
            format!("model: vertex_ai/text-embedding-005, vertex_credentials: '{json}'"),
            "embeddings have an API of their own",
        ),
        (format!("model: vertex_ai/mistral-large, vertex_credentials: '{json}'"), "it is none of Gemini's"),
        (
            format!("model: vertex_ai/mistralai/mistral-large, vertex_credentials: '{json}'"),
            "an API of its own",
        ),
        (format!("model: vertex_ai/openai/4965, vertex_credentials: '{json}'"), "an endpoint of one's own"),
    ] {
        let errors =
            errors_of(&format!("model_list: [{{model_name: g, litellm_params: {{{params}}}}}]"), &[])
                .to_string();
        assert!(errors.contains(reason), "{params}: {errors}");
        assert!(!errors.contains(&GOOGLE_KEY[30..60]), "{errors}");
    }
}

#[test]
fn the_settings_of_vertex_are_not_used_by_another_provider() {
    let (_, _, warnings) =
        target("model: openai/m, api_key: k, vertex_location: eu, vertex_credentials: secret-x", &[]);
    assert!(
        warnings.contains("`vertex_location` is not used")
            && warnings.contains("`vertex_credentials` is not used")
    );
    assert!(!warnings.contains("secret-x"), "{warnings}");
}

#[test]
fn bedrock_has_the_region_and_the_credentials_of_aws() {
    let keys = "aws_access_key_id: AKID, aws_secret_access_key: s";
    let env = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "e"), ("AWS_REGION", "eu-west-1")];
    let arn = "arn:aws:bedrock:ap-south-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0";
    for (params, env, id, region) in [
        (format!("model: bedrock/m, {keys}"), &[][..], "AKID", "us-west-2"),
        (format!("model: bedrock/us-east-1/m, {keys}"), &[], "AKID", "us-east-1"),
        (
            format!("model: bedrock/us-east-1/m, {keys}, aws_region_name: cn-north-1"),
            &[],
            "AKID",
            "cn-north-1",
        ),
        (format!("model: 'bedrock/{arn}'"), &env, "E", "ap-south-1"),
        ("model: bedrock/converse/m".to_owned(), &env, "E", "eu-west-1"),
    ] {
        let (target, chat, _) = target(&params, env);
        let aws = target.aws.as_ref().unwrap();
        assert_eq!((aws.access_key_id.as_str(), aws.region.as_str()), (id, region), "{params}");
        assert!(chat.starts_with(&format!("https://bedrock-runtime.{region}.amazonaws.com")), "{chat}");
    }
    let (target, ..) = target(&format!("model: bedrock/m, {keys}, api_key: bearer"), &env);
    assert!(target.aws.is_none() && key(&target) == Some("bearer"), "a key takes precedence");
}

#[test]
fn bedrock_without_credentials_is_called_without_a_signature() {
    for empty in ["", ", aws_access_key_id: '', aws_secret_access_key: '', aws_region_name: ''"] {
        let (target, _, warnings) = target(&format!("model: bedrock/m{empty}"), &[]);
        assert!(target.aws.is_none() && target.key.is_none());
        assert!(warnings.contains("set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`"), "{warnings}");
    }
}

#[test]
fn a_deployment_of_bedrock_that_cannot_be_called_is_left_out_with_the_reason() {
    for (params, reason) in [
        ("model: bedrock/m, aws_access_key_id: a", "half of the credentials of AWS is missing"),
        ("model: bedrock/m, aws_role_name: arn", "`aws_role_name` is not served"),
        ("model: bedrock/m, aws_profile_name: p", "`aws_profile_name` is not served"),
        ("model: bedrock/m, api_key: k, aws_region_name: 'a.example/'", "the region of AWS is not valid"),
        ("model: bedrock/amazon.titan-embed-text-v2:0, api_key: k", "only chats are served"),
        ("model: bedrock/agent/A/B, api_key: k", "the route `agent` of Bedrock is not served"),
    ] {
        let text = format!("model_list: [{{model_name: g, litellm_params: {{{params}}}}}]");
        let errors = errors_of(&text, &[]).to_string();
        assert!(errors.contains(reason), "{params}: {errors}");
    }
}
