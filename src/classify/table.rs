//! The table: which status, code or message means what. The first row that holds decides.
//!
//! A row that asks for a [`Says::Word`] looks at the codes and types that the body (or a header) names; one that asks
//! for a [`Says::Text`] at the message. Rows for text stand behind the rows for words, and each is bound to the
//! statuses under which that provider was seen to say so.

use std::ops::RangeInclusive;

use super::{
    Kind,
    fault::Fault,
    phrases::{
        BUSY_CODES, CONTEXT_CODES, CONTEXT_TEXTS, CREDENTIAL_CODES, EMPTY_ACCOUNT_TEXTS, LIMIT_CODES,
        MISSING_CODES, MISSING_TEXTS, OUTPUT_LIMIT_TEXTS, POLICY_CODES, POLICY_TEXTS, QUOTA_CODES,
    },
};

/// Under these statuses, an answer that says this is of this kind.
struct Row(RangeInclusive<u16>, Says, Kind);

/// What an error must say.
enum Says {
    /// One of these, as a code, type or status; in lower case.
    Word(&'static [&'static str]),
    /// One of these as a code or type, about a parameter that holds text of the prompt.
    PromptWord(&'static [&'static str]),
    /// One of these as the parameter that the error is about; in lower case.
    Param(&'static [&'static str]),
    /// All parts of one of these, somewhere in the message; in lower case.
    Text(&'static [&'static [&'static str]]),
    /// That its status is really this one.
    Status(u16),
    /// Nothing: the status is enough.
    Nothing,
}

use Says::{Nothing, Param, PromptWord, Status, Text, Word};

static TABLE: &[Row] = &[
    // What a code says outright, under any status.
    Row(400..=400, PromptWord(&["string_above_max_length"]), Kind::ContextWindow),
    Row(400..=400, Word(&["string_above_max_length"]), Kind::BadRequest),
    // vLLM's check of the length of a prompt, in tokens or in characters.
    Row(400..=400, Param(&["input_tokens", "input_text"]), Kind::ContextWindow),
    // Zhipu's numbers, which others may use for something else.
    Row(400..=400, Word(&["1261"]), Kind::ContextWindow),
    Row(400..=400, Word(&["1301"]), Kind::ContentPolicy),
    Row(400..=599, Word(CONTEXT_CODES), Kind::ContextWindow),
    Row(400..=599, Word(POLICY_CODES), Kind::ContentPolicy),
    Row(400..=599, Word(QUOTA_CODES), Kind::QuotaExhausted),
    Row(400..=599, Word(&["throttlingexception", "service_tier_capacity_exceeded"]), Kind::RateLimited),
    // Bedrock says so with a status that also means other things.
    Row(400..=403, Word(CREDENTIAL_CODES), Kind::Unauthorized),
    Row(400..=404, Word(&["accessdeniedexception"]), Kind::Permission),
    Row(400..=424, Word(MISSING_CODES), Kind::NotFound),
    Row(400..=424, Word(&["modeltimeoutexception"]), Kind::Timeout),
    // 429. A TGI or Anthropic that is too busy has met no limit.
    Row(429..=429, Word(BUSY_CODES), Kind::Overloaded),
    Row(429..=429, Nothing, Kind::RateLimited),
    // 400, 413, 422: the request's fault, or hidden in it.
    Row(413..=413, Word(LIMIT_CODES), Kind::RateLimited),
    Row(413..=413, Text(&[&["tokens per minute"]]), Kind::RateLimited),
    Row(400..=422, Text(&[&["too many tokens, please wait"]]), Kind::RateLimited),
    Row(400..=403, Text(EMPTY_ACCOUNT_TEXTS), Kind::QuotaExhausted),
    Row(400..=400, Text(&[&["api key not valid"], &["api key expired"]]), Kind::Unauthorized),
    Row(400..=400, Text(&[&["user location is not supported"]]), Kind::Permission),
    Row(400..=400, Text(MISSING_TEXTS), Kind::NotFound),
    Row(400..=422, Text(OUTPUT_LIMIT_TEXTS), Kind::BadRequest),
    Row(400..=400, Text(CONTEXT_TEXTS), Kind::ContextWindow),
    Row(413..=413, Text(CONTEXT_TEXTS), Kind::ContextWindow),
    // 424: SageMaker passes an error of its container on.
    Row(422..=424, Text(CONTEXT_TEXTS), Kind::ContextWindow),
    // 403: xAI. 424: Cloudflare's AI gateway. 451: StepFun.
    Row(400..=451, Text(POLICY_TEXTS), Kind::ContentPolicy),
    // OpenRouter's moderation.
    Row(403..=403, Text(&[&["moderation", "flagged"], &["input was flagged"]]), Kind::ContentPolicy),
    // What is left of 4xx and below. Redirects are never followed: one means that nothing lives at this address.
    Row(100..=399, Nothing, Kind::NotFound),
    Row(401..=401, Nothing, Kind::Unauthorized),
    Row(402..=402, Nothing, Kind::QuotaExhausted),
    Row(403..=403, Nothing, Kind::Permission),
    Row(404..=405, Nothing, Kind::NotFound),
    Row(408..=408, Nothing, Kind::Timeout),
    // A conflict is a lock that was not had in time: OpenAI's own clients repeat it.
    Row(409..=409, Nothing, Kind::ServerError),
    Row(410..=410, Nothing, Kind::NotFound),
    Row(413..=413, Nothing, Kind::TooLarge),
    // TGI's failed generation, Bedrock's ModelErrorException; too early.
    Row(424..=425, Nothing, Kind::ServerError),
    // Groq: no capacity in this tier. Google and nginx: the other side gave up.
    Row(498..=498, Nothing, Kind::RateLimited),
    Row(499..=499, Nothing, Kind::ServerError),
    Row(400..=499, Nothing, Kind::BadRequest),
    // 5xx: what a gateway on the way has wrapped shows through.
    Row(500..=599, Status(429), Kind::RateLimited),
    Row(500..=599, Word(LIMIT_CODES), Kind::RateLimited),
    Row(500..=599, Word(BUSY_CODES), Kind::Overloaded),
    Row(500..=599, Word(&["deadline_exceeded", "timeout_error", "modeltimeoutexception"]), Kind::Timeout),
    // llama.cpp before it had a code for it.
    Row(500..=500, Text(CONTEXT_TEXTS), Kind::ContextWindow),
    Row(
        500..=500,
        Text(&[&["the model produced invalid content"], &["new_sensitive ("]]),
        Kind::ContentPolicy,
    ),
    Row(500..=502, Text(&[&["currently overloaded"], &["model is overloaded"]]), Kind::Overloaded),
    Row(503..=503, Nothing, Kind::Overloaded),
    Row(504..=504, Nothing, Kind::Timeout),
    Row(529..=529, Nothing, Kind::Overloaded),
];

/// The status that an error inside a 200 would have had, by what it calls itself.
static IMPLIED: &[(u16, &[&str])] = &[
    (
        400,
        &[
            "invalid_request_error",
            "badrequesterror",
            "validationexception",
            "invalid_argument",
            "bad_request",
        ],
    ),
    (401, &["authentication_error", "unauthenticated", "invalid_api_key", "authenticationerror"]),
    (403, &["permission_error", "permission_denied", "accessdeniedexception"]),
    (404, &["not_found_error", "not_found", "notfounderror", "model_not_found"]),
    (408, &["modeltimeoutexception"]),
    (413, &["request_too_large"]),
    (422, &["validation", "template_error", "tool_error"]),
    (424, &["generation", "incomplete_generation", "modelstreamerrorexception", "modelerrorexception"]),
    (
        429,
        &["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "too_many_requests", "overloaded"],
    ),
    (429, &["insufficient_quota", "tokens", "requests", "ratelimiterror"]),
    (503, &["service_unavailable", "unavailable", "serviceunavailableexception", "unavailable_error"]),
    (504, &["timeout_error", "deadline_exceeded"]),
    (529, &["overloaded_error", "server_is_overloaded"]),
];

/// What an error with this status is.
pub(super) fn judge(status: u16, fault: &Fault) -> Kind {
    let row = TABLE.iter().find(|row| row.0.contains(&status) && holds(&row.1, fault));
    row.map_or(Kind::ServerError, |row| row.2)
}

/// The status that an error names without a number.
pub(super) fn implied(fault: &Fault) -> Option<u16> {
    IMPLIED.iter().find(|(_, words)| words.iter().any(|word| fault.names(word))).map(|(status, _)| *status)
}

fn holds(says: &Says, fault: &Fault) -> bool {
    match says {
        Word(words) => words.iter().any(|word| fault.names(word)),
        PromptWord(words) => fault.concerns_prompt() && words.iter().any(|word| fault.names(word)),
        Param(names) => names.iter().any(|name| fault.concerns(name)),
        Text(texts) => texts.iter().any(|parts| says_text(parts, fault)),
        Status(status) => fault.status() == Some(*status),
        Nothing => true,
    }
}

/// Returns true if all parts stand in the message.
fn says_text(parts: &[&str], fault: &Fault) -> bool {
    parts.iter().all(|part| fault.text().contains(part))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{super::golden, *};

    /// What a row can be shown to decide: one fault for each code and each text.
    fn faults(says: &Says) -> Vec<Fault> {
        let told = |code: &str, param: &str, message: &str| {
            let [code, param, message] = [code, param, message].map(str::to_uppercase);
            let body = serde_json::json!({"error": {"code": code, "param": param, "message": message}});
            Fault::of_answer(&HeaderMap::new(), body.to_string().as_bytes())
        };
        match says {
            Word(words) => words.iter().map(|word| told(word, "", "")).collect(),
            PromptWord(words) => words.iter().map(|word| told(word, "input[0].content", "")).collect(),
            Param(names) => names.iter().map(|name| told("", name, "")).collect(),
            Text(texts) => texts.iter().map(|parts| told("", "", &parts.join(" 7 "))).collect(),
            Status(status) => vec![told(&status.to_string(), "", "")],
            Nothing => vec![told("", "", "")],
        }
    }

    #[test]
    fn every_entry_decides_under_some_status_and_none_is_hidden_by_the_rows_before_it() {
        for (at, row) in TABLE.iter().enumerate() {
            for fault in faults(&row.1) {
                let decides = |status| {
                    let first = TABLE.iter().position(|row| row.0.contains(&status) && holds(&row.1, &fault));
                    first == Some(at)
                };
                assert!(row.0.clone().any(decides), "row {at} ({:?}) never decides about {fault:?}", row.2);
            }
        }
    }

    /// Returns what `fault` would be judged as if no row had the text `without`.
    fn judge_without(status: u16, fault: &Fault, without: &[&str]) -> Kind {
        let mut rows = TABLE.iter().filter(|row| row.0.contains(&status));
        let row = rows.find(|row| match &row.1 {
            Text(texts) => texts.iter().any(|parts| *parts != without && says_text(parts, fault)),
            says => holds(says, fault),
        });
        row.map_or(Kind::ServerError, |row| row.2)
    }

    #[test]
    fn every_text_classifies_a_golden_case_that_nothing_else_does() {
        for (texts, file) in [(CONTEXT_TEXTS, golden::CONTEXT_WINDOW), (POLICY_TEXTS, golden::CONTENT_POLICY)]
        {
            let cases: Vec<_> =
                golden::cases(file).iter().map(|case| (case.status.as_u16(), case.fault())).collect();
            let idle: Vec<_> = texts
                .iter()
                .filter(|text| {
                    !cases
                        .iter()
                        .any(|(status, fault)| judge(*status, fault) != judge_without(*status, fault, text))
                })
                .collect();
            assert!(idle.is_empty(), "{idle:?}");
        }
    }

    #[test]
    fn every_status_has_a_verdict_that_is_no_success() {
        for status in 100..=999 {
            let kind = judge(status, &Fault::default());
            assert!(
                kind != Kind::Success && kind != Kind::Network && kind != Kind::StreamBroken,
                "{status}: {kind:?}"
            );
        }
    }

    #[test]
    fn what_an_error_implies_is_an_error() {
        for (status, words) in IMPLIED {
            assert!((400..=599).contains(status));
            assert!(words.iter().all(|word| *word == word.to_lowercase()));
        }
    }
}
