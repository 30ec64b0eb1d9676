//! LiteLLM's policies by exception name, asked by [`Kind`].

use super::Kind;
use crate::config::{ErrorCounts, ErrorName};

/// What a policy says of this kind: by its own name, else by that of the broader exception, else by its default.
pub(crate) fn counted(policy: &ErrorCounts, kind: Kind) -> Option<u32> {
    use ErrorName as Name;
    let names: &[Name] = match kind {
        Kind::Success => return None,
        Kind::RateLimited | Kind::QuotaExhausted => &[Name::RateLimit],
        Kind::Overloaded => &[Name::ServiceUnavailable],
        Kind::ContentPolicy => &[Name::ContentPolicyViolation, Name::BadRequest],
        Kind::ContextWindow | Kind::TooLarge | Kind::BadRequest => &[Name::BadRequest],
        Kind::Unauthorized | Kind::Permission => &[Name::Authentication],
        Kind::NotFound => &[Name::NotFound],
        Kind::Timeout => &[Name::Timeout],
        Kind::ServerError => &[Name::InternalServer],
        // LiteLLM has no policy for these; to most of its users they are internal errors of the provider.
        Kind::Network | Kind::StreamBroken => &[Name::InternalServer],
    };
    names.iter().chain(&[Name::Default]).find_map(|name| policy.0.get(name).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_name_wins_and_the_default_comes_last() {
        let policy = ErrorCounts([(ErrorName::BadRequest, 1), (ErrorName::Default, 9)].into());
        assert_eq!(counted(&policy, Kind::ContentPolicy), Some(1));
        assert_eq!(counted(&policy, Kind::RateLimited), Some(9));
        assert_eq!(counted(&ErrorCounts::default(), Kind::RateLimited), None);
    }
}
