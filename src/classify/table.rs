//! The classification table of statuses, codes and messages. The first matching row decides.
//!
//! A row with [`Matcher::Word`] matches the codes and types in the body (or in a header), a row with [`Matcher::Text`] the
//! message. Rows with text follow the rows with words, and each is limited to the statuses with which that provider
//! was observed to send it.

use std::ops::RangeInclusive;

use super::{
    OutcomeKind,
    error_details::ErrorDetails,
    phrases::{
        BUSY_CODES, CONTEXT_CODES, CONTEXT_TEXTS, CREDENTIAL_CODES, EMPTY_ACCOUNT_TEXTS, LIMIT_CODES,
        MISSING_CODES, MISSING_TEXTS, OUTPUT_LIMIT_TEXTS, POLICY_CODES, POLICY_TEXTS, QUOTA_CODES,
    },
};

/// A row: responses with these statuses that match have this kind.
struct Row(RangeInclusive<u16>, Matcher, OutcomeKind);

/// The condition of a row.
enum Matcher {
    /// Matches any of these codes, types or statuses, in lower case.
    Word(&'static [&'static str]),
    /// Matches any of these codes or types, if the error is about a parameter that contains text of the prompt.
    PromptWord(&'static [&'static str]),
    /// Matches if the error is about any of these parameters, in lower case.
    Param(&'static [&'static str]),
    /// Matches if the message contains all parts of any entry, in lower case.
    Text(&'static [&'static [&'static str]]),
    /// Matches if the status is exactly this one.
    Status(u16),
    /// Matches always.
    Nothing,
}

use Matcher::{Nothing, Param, PromptWord, Status, Text, Word};

static TABLE: &[Row] = &[
    // Codes that are unambiguous with any status.
    Row(400..=400, PromptWord(&["string_above_max_length"]), OutcomeKind::ContextWindow),
    Row(400..=400, Word(&["string_above_max_length"]), OutcomeKind::BadRequest),
    // vLLM's check of the length of a prompt, in tokens or in characters.
    Row(400..=400, Param(&["input_tokens", "input_text"]), OutcomeKind::ContextWindow),
    // Zhipu's codes, which others may use with another meaning.
    Row(400..=400, Word(&["1261"]), OutcomeKind::ContextWindow),
    Row(400..=400, Word(&["1301"]), OutcomeKind::ContentPolicy),
    Row(400..=599, Word(CONTEXT_CODES), OutcomeKind::ContextWindow),
    Row(400..=599, Word(POLICY_CODES), OutcomeKind::ContentPolicy),
    Row(400..=599, Word(QUOTA_CODES), OutcomeKind::QuotaExhausted),
    Row(
        400..=599,
        Word(&["throttlingexception", "service_tier_capacity_exceeded"]),
        OutcomeKind::RateLimited,
    ),
    // Codes that Bedrock sends with an ambiguous status.
    Row(400..=403, Word(CREDENTIAL_CODES), OutcomeKind::Unauthorized),
    Row(400..=404, Word(&["accessdeniedexception"]), OutcomeKind::Permission),
    Row(400..=424, Word(MISSING_CODES), OutcomeKind::NotFound),
    Row(400..=424, Word(&["modeltimeoutexception"]), OutcomeKind::Timeout),
    // 429. An overloaded TGI or Anthropic has not reached a rate limit.
    Row(429..=429, Word(BUSY_CODES), OutcomeKind::Overloaded),
    Row(429..=429, Nothing, OutcomeKind::RateLimited),
    // 400, 413, 422: errors of the request, and other errors with these statuses.
    Row(413..=413, Word(LIMIT_CODES), OutcomeKind::RateLimited),
    Row(413..=413, Text(&[&["tokens per minute"]]), OutcomeKind::RateLimited),
    Row(400..=422, Text(&[&["too many tokens, please wait"]]), OutcomeKind::RateLimited),
    Row(400..=403, Text(EMPTY_ACCOUNT_TEXTS), OutcomeKind::QuotaExhausted),
    Row(400..=400, Text(&[&["api key not valid"], &["api key expired"]]), OutcomeKind::Unauthorized),
    Row(400..=400, Text(&[&["user location is not supported"]]), OutcomeKind::Permission),
    Row(400..=400, Text(MISSING_TEXTS), OutcomeKind::NotFound),
    Row(400..=422, Text(OUTPUT_LIMIT_TEXTS), OutcomeKind::BadRequest),
    Row(400..=400, Text(CONTEXT_TEXTS), OutcomeKind::ContextWindow),
    Row(413..=413, Text(CONTEXT_TEXTS), OutcomeKind::ContextWindow),
    // 424: SageMaker forwards an error of its container.
    Row(422..=424, Text(CONTEXT_TEXTS), OutcomeKind::ContextWindow),
    // 403: xAI. 424: Cloudflare's AI gateway. 451: StepFun.
    Row(400..=451, Text(POLICY_TEXTS), OutcomeKind::ContentPolicy),
    // OpenRouter's moderation.
    Row(403..=403, Text(&[&["moderation", "flagged"], &["input was flagged"]]), OutcomeKind::ContentPolicy),
    // Remaining 4xx, and lower statuses. Redirects are not followed: the address is wrong.
    Row(100..=399, Nothing, OutcomeKind::NotFound),
    Row(401..=401, Nothing, OutcomeKind::Unauthorized),
    Row(402..=402, Nothing, OutcomeKind::QuotaExhausted),
    Row(403..=403, Nothing, OutcomeKind::Permission),
    // The address, the media type, the length and the connection are the gateway's, not the client's: a refusal of them is
    // about the set-up of the deployment. 451: its region. 494 to 497: nginx, about TLS and the length of headers.
    Row(404..=407, Nothing, OutcomeKind::NotFound),
    Row(408..=408, Nothing, OutcomeKind::Timeout),
    // A conflict is a lock that was not acquired in time: OpenAI's own clients retry it.
    Row(409..=409, Nothing, OutcomeKind::ServerError),
    Row(410..=412, Nothing, OutcomeKind::NotFound),
    Row(413..=413, Nothing, OutcomeKind::TooLarge),
    Row(414..=417, Nothing, OutcomeKind::NotFound),
    Row(421..=421, Nothing, OutcomeKind::NotFound),
    // TGI's failed generation, Bedrock's ModelErrorException; too early.
    Row(424..=425, Nothing, OutcomeKind::ServerError),
    Row(426..=426, Nothing, OutcomeKind::NotFound),
    Row(431..=431, Nothing, OutcomeKind::NotFound),
    Row(451..=451, Nothing, OutcomeKind::NotFound),
    Row(494..=497, Nothing, OutcomeKind::NotFound),
    // Groq: no capacity in this tier. Google and nginx: the client closed the request.
    Row(498..=498, Nothing, OutcomeKind::RateLimited),
    Row(499..=499, Nothing, OutcomeKind::ServerError),
    Row(400..=499, Nothing, OutcomeKind::BadRequest),
    // 5xx: the error that a gateway on the way has wrapped.
    Row(500..=599, Status(429), OutcomeKind::RateLimited),
    Row(500..=599, Word(LIMIT_CODES), OutcomeKind::RateLimited),
    Row(500..=599, Word(BUSY_CODES), OutcomeKind::Overloaded),
    Row(
        500..=599,
        Word(&["deadline_exceeded", "timeout_error", "modeltimeoutexception"]),
        OutcomeKind::Timeout,
    ),
    // llama.cpp, before it had a code for it.
    Row(500..=500, Text(CONTEXT_TEXTS), OutcomeKind::ContextWindow),
    Row(
        500..=500,
        Text(&[&["the model produced invalid content"], &["new_sensitive ("]]),
        OutcomeKind::ContentPolicy,
    ),
    Row(500..=502, Text(&[&["currently overloaded"], &["model is overloaded"]]), OutcomeKind::Overloaded),
    Row(503..=503, Nothing, OutcomeKind::Overloaded),
    Row(504..=504, Nothing, OutcomeKind::Timeout),
    Row(529..=529, Nothing, OutcomeKind::Overloaded),
];

/// Statuses of errors inside of a 200, by the codes and types in the body.
static IMPLIED: &[(u16, &[&str])] = &[
    (
        400,
        &[
            "invalid_request_error",
            "badrequesterror",
            "validationexception",
            "invalid_argument",
            "bad_request",
            "invalidparameter",
        ],
    ),
    (
        401,
        &[
            "authentication_error",
            "unauthenticated",
            "invalid_api_key",
            "authenticationerror",
            "unauthorized",
            "invalidapikey",
        ],
    ),
    (403, &["permission_error", "permission_denied", "accessdeniedexception", "accessdenied", "forbidden"]),
    (404, &["not_found_error", "not_found", "notfounderror", "model_not_found", "modelnotfound"]),
    (408, &["modeltimeoutexception"]),
    (413, &["request_too_large"]),
    (422, &["validation", "template_error", "tool_error"]),
    (424, &["generation", "incomplete_generation", "modelstreamerrorexception", "modelerrorexception"]),
    (
        429,
        &["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "too_many_requests", "overloaded"],
    ),
    (429, &["insufficient_quota", "tokens", "requests", "ratelimiterror", "throttling", "rate_limited"]),
    (503, &["service_unavailable", "unavailable", "serviceunavailableexception", "unavailable_error"]),
    (504, &["timeout_error", "deadline_exceeded"]),
    (529, &["overloaded_error", "server_is_overloaded"]),
];

/// Returns the kind of an error with this status.
pub(super) fn judge(status: u16, details: &ErrorDetails) -> OutcomeKind {
    let row = TABLE.iter().find(|row| row.0.contains(&status) && matches(&row.1, details));
    row.map_or(OutcomeKind::ServerError, |row| row.2)
}

/// Returns the status that an error inside of a 200 would have had, derived from its codes and types.
pub(super) fn implied(details: &ErrorDetails) -> Option<u16> {
    IMPLIED.iter().find(|(_, words)| words.iter().any(|word| details.names(word))).map(|(status, _)| *status)
}

fn matches(matcher: &Matcher, details: &ErrorDetails) -> bool {
    match matcher {
        Word(words) => words.iter().any(|word| details.names(word)),
        PromptWord(words) => details.concerns_prompt() && words.iter().any(|word| details.names(word)),
        Param(names) => names.iter().any(|name| details.concerns(name)),
        Text(texts) => texts.iter().any(|parts| says_text(parts, details)),
        Status(status) => details.status() == Some(*status),
        Nothing => true,
    }
}

/// Returns true if the message contains all parts.
fn says_text(parts: &[&str], details: &ErrorDetails) -> bool {
    parts.iter().all(|part| details.text().contains(part))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{super::golden, *};

    /// Returns an error for each code and each text of a row.
    fn examples(matcher: &Matcher) -> Vec<ErrorDetails> {
        let told = |code: &str, param: &str, message: &str| {
            let [code, param, message] = [code, param, message].map(str::to_uppercase);
            let body = serde_json::json!({"error": {"code": code, "param": param, "message": message}});
            ErrorDetails::of_response(&HeaderMap::new(), body.to_string().as_bytes())
        };
        match matcher {
            Word(words) => words.iter().map(|word| told(word, "", "")).collect(),
            PromptWord(words) => words.iter().map(|word| told(word, "input[0].content", "")).collect(),
            Param(names) => names.iter().map(|name| told("", name, "")).collect(),
            Text(texts) => texts.iter().map(|parts| told("", "", &parts.join(" 7 "))).collect(),
            Status(status) => vec![told(&status.to_string(), "", "")],
            Nothing => vec![told("", "", "")],
        }
    }

    #[test]
    fn every_row_of_the_classification_table_is_reachable() {
        for (at, row) in TABLE.iter().enumerate() {
            for details in examples(&row.1) {
                let decides = |status| {
                    let first =
                        TABLE.iter().position(|row| row.0.contains(&status) && matches(&row.1, &details));
                    first == Some(at)
                };
                assert!(row.0.clone().any(decides), "row {at} ({:?}) never decides about {details:?}", row.2);
            }
        }
    }

    /// Returns the kind of the error if no row had the text `without`.
    fn judge_without(status: u16, details: &ErrorDetails, without: &[&str]) -> OutcomeKind {
        let mut rows = TABLE.iter().filter(|row| row.0.contains(&status));
        let row = rows.find(|row| match &row.1 {
            Text(texts) => texts.iter().any(|parts| *parts != without && says_text(parts, details)),
            matcher => matches(matcher, details),
        });
        row.map_or(OutcomeKind::ServerError, |row| row.2)
    }

    #[test]
    fn every_text_classifies_a_golden_case_that_nothing_else_does() {
        for (texts, file) in [(CONTEXT_TEXTS, golden::CONTEXT_WINDOW), (POLICY_TEXTS, golden::CONTENT_POLICY)]
        {
            let cases: Vec<_> =
                golden::cases(file).iter().map(|case| (case.status.as_u16(), case.details())).collect();
            let idle: Vec<_> = texts
                .iter()
                .filter(|text| {
                    !cases.iter().any(|(status, details)| {
                        judge(*status, details) != judge_without(*status, details, text)
                    })
                })
                .collect();
            assert!(idle.is_empty(), "{idle:?}");
        }
    }

    #[test]
    fn every_error_status_has_an_error_kind() {
        for status in 100..=999 {
            let kind = judge(status, &ErrorDetails::default());
            assert!(
                kind != OutcomeKind::Success
                    && kind != OutcomeKind::Network
                    && kind != OutcomeKind::StreamBroken,
                "{status}: {kind:?}"
            );
        }
    }

    #[test]
    fn the_implied_status_of_an_error_is_an_error_status() {
        for (status, words) in IMPLIED {
            assert!((400..=599).contains(status));
            assert!(words.iter().all(|word| *word == word.to_lowercase()));
        }
    }
}
