//! Lookup in LiteLLM's policies, which are keyed by exception name, for an [`OutcomeKind`].

use super::OutcomeKind;
use crate::config::{ErrorCounts, ErrorName};

/// Returns the number of a policy for this kind: by its own exception, else by the broader exception, else by
/// `Default`.
pub(crate) fn counted(policy: &ErrorCounts, kind: OutcomeKind) -> Option<u32> {
    named(policy, kind).or_else(|| match kind {
        OutcomeKind::Success | OutcomeKind::Filtered => None,
        _ => policy.0.get(&ErrorName::Default).copied(),
    })
}

/// Returns the number of a policy that names the exception of this kind, or the broader exception.
pub(crate) fn named(policy: &ErrorCounts, kind: OutcomeKind) -> Option<u32> {
    use ErrorName as Name;
    let names: &[Name] = match kind {
        OutcomeKind::Success | OutcomeKind::Filtered => &[],
        OutcomeKind::RateLimited | OutcomeKind::QuotaExhausted => &[Name::RateLimit],
        OutcomeKind::Overloaded => &[Name::ServiceUnavailable],
        OutcomeKind::ContentPolicy => &[Name::ContentPolicyViolation, Name::BadRequest],
        OutcomeKind::ContextWindow | OutcomeKind::TooLarge | OutcomeKind::BadRequest => &[Name::BadRequest],
        OutcomeKind::Unauthorized | OutcomeKind::Permission => &[Name::Authentication],
        OutcomeKind::NotFound => &[Name::NotFound],
        OutcomeKind::Timeout => &[Name::Timeout],
        OutcomeKind::ServerError => &[Name::InternalServer],
        // LiteLLM has no policy for these; most of its users see them as internal errors of the provider.
        OutcomeKind::Network | OutcomeKind::StreamBroken => &[Name::InternalServer],
    };
    names.iter().find_map(|name| policy.0.get(name).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_exception_of_a_policy_wins() {
        let policy = ErrorCounts([(ErrorName::BadRequest, 1), (ErrorName::Default, 9)].into());
        assert_eq!(counted(&policy, OutcomeKind::ContentPolicy), Some(1));
        assert_eq!(counted(&policy, OutcomeKind::RateLimited), Some(9));
        assert_eq!(counted(&ErrorCounts::default(), OutcomeKind::RateLimited), None);
    }
}
