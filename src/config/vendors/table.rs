//! The rows of the vendors.
//!
//! Sources: the prefixes, URLs and variables are those of LiteLLM 1.110 (`get_llm_provider_logic.py`, `main.py` and
//! `openai_like/providers.json`). Where LiteLLM has no variable for the URL, its name is the prefix with `_API_BASE`. Rows
//! with another source have a comment. The parameters that a vendor does not know or has by another name are those of
//! `get_supported_openai_params` and of the parameter mappings there. A vendor is without text completions if LiteLLM
//! serves them by chats there (`text_completion` in `main.py`) and the vendor documents none.

use super::{
    Vendor, account,
    parameters::{CACHE_KEY, FUNCTIONS, LOGPROBS, MISTRAL, NEWER, NEWER_LIMIT, OLDER_LIMIT, PENALTIES},
    public, self_hosted,
    shared::{AI21, AZURE, AZURE_AI, BEDROCK, COHERE, OLLAMA, OPENAI, VERTEX},
};
use crate::config::Provider;

/// All vendors: the ones that are used most, then the others by name.
pub static VENDORS: &[Vendor] = &[
    OPENAI,
    AZURE,
    AZURE_AI,
    public(
        ("abliteration", "https://api.abliteration.ai/v1"),
        &["ABLITERATION_API_BASE"],
        &["ABLITERATION_API_KEY"],
    ),
    AI21,
    Vendor { prefix: "ai21_chat", ..AI21 },
    public(("aiand", "https://api.aiand.com/v1"), &["AIAND_API_BASE"], &["AIAND_API_KEY"]),
    public(("aihubmix", "https://aihubmix.com/v1"), &["AIHUBMIX_API_BASE"], &["AIHUBMIX_API_KEY"]),
    public(("aiml", "https://api.aimlapi.com/v1"), &["AIML_API_BASE"], &["AIML_API_KEY"])
        .renaming(OLDER_LIMIT),
    Vendor { prefix: "aiohttp_openai", ..OPENAI },
    public(
        ("amazon_nova", "https://api.nova.amazon.com/v1"),
        &["AMAZON_NOVA_API_BASE"],
        &["AMAZON_NOVA_API_KEY"],
    )
    .renaming(OLDER_LIMIT)
    .not_knowing(&[
        NEWER,
        CACHE_KEY,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        &["n", "parallel_tool_calls", "seed"],
    ]),
    // The translation to its dialect decides about the parameters that Anthropic does not know.
    public(
        ("anthropic", "https://api.anthropic.com/v1"),
        &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
        &["ANTHROPIC_API_KEY"],
    )
    .without_completions()
    .speaking(Provider::Anthropic("")),
    public(
        ("anyscale", "https://api.endpoints.anyscale.com/v1"),
        &["ANYSCALE_API_BASE"],
        &["ANYSCALE_API_KEY"],
    ),
    public(("apertis", "https://api.stima.tech/v1"), &["APERTIS_API_BASE"], &["STIMA_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(
        ("assemblyai", "https://llm-gateway.assemblyai.com/v1"),
        &["ASSEMBLYAI_API_BASE"],
        &["ASSEMBLYAI_API_KEY"],
    ),
    Vendor { prefix: "azure_text", completions: true, ..AZURE },
    public(("baseten", "https://inference.baseten.co/v1"), &["BASETEN_API_BASE"], &["BASETEN_API_KEY"])
        .renaming(OLDER_LIMIT)
        .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, LOGPROBS, &["n", "parallel_tool_calls"]]),
    BEDROCK,
    public(
        ("bigmodel", "https://open.bigmodel.cn/api/paas/v4"),
        &["BIGMODEL_API_BASE"],
        &["BIGMODEL_API_KEY"],
    )
    .without_completions()
    .renaming(OLDER_LIMIT)
    .not_knowing(&[
        NEWER,
        CACHE_KEY,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        &["n", "parallel_tool_calls", "seed"],
    ]),
    public(("cerebras", "https://api.cerebras.ai/v1"), &["CEREBRAS_API_BASE"], &["CEREBRAS_API_KEY"])
        .without_usage()
        .renaming(OLDER_LIMIT)
        .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, LOGPROBS, PENALTIES, &["n", "parallel_tool_calls"]]),
    public(
        ("charity_engine", "https://api.charityengine.services/remotejobs/v2/inference"),
        &["CHARITY_ENGINE_API_BASE"],
        &["CHARITY_ENGINE_API_KEY"],
    )
    .renaming(OLDER_LIMIT),
    public(("chutes", "https://llm.chutes.ai/v1"), &["CHUTES_API_BASE"], &["CHUTES_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(
        ("clarifai", "https://api.clarifai.com/v2/ext/openai/v1"),
        &["CLARIFAI_API_BASE"],
        &["CLARIFAI_API_KEY"],
    )
    .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, LOGPROBS, &["n", "parallel_tool_calls", "seed", "stop"]]),
    public(
        ("clf_ai_gateway", "https://api.clfaigateway.dev/v1"),
        &["CLF_AI_GATEWAY_API_BASE"],
        &["CLF_AI_GATEWAY_API_KEY"],
    )
    .not_knowing(&[
        FUNCTIONS,
        &[
            "audio",
            "modalities",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "web_search_options",
        ],
    ]),
    account(
        ("cloudflare", "https://api.cloudflare.com/client/v4/accounts/", "CLOUDFLARE_ACCOUNT_ID", "/ai/v1"),
        &["CLOUDFLARE_API_BASE"],
        &["CLOUDFLARE_API_KEY"],
    )
    .renaming(OLDER_LIMIT)
    .not_knowing(&[&["user"]]),
    public(("codestral", "https://codestral.mistral.ai/v1"), &["CODESTRAL_API_BASE"], &["CODESTRAL_API_KEY"])
        .without_completions()
        .renaming(MISTRAL)
        .not_knowing(&[FUNCTIONS, LOGPROBS, PENALTIES, NEWER, &["n", "user"]]),
    public(("cognition", "https://api.cognition.ai/v1"), &["COGNITION_API_BASE"], &["COGNITION_API_KEY"]),
    COHERE,
    Vendor { prefix: "cohere_chat", ..COHERE },
    public(("cometapi", "https://api.cometapi.com/v1"), &["COMETAPI_API_BASE"], &["COMETAPI_KEY"]),
    public(
        ("compactifai", "https://api.compactif.ai/v1"),
        &["COMPACTIFAI_API_BASE"],
        &["COMPACTIFAI_API_KEY"],
    ),
    public(
        ("coralbricks", "https://inference.coralbricks.ai/v1"),
        &["CORALBRICKS_API_BASE"],
        &["CORALBRICKS_API_KEY"],
    ),
    public(("cortecs", "https://api.cortecs.ai/v1"), &["CORTECS_API_BASE"], &["CORTECS_API_KEY"]),
    public(("crusoe", "https://api.inference.crusoecloud.com/v1"), &["CRUSOE_API_BASE"], &["CRUSOE_API_KEY"])
        .renaming(OLDER_LIMIT),
    // LiteLLM reads no variables for `custom_openai`.
    self_hosted(
        ("custom_openai", "http://HOST:8000/v1"),
        &["OPENAI_LIKE_API_BASE"],
        &["OPENAI_LIKE_API_KEY"],
    )
    .keyless(),
    public(("darkbloom", "https://api.darkbloom.dev/v1"), &["DARKBLOOM_API_BASE"], &["DARKBLOOM_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(
        ("dashscope", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        &["DASHSCOPE_API_BASE"],
        &["DASHSCOPE_API_KEY"],
    ),
    self_hosted(
        ("databricks", "https://WORKSPACE/serving-endpoints"),
        &["DATABRICKS_API_BASE"],
        &["DATABRICKS_API_KEY"],
    )
    .without_usage()
    .renaming(OLDER_LIMIT)
    .not_knowing(&[
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        &[
            "audio",
            "modalities",
            "parallel_tool_calls",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "seed",
            "store",
            "user",
            "web_search_options",
        ],
    ]),
    public(
        ("deepinfra", "https://api.deepinfra.com/v1/openai"),
        &["DEEPINFRA_API_BASE"],
        &["DEEPINFRA_API_KEY"],
    )
    .renaming(OLDER_LIMIT)
    .not_knowing(&[NEWER, CACHE_KEY, &["logprobs", "parallel_tool_calls", "seed", "top_logprobs"]]),
    public(("deepseek", "https://api.deepseek.com/beta"), &["DEEPSEEK_API_BASE"], &["DEEPSEEK_API_KEY"]),
    public(
        ("docker_model_runner", "http://localhost:22088/engines/llama.cpp"),
        &["DOCKER_MODEL_RUNNER_API_BASE"],
        &["DOCKER_MODEL_RUNNER_API_KEY"],
    )
    .keyless()
    .speaking(Provider::Versioned)
    .renaming(OLDER_LIMIT),
    public(("edenai", "https://api.edenai.run/v3"), &["EDENAI_API_BASE"], &["EDENAI_API_KEY"]),
    public(
        ("empiriolabs", "https://api.empiriolabs.ai/v1"),
        &["EMPIRIOLABS_API_BASE"],
        &["EMPIRIOLABS_API_KEY"],
    )
    .renaming(OLDER_LIMIT),
    public(("empower", "https://app.empower.dev/api/v1"), &["EMPOWER_API_BASE"], &["EMPOWER_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(
        ("featherless_ai", "https://api.featherless.ai/v1"),
        &["FEATHERLESS_AI_API_BASE", "FEATHERLESS_API_BASE"],
        &["FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"],
    )
    .renaming(OLDER_LIMIT)
    .not_knowing(&[NEWER, CACHE_KEY, &["logprobs", "parallel_tool_calls", "seed", "top_logprobs"]]),
    Vendor {
        model_prefix: "accounts/fireworks/models/",
        ..public(
            ("fireworks_ai", "https://api.fireworks.ai/inference/v1"),
            &["FIREWORKS_API_BASE"],
            &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
        )
        .without_usage()
        .renaming(OLDER_LIMIT)
        .not_knowing(&[
            FUNCTIONS,
            &[
                "audio",
                "modalities",
                "prompt_cache_retention",
                "safety_identifier",
                "store",
                "web_search_options",
            ],
        ])
    },
    public(
        ("friendliai", "https://api.friendli.ai/serverless/v1"),
        &["FRIENDLI_API_BASE"],
        &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
    )
    .renaming(OLDER_LIMIT),
    public(("galadriel", "https://api.galadriel.com/v1"), &["GALADRIEL_API_BASE"], &["GALADRIEL_API_KEY"])
        .renaming(OLDER_LIMIT),
    // LiteLLM's variable names the host.
    public(
        ("gemini", "https://generativelanguage.googleapis.com/v1beta"),
        &["GEMINI_API_BASE"],
        &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
    )
    .without_completions()
    .speaking(Provider::Gemini),
    public(("github", "https://models.inference.ai.azure.com"), &["GITHUB_API_BASE"], &["GITHUB_API_KEY"])
        .without_completions(),
    public(("gmi", "https://api.gmi-serving.com/v1"), &["GMI_API_BASE"], &["GMI_API_KEY"]),
    public(
        ("gradient_ai", "https://inference.do-ai.run/v1"),
        &["GRADIENT_AI_AGENT_ENDPOINT"],
        &["GRADIENT_AI_API_KEY"],
    )
    .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, LOGPROBS, &["n", "parallel_tool_calls", "seed"]]),
    public(("groq", "https://api.groq.com/openai/v1"), &["GROQ_API_BASE"], &["GROQ_API_KEY"])
        .with_responses()
        .without_completions()
        .not_knowing(&[&["web_search_options"]]),
    public(("helicone", "https://ai-gateway.helicone.ai"), &["HELICONE_API_BASE"], &["HELICONE_API_KEY"]),
    self_hosted(("heroku", "https://us.inference.heroku.com"), &["HEROKU_API_BASE"], &["HEROKU_API_KEY"])
        .speaking(Provider::Versioned),
    self_hosted(("hosted_vllm", "http://HOST:8000/v1"), &["HOSTED_VLLM_API_BASE"], &["HOSTED_VLLM_API_KEY"])
        .keyless(),
    public(
        ("hostinger_router", "https://router.hostinger.com/v1"),
        &["HOSTINGER_ROUTER_API_BASE"],
        &["HOSTINGER_ROUTER_API_KEY"],
    ),
    public(
        ("huggingface", "https://router.huggingface.co/v1"),
        &["HF_API_BASE", "HUGGINGFACE_API_BASE"],
        &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
    )
    .speaking(Provider::HuggingFace),
    public(
        ("hyperbolic", "https://api.hyperbolic.xyz/v1"),
        &["HYPERBOLIC_API_BASE"],
        &["HYPERBOLIC_API_KEY"],
    )
    .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, LOGPROBS, &["parallel_tool_calls"]]),
    public(("inception", "https://api.inceptionlabs.ai/v1"), &["INCEPTION_API_BASE"], &["INCEPTION_API_KEY"])
        .renaming(OLDER_LIMIT)
        .not_knowing(&[
            NEWER,
            CACHE_KEY,
            FUNCTIONS,
            LOGPROBS,
            PENALTIES,
            &["n", "parallel_tool_calls", "seed", "top_p"],
        ]),
    public(
        ("inferenceapis", "https://api.inferenceapis.com/v1"),
        &["INFERENCEAPIS_API_BASE"],
        &["INFERENCEAPIS_API_KEY"],
    ),
    public(
        ("jina_ai", "https://api.jina.ai/v1"),
        &["JINA_AI_API_BASE"],
        &["JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"],
    )
    .renaming(OLDER_LIMIT),
    public(("kyma", "https://kymaapi.com/v1"), &["KYMA_API_BASE"], &["KYMA_API_KEY"]),
    public(("lambda_ai", "https://api.lambda.ai/v1"), &["LAMBDA_API_BASE"], &["LAMBDA_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(("lemonade", "http://localhost:8000/api/v1"), &["LEMONADE_API_BASE"], &["LEMONADE_API_KEY"])
        .keyless(),
    public(("libertai", "https://api.libertai.io/v1"), &["LIBERTAI_API_BASE"], &["LIBERTAI_API_KEY"])
        .renaming(OLDER_LIMIT),
    self_hosted(
        ("litellm_proxy", "http://HOST:4000/v1"),
        &["LITELLM_PROXY_API_BASE"],
        &["LITELLM_PROXY_API_KEY"],
    ),
    public(("llamafile", "http://127.0.0.1:8080/v1"), &["LLAMAFILE_API_BASE"], &["LLAMAFILE_API_KEY"])
        .keyless(),
    public(("llamagate", "https://api.llamagate.dev/v1"), &["LLAMAGATE_API_BASE"], &["LLAMAGATE_API_KEY"])
        .renaming(OLDER_LIMIT),
    self_hosted(("lm_studio", "http://localhost:1234/v1"), &["LM_STUDIO_API_BASE"], &["LM_STUDIO_API_KEY"])
        .keyless(),
    public(("meta", "https://api.meta.ai/v1"), &["META_API_BASE"], &["META_API_KEY"]),
    public(("meta_llama", "https://api.llama.com/compat/v1"), &["LLAMA_API_BASE"], &["LLAMA_API_KEY"]),
    public(("minimax", "https://api.minimax.io/v1"), &["MINIMAX_API_BASE"], &["MINIMAX_API_KEY"]),
    // Mistral refuses a request with `include_usage` (422), and sends usage with the last chunk.
    public(
        ("mistral", "https://api.mistral.ai/v1"),
        &["MISTRAL_AZURE_API_BASE"],
        &["MISTRAL_AZURE_API_KEY", "MISTRAL_API_KEY"],
    )
    .without_completions()
    .without_usage()
    .speaking(Provider::Versioned)
    .renaming(MISTRAL)
    .not_knowing(&[FUNCTIONS, LOGPROBS, PENALTIES, NEWER, &["n", "user"]]),
    public(
        ("modelscope", "https://api-inference.modelscope.cn/v1"),
        &["MODELSCOPE_API_BASE"],
        &["MODELSCOPE_API_KEY"],
    ),
    public(("moonshot", "https://api.moonshot.ai/v1"), &["MOONSHOT_API_BASE"], &["MOONSHOT_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(("morph", "https://api.morphllm.com/v1"), &["MORPH_API_BASE"], &["MORPH_API_KEY"])
        .renaming(OLDER_LIMIT)
        .not_knowing(&[FUNCTIONS, NEWER, &["n"]]),
    public(("nadir", "https://api.getnadir.com/v1"), &["NADIR_API_BASE"], &["NADIR_API_KEY"]).not_knowing(&[
        NEWER,
        CACHE_KEY,
        FUNCTIONS,
        LOGPROBS,
        &["n", "parallel_tool_calls", "seed", "stop"],
    ]),
    public(("nano-gpt", "https://nano-gpt.com/api/v1"), &["NANO_GPT_API_BASE"], &["NANOGPT_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(("nebius", "https://api.studio.nebius.ai/v1"), &["NEBIUS_API_BASE"], &["NEBIUS_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(
        ("neosantara", "https://api.neosantara.xyz/v1"),
        &["NEOSANTARA_API_BASE"],
        &["NEOSANTARA_API_KEY"],
    )
    .renaming(OLDER_LIMIT),
    public(("novita", "https://api.novita.ai/v3/openai"), &["NOVITA_API_BASE"], &["NOVITA_API_KEY"]),
    public(("nscale", "https://inference.api.nscale.com/v1"), &["NSCALE_API_BASE"], &["NSCALE_API_KEY"])
        .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, &["parallel_tool_calls", "seed"]]),
    public(
        ("nvidia_nim", "https://integrate.api.nvidia.com/v1"),
        &["NVIDIA_NIM_API_BASE"],
        &["NVIDIA_NIM_API_KEY"],
    )
    .without_usage()
    .renaming(OLDER_LIMIT)
    .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, LOGPROBS, &["n", "user"]]),
    OLLAMA,
    Vendor { prefix: "ollama_chat", ..OLLAMA },
    self_hosted(("oobabooga", "http://HOST:5000/v1"), &["OOBABOOGA_API_BASE"], &["OOBABOOGA_API_KEY"])
        .keyless(),
    self_hosted(("openai_like", "http://HOST:8000/v1"), &["OPENAI_LIKE_API_BASE"], &["OPENAI_LIKE_API_KEY"])
        .keyless(),
    public(("openinfer", "https://api.openinfer.ai/v1"), &["OPENINFER_API_BASE"], &["OPENINFER_API_KEY"]),
    public(
        ("openrouter", "https://openrouter.ai/api/v1"),
        &["OPENROUTER_API_BASE"],
        &["OPENROUTER_API_KEY", "OR_API_KEY"],
    ),
    public(
        ("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1"),
        &["OVHCLOUD_API_BASE"],
        &["OVHCLOUD_API_KEY"],
    ),
    public(("parasail", "https://api.parasail.io/v1"), &["PARASAIL_API_BASE"], &["PARASAIL_API_KEY"]),
    public(
        ("perplexity", "https://api.perplexity.ai"),
        &["PERPLEXITY_API_BASE"],
        &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
    )
    .without_completions()
    .without_usage()
    .not_knowing(&[
        NEWER,
        CACHE_KEY,
        FUNCTIONS,
        LOGPROBS,
        &["n", "parallel_tool_calls", "seed", "stop", "user"],
    ]),
    public(("pinstripes", "https://pinstripes.io/v1"), &["PINSTRIPES_API_BASE"], &["PINSTRIPES_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(("poe", "https://api.poe.com/v1"), &["POE_API_BASE"], &["POE_API_KEY"]).renaming(OLDER_LIMIT),
    public(("prism", "https://api.prisminference.com/v1"), &["PRISM_API_BASE"], &["PRISM_API_KEY"]),
    public(("publicai", "https://api.publicai.co/v1"), &["PUBLICAI_API_BASE"], &["PUBLICAI_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(
        ("qwen_ai_platform", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        &["QWEN_AI_PLATFORM_API_BASE"],
        &["QWEN_AI_PLATFORM_API_KEY", "DASHSCOPE_API_KEY"],
    ),
    public(
        ("qwencloud", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        &["QWENCLOUD_API_BASE"],
        &["QWENCLOUD_API_KEY", "DASHSCOPE_API_KEY"],
    ),
    public(
        ("refuseless", "https://api.refuseless.com/v1"),
        &["REFUSELESS_API_BASE"],
        &["REFUSELESS_API_KEY"],
    ),
    public(("reka", "https://api.reka.ai/v1"), &["REKA_API_BASE"], &["REKA_API_KEY"]),
    public(("sail", "https://api.sailresearch.com/v1"), &["SAIL_API_BASE"], &["SAIL_API_KEY"])
        .not_knowing(&[LOGPROBS, PENALTIES, &["seed", "stop"]]),
    public(("sambanova", "https://api.sambanova.ai/v1"), &["SAMBANOVA_API_BASE"], &["SAMBANOVA_API_KEY"])
        .renaming(OLDER_LIMIT)
        .not_knowing(&[
            NEWER,
            CACHE_KEY,
            FUNCTIONS,
            LOGPROBS,
            PENALTIES,
            &["n", "parallel_tool_calls", "seed", "user"],
        ]),
    public(("sarvam", "https://api.sarvam.ai/v1"), &["SARVAM_API_BASE"], &["SARVAM_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(("scaleway", "https://api.scaleway.ai/v1"), &["SCALEWAY_API_BASE"], &["SCW_SECRET_KEY"]),
    public(("scx-ai", "https://api.scx.ai/v1"), &["SCX_API_BASE"], &["SCX_API_KEY"]).renaming(OLDER_LIMIT),
    public(
        ("streamlake", "https://vanchin.streamlake.ai/api/gateway/v1/endpoints"),
        &["STREAMLAKE_API_BASE"],
        &["STREAMLAKE_API_KEY"],
    )
    .renaming(NEWER_LIMIT),
    public(
        ("synthetic", "https://api.synthetic.new/openai/v1"),
        &["SYNTHETIC_API_BASE"],
        &["SYNTHETIC_API_KEY"],
    )
    .renaming(OLDER_LIMIT),
    public(
        ("tencent", "https://tokenhub-intl.tencentcloudmaas.com/v1"),
        &["TENCENT_API_BASE"],
        &["TENCENT_API_KEY"],
    ),
    public(
        ("tensormesh", "https://serverless.tensormesh.ai/v1"),
        &["TENSORMESH_SERVERLESS_BASE_URL"],
        &["TENSORMESH_INFERENCE_API_KEY"],
    )
    .renaming(OLDER_LIMIT),
    Vendor { prefix: "text-completion-openai", ..OPENAI },
    public(
        ("together_ai", "https://api.together.ai/v1"),
        &["TOGETHER_AI_API_BASE"],
        &["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"],
    ),
    public(("v0", "https://api.v0.dev/v1"), &["V0_API_BASE"], &["V0_API_KEY"]).not_knowing(&[
        NEWER,
        CACHE_KEY,
        FUNCTIONS,
        LOGPROBS,
        PENALTIES,
        &["n", "parallel_tool_calls", "seed", "stop", "top_p"],
    ]),
    public(("veniceai", "https://api.venice.ai/api/v1"), &["VENICEAI_API_BASE"], &["VENICE_AI_API_KEY"]),
    public(
        ("vercel_ai_gateway", "https://ai-gateway.vercel.sh/v1"),
        &["VERCEL_AI_GATEWAY_API_BASE"],
        &["VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"],
    ),
    VERTEX,
    public(
        ("volcengine", "https://ark.cn-beijing.volces.com/api/v3"),
        &["VOLCENGINE_API_BASE"],
        &["VOLCENGINE_API_KEY"],
    )
    .renaming(OLDER_LIMIT)
    .not_knowing(&[NEWER, CACHE_KEY, &["parallel_tool_calls"]]),
    // Its reranking has another form than Cohere's.
    public(
        ("voyage", "https://api.voyageai.com/v1"),
        &["VOYAGE_API_BASE"],
        &["VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"],
    )
    .with_embeddings_only()
    .renaming(&[("dimensions", "output_dimension")])
    .not_knowing(&[&["user"]]),
    public(("wally", "https://inference.runanywhere.ai/v1"), &["WALLY_API_BASE"], &["WALLY_API_KEY"]),
    public(("wandb", "https://api.inference.wandb.ai/v1"), &["WANDB_API_BASE"], &["WANDB_API_KEY"])
        .renaming(OLDER_LIMIT),
    public(("xai", "https://api.x.ai/v1"), &["XAI_API_BASE"], &["XAI_API_KEY"])
        .with_responses()
        .renaming(OLDER_LIMIT)
        .not_knowing(&[
            FUNCTIONS,
            &[
                "audio",
                "modalities",
                "prediction",
                "prompt_cache_key",
                "prompt_cache_retention",
                "safety_identifier",
                "service_tier",
                "store",
            ],
        ]),
    public(
        ("xiaomi_mimo", "https://api.xiaomimimo.com/v1"),
        &["XIAOMI_MIMO_API_BASE"],
        &["XIAOMI_MIMO_API_KEY"],
    )
    .renaming(OLDER_LIMIT),
    self_hosted(("xinference", "http://HOST:9997/v1"), &["XINFERENCE_API_BASE"], &["XINFERENCE_API_KEY"])
        .keyless()
        .renaming(OLDER_LIMIT),
    public(("zai", "https://api.z.ai/api/paas/v4"), &["ZAI_API_BASE"], &["ZAI_API_KEY"])
        .without_completions()
        .renaming(OLDER_LIMIT)
        .not_knowing(&[
            NEWER,
            CACHE_KEY,
            FUNCTIONS,
            LOGPROBS,
            PENALTIES,
            &["n", "parallel_tool_calls", "seed"],
        ]),
    public(("zerogpu", "https://api.zerogpu.ai/v1"), &["ZEROGPU_API_BASE"], &["ZEROGPU_API_KEY"]),
];
