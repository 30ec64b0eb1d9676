//! Invalid configurations: `§` marks the location that the error must have.

/// Names of groups that are not in the file, each with the message of its warning.
pub(crate) const UNKNOWN_GROUPS: &[(&str, &str)] = &[
    ("there is no group `other`", "PARAMS\n    fallbacks: [§other]\n"),
    (
        "there is no group `gg`",
        "PARAMS\nrouter_settings: {model_group_retry_policy: {§gg: {DefaultRetries: 1}}}\n",
    ),
    ("there is no group `other`", "PARAMS\nlitellm_settings:\n  fallbacks: [{g: [§other]}]\n"),
    ("there is no group `other`", "PARAMS\nlitellm_settings:\n  fallbacks: [{§other: [g]}]\n"),
    (
        "did you mean `group-one`?",
        "model_list:\n- model_name: group-one\n  litellm_params: {model: openai/m}\nlitellm_settings:\n  context_window_fallbacks:\n  - group-one: [§group-on]\n",
    ),
    ("the groups are `g`", "PARAMS\nlitellm_settings: {content_policy_fallbacks: [{g: [§elsewhere]}]}\n"),
    ("there is no group `x`", "PARAMS\nrouter_settings: {default_fallbacks: [§x]}\n"),
    ("there is no group `x`", "PARAMS\nrouter_settings: {fallbacks: [{g: [{model: §x, temperature: 0}]}]}\n"),
    ("there is no group `h`", "PARAMS\nrouter_settings: {model_group_alias: {a: §h}}\n"),
];

/// Expected messages, each with a file. `PARAMS` begins a deployment; its parameters follow.
pub(crate) const BAD: &[(&str, &str)] = &[
    // invalid YAML
    ("mapping values are not allowed", "model_list: a§: b: c\n"),
    ("tabs disallowed", "model_list:\n\t§- model_name: g\n"),
    ("look for a tab", "model_list:\n\t§- model_name: g\n"),
    ("unclosed bracket", "model_list: §[\n"),
    ("unclosed quote", "general_settings:\n  master_key: §\"sk-canary-123456\n"),
    ("unknown anchor", "model_list: §*missing\n"),
    ("more than one YAML document", "---\nmodel_list:\n---\n§router_settings:\n"),
    ("a key must be a string", "§[a]: b\n"),
    // sections
    ("the configuration is empty", "§"),
    ("the configuration is empty", "# only a comment\n§"),
    ("the configuration must be a map of keys, found a list", "§- a\n"),
    ("`model_list` must be a list, found a string", "model_list: §x\n"),
    ("begin each deployment with `- model_name:`", "model_list:\n  §model_name: g\n"),
    ("a deployment must be a map of keys, found a string", "model_list:\n- §x\n"),
    ("`router_settings` must be a map of keys", "PARAMS\nrouter_settings: §3\n"),
    ("the included file `other.yaml` cannot be read", "include: [§other.yaml]\nPARAMS\n"),
    ("`include` must be a list, found the string", "include: §other.yaml\nPARAMS\n"),
    ("`credential_list` must be a list", "credential_list: §{a: b}\nPARAMS\n"),
    (
        "the credential has no `credential_name`",
        "credential_list: [§{credential_values: {api_key: sk-canary-123456}}]\nPARAMS\n",
    ),
    (
        "`credential_list` has no credential of this name",
        "credential_list: [{credential_name: a}]\nPARAMS\n    litellm_credential_name: §b\n",
    ),
    (
        "`timeout` must be a number of seconds",
        "PARAMS\nrouter_settings: {default_litellm_params: {timeout: §soon}}\n",
    ),
    (
        "whole number of at least 0",
        "PARAMS\n  model_info: {allowed_fails_policy: {TimeoutErrorAllowedFails: §x}}\n",
    ),
    ("`rpm` is written twice", "PARAMS\n    rpm: 6\n    §rpm: 7\n"),
    (
        "the first is in line 2",
        "model_list:\n- model_name: g\n  §model_name: h\n  litellm_params: {model: openai/m}\n",
    ),
    // deployments
    ("the deployment is empty", "model_list:\n-§\n"),
    ("the deployment is empty", "model_list: [§null]\n"),
    ("the deployment is empty", "PARAMS\n- §~\n"),
    ("has no `model_name`", "model_list:\n- §{}\n"),
    ("has no `model_name`", "model_list:\n- §litellm_params: {model: openai/m}\n"),
    ("has no `litellm_params`", "model_list:\n- §model_name: g\n"),
    ("`litellm_params` must be a map", "model_list:\n- model_name: g\n  litellm_params: §openai/m\n"),
    ("`litellm_params` has no `model`", "model_list:\n- model_name: g\n  litellm_params:\n    §rpm: 6\n"),
    (
        "`model_name` must be a string, found the number 4",
        "model_list:\n- model_name: §4\n  litellm_params: {model: openai/m}\n",
    ),
    ("put it in quotes", "model_list:\n- model_name: §true\n  litellm_params: {model: openai/m}\n"),
    (
        "must be a string that is not empty",
        "model_list:\n- model_name: §''\n  litellm_params: {model: openai/m}\n",
    ),
    ("`model_info` must be a map", "PARAMS\n  model_info: §[id]\n"),
    (
        "the id `one` is already used",
        "PARAMS\n  model_info: {id: one}\n- model_name: h\n  litellm_params: {model: openai/m}\n  model_info: {id: §one}\n",
    ),
    // providers
    ("unknown provider `acme`", "model_list:\n- model_name: g\n  litellm_params: {model: §acme/foo}\n"),
    ("did you mean `deepseek`?", "model_list:\n- model_name: g\n  litellm_params: {model: §deepsek/foo}\n"),
    ("did you mean `azure`?", "model_list:\n- model_name: g\n  litellm_params: {model: §azur/foo}\n"),
    (
        "is `openai/foo/bar` with its `api_base`",
        "model_list:\n- model_name: g\n  litellm_params: {model: §acme/foo/bar}\n",
    ),
    (
        "write `openai/llama`",
        "model_list:\n- model_name: g\n  litellm_params: {model: §llama, api_base: 'http://localhost'}\n",
    ),
    ("a provider and a name", "model_list:\n- model_name: g\n  litellm_params: {model: §openai/}\n"),
    (
        "a provider and a name",
        "model_list:\n- model_name: g\n  litellm_params:\n    model: §gpt-4o\n      api_key sk-canary-123456\n",
    ),
    ("unknown provider `bedrok`", "PARAMS\n    custom_llm_provider: §bedrok\n"),
    ("has no `api_base`", "model_list:\n- model_name: g\n  litellm_params: {model: §azure/foo}\n"),
    (
        "is not a version of Azure's API",
        "PARAMS\n    custom_llm_provider: azure\n    api_base: https://r.example\n    api_version: §21.10.2024\n",
    ),
    // URLs
    ("must begin with `http://`", "PARAMS\n    api_base: §example.com\n"),
    ("only http and https are supported", "PARAMS\n    api_base: §ftp://example.com\n"),
    ("it has a query", "PARAMS\n    api_base: §https://example.com/v1?key=sk-canary-123456\n"),
    ("it has a fragment", "PARAMS\n    api_base: §https://example.com/v1#top\n"),
    ("it has a user name", "PARAMS\n    api_base: §https://me:sk-canary-123456@example.com\n"),
    ("its port is not a number", "PARAMS\n    api_base: §http://localhost:99999\n"),
    ("cannot be parsed", "PARAMS\n    api_base: §'http://exa mple'\n"),
    ("`api_base` must be a string, found a list", "PARAMS\n    api_base: §[https://example.com]\n"),
    // numbers and times
    ("`rpm` must be a whole number of at least 1, found the string `six`", "PARAMS\n    rpm: §six\n"),
    ("whole number of at least 1, found the number 0", "PARAMS\n    rpm: §0\n"),
    ("whole number of at least 1, found the number 1.5", "PARAMS\n    tpm: §1.5\n"),
    ("not a time of the day", "PARAMS\n    daily_reset_time: §24:00\n"),
    ("as `HH:MM`, such as `07:30`", "PARAMS\n    daily_reset_time: §+7:30\n"),
    ("found a map", "PARAMS\n    rpm:\n      §a: 1\n"),
    ("found `true`", "PARAMS\n    max_parallel_requests: §true\n"),
    ("a number of at least 0, found the number -1", "PARAMS\n    weight: §-1\n"),
    ("`order` must be a whole number", "PARAMS\n    order: §first\n"),
    ("write seconds as a plain number", "PARAMS\n    timeout: §30s\n"),
    ("greater than 0", "PARAMS\n    timeout: §0\n"),
    ("at least 0, found the number -5", "PARAMS\n    cooldown_time: §-5\n"),
    ("`num_retries` must be a whole number of at least 0", "PARAMS\n    num_retries: §-1\n"),
    ("one of `1`, `10`, `60`", "PARAMS\n    rate_window: §30\n"),
    ("one of `azure`, `billed`", "PARAMS\n    token_accounting: §free\n"),
    ("write `true` or `false`", "PARAMS\n    http2: §yes\n"),
    ("`max_input_tokens` must be a whole number", "PARAMS\n  model_info: {max_input_tokens: §8k}\n"),
    // secrets and headers
    ("`api_key` must be a string, found a number", "PARAMS\n    api_key: §123456\n"),
    ("the environment variable `NO_SUCH_KEY` is not set", "PARAMS\n    api_key: §os.environ/NO_SUCH_KEY\n"),
    ("cannot be sent in a header", "PARAMS\n    api_key: §\"sk-canary-123456\\nx\"\n"),
    ("is not a header name", "PARAMS\n    headers: {§a b: sk-canary-123456}\n"),
    ("`content-length` is set by the gateway", "PARAMS\n    extra_headers: {§Content-Length: 5}\n"),
    (
        "a string that fits in a header, found a string",
        "PARAMS\n    headers: {x-a: §\"sk-canary-123456\\n\"}\n",
    ),
    ("`headers` must be a map of keys, found a string", "PARAMS\n    headers: §sk-canary-123456\n"),
    ("`organization` must be a string, found a list", "PARAMS\n    organization: §[]\n"),
    ("`NO_SUCH_VARIABLE` is not set", "PARAMS\n    user: §os.environ/NO_SUCH_VARIABLE\n"),
    ("`master_key` is empty", "PARAMS\ngeneral_settings:\n  §master_key:\n"),
    (
        "write `api_base: http://HOST:8000/v1`, or set `HOSTED_VLLM_API_BASE`",
        "model_list:\n- model_name: g\n  litellm_params:\n    model: §hosted_vllm/m\n",
    ),
    (
        "a `*` is not supported for a provider",
        "model_list:\n- model_name: 'a/*'\n  litellm_params:\n    model: §azure/*\n    api_base: https://r.example\n",
    ),
    ("has no match in `model_name`", "model_list:\n- model_name: g\n  litellm_params: {model: §openai/*}\n"),
    (
        "has no match in `model_name`",
        "model_list:\n- model_name: 'a/*'\n  litellm_params: {model: §openai/*-*}\n",
    ),
    (
        "has no match in `model_name`",
        "model_list:\n- model_name: '*/*'\n  litellm_params: {model: §openai/*}\n",
    ),
    (
        "must be the name of one group, not a pattern",
        "model_list:\n- model_name: 'o/*'\n  litellm_params: {model: openai/*}\nrouter_settings: {model_group_alias: {a: §o/*}}\n",
    ),
    ("did you mean `groq`?", "model_list:\n- model_name: g\n  litellm_params:\n    model: §grok/m\n"),
    (
        "`proxy-authorization` is set by the gateway",
        "PARAMS\n    headers: {§Proxy-Authorization: sk-canary-123456}\n",
    ),
    ("`expect` is set by the gateway", "PARAMS\n    headers: {§expect: 100-continue}\n"),
    ("`accept-encoding` is set by the gateway", "PARAMS\n    headers: {§accept-encoding: gzip}\n"),
    ("without it every client may call", "PARAMS\ngeneral_settings:\n  §custom_auth: my_auth.check\n"),
    ("set a `master_key`", "PARAMS\ngeneral_settings:\n  §enable_jwt_auth: true\n"),
    ("without it every client may call", "PARAMS\ngeneral_settings:\n  §enable_oauth2_proxy_auth: true\n"),
    ("`NO_SUCH_KEY` is not set", "PARAMS\ngeneral_settings:\n  master_key: §os.environ/NO_SUCH_KEY\n"),
    ("`A` must be a string, found a list", "PARAMS\nenvironment_variables: {A: §[sk-canary-123456]}\n"),
    // settings
    (
        "`num_retries` must be a whole number of at least 0, found the string `three`",
        "PARAMS\nlitellm_settings: {num_retries: §three}\n",
    ),
    (
        "`cooldown_time` must be",
        "PARAMS\nrouter_settings: {cooldown_time: §long}\nlitellm_settings: {cooldown_time: 5}\n",
    ),
    (
        "`allowed_fails` must be",
        "PARAMS\nrouter_settings: {allowed_fails: 3}\nlitellm_settings: {allowed_fails: §many}\n",
    ),
    ("must be one of `off`, `continue`, `restart`", "PARAMS\nrouter_settings: {midstream_fallback: §true}\n"),
    ("must be one of `drop`, `pass`", "PARAMS\nlitellm_settings: {broken_events: §keep}\n"),
    ("must be one of `adaptive`, `simple-shuffle`", "PARAMS\nrouter_settings: {routing_strategy: §random}\n"),
    ("`max_request_size_mb` must be", "PARAMS\ngeneral_settings: {max_request_size_mb: §0}\n"),
    (
        "`fallback_on_context_window` must be true or false",
        "PARAMS\nrouter_settings: {fallback_on_context_window: §1}\n",
    ),
    (
        "`RateLimitErrorRetries` must be",
        "PARAMS\nrouter_settings: {retry_policy: {RateLimitErrorRetries: §x}}\n",
    ),
    // names
    ("the fallback has no `model`", "PARAMS\nrouter_settings: {fallbacks: [{g: [§{temperature: 0}]}]}\n"),
    ("or `default_fallbacks` for every group", "PARAMS\nrouter_settings: {fallbacks: [§g]}\n"),
    ("such as `- GROUP: [OTHER]`", "PARAMS\nrouter_settings:\n  fallbacks:\n    §g: [g]\n"),
    ("such as `{percent: 20, reserve: 100}`", "PARAMS\nrouter_settings: {retry_budget: §20}\n"),
    ("`fallbacks` must be a list, found a map", "PARAMS\nrouter_settings:\n  fallbacks:\n    §g: [g]\n"),
    (
        "`gpt-3.5` must be a list",
        "model_list:\n- model_name: gpt-3.5\n  litellm_params: {model: openai/m}\nrouter_settings: {fallbacks: [{gpt-3.5: §g}]}\n",
    ),
    ("`g` must be a list, found the string `g`", "PARAMS\nrouter_settings: {fallbacks: [{g: §g}]}\n"),
    ("the alias has no `model`", "PARAMS\nrouter_settings: {model_group_alias: {a: §{hidden: true}}}\n"),
    (
        "`hidden` must be true or false",
        "PARAMS\nrouter_settings: {model_group_alias: {a: {model: g, hidden: §maybe}}}\n",
    ),
    // through an alias: the location is where it was written
    (
        "`rpm` must be",
        "x-common: &common {rpm: §six}\nmodel_list:\n- model_name: g\n  litellm_params:\n    <<: *common\n    model: openai/m\n",
    ),
];
