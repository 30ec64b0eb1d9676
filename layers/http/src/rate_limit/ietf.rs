//! The `RateLimit` fields of the IETF's draft, in its present form and in the older ones.

use http::{HeaderMap, HeaderName};
use tollgate_layers::outcome::ReportedLimit;

use super::{
    structured::{Member, members},
    vendor::{self, Names},
};
use crate::times;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The three fields of drafts 0 to 6.
static OLDER: Names = Names::of("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset");
/// Fields with these meanings under the names from before the draft; they follow the draft if they state a window.
static PREFIXED: Names = Names::of("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset");

/// The window of a limit per minute, in seconds.
const MINUTE: u64 = 60;

/// A service limit: the state of one policy.
struct ServiceLimit<'a> {
    reported: ReportedLimit,
    policy: Policy<'a>,
}

/// A quota policy, as far as it is known.
#[derive(Clone, Copy, Default)]
struct Policy<'a> {
    name: &'a str,
    quota: Option<u64>,
    /// In seconds.
    window: Option<u64>,
    /// The quota unit; requests if it is not stated.
    unit: Option<&'a str>,
}

impl<'a> Policy<'a> {
    fn of(member: &Member<'a>) -> Self {
        let (window, unit) = (member.number("w"), member.text("qu"));
        match member.integer() {
            // Up to draft 7 the item is the quota, and there is no name.
            quota @ Some(_) => Self { name: "", quota, window, unit },
            None => Self { name: member.name(), quota: member.number("q"), window, unit },
        }
    }

    fn counts(&self, unit: &str) -> bool {
        self.unit.unwrap_or("requests") == unit
    }
}

/// Returns the limit of requests per minute: of several the one of which the least remains.
pub(super) fn requests(headers: &HeaderMap) -> ReportedLimit {
    let limits = service_limits(headers).filter(|limit| limit.policy.counts("requests"));
    let reported = limits.map(|limit| limit.per_minute()).filter(|reported| !reported.is_empty());
    reported.min_by_key(|reported| reported.remaining.unwrap_or(u64::MAX)).unwrap_or_default()
}

/// Returns all limits but those of concurrent requests.
pub(super) fn all(headers: &HeaderMap) -> impl Iterator<Item = ReportedLimit> {
    let limits = service_limits(headers).filter(|limit| !limit.policy.counts("concurrent-requests"));
    limits.map(|limit| limit.reported)
}

impl ServiceLimit<'_> {
    /// Removes what does not apply to a limit per minute.
    fn per_minute(&self) -> ReportedLimit {
        let used_up = self.reported.remaining == Some(0);
        match self.policy.window {
            Some(MINUTE) => self.reported,
            Some(_) if used_up => ReportedLimit { limit: None, ..self.reported },
            Some(_) => ReportedLimit::default(),
            // Without a window the limit may be one per hour that is about to be restored.
            None => vendor::per_minute(ReportedLimit { limit: None, ..self.reported }),
        }
    }
}

fn service_limits(headers: &HeaderMap) -> impl Iterator<Item = ServiceLimit<'_>> {
    let prefixed = triple(&PREFIXED, headers).filter(|limit| limit.policy.window.is_some());
    present(headers).chain(dictionary(headers)).chain(triple(&OLDER, headers)).chain(prefixed)
}

fn policies(headers: &HeaderMap) -> impl Iterator<Item = Policy<'_>> {
    members(headers, &POLICY).map(|member| Policy::of(&member))
}

/// Reads `RateLimit: "default";r=50;t=30`.
fn present(headers: &HeaderMap) -> impl Iterator<Item = ServiceLimit<'_>> {
    members(headers, &RATE_LIMIT).filter_map(|member| {
        let remaining = Some(member.number("r")?);
        let policy = policies(headers).find(|policy| policy.name == member.name()).unwrap_or_default();
        let reset = member.number("t").and_then(|seconds| times::seconds(seconds as f64));
        Some(ServiceLimit { reported: ReportedLimit { limit: policy.quota, remaining, reset }, policy })
    })
}

/// Reads `RateLimit: limit=100, remaining=50, reset=5`, the form of draft 7.
fn dictionary(headers: &HeaderMap) -> Option<ServiceLimit<'_>> {
    let value = |key| members(headers, &RATE_LIMIT).find_map(|member| member.entry(key));
    let limit = Some(value("limit")?);
    let reset = value("reset").and_then(|seconds| times::seconds(seconds as f64));
    let reported = ReportedLimit { limit, remaining: value("remaining"), reset };
    Some(ServiceLimit { reported, policy: policy_of(limit, policies(headers)) })
}

/// Reads the three fields of drafts 0 to 6. The policies follow the limit in its field, or have a field of their own.
fn triple<'a>(names: &Names, headers: &'a HeaderMap) -> Option<ServiceLimit<'a>> {
    let mut listed = members(headers, &names.limit);
    let limit = Some(listed.next()?.integer()?);
    let listed = listed.map(|member| Policy::of(&member));
    let reported = ReportedLimit { limit, ..vendor::read(names, headers) };
    Some(ServiceLimit { reported, policy: policy_of(limit, listed.chain(policies(headers))) })
}

/// Returns the policy with this quota, which no two policies have in the older forms.
fn policy_of<'a>(quota: Option<u64>, mut policies: impl Iterator<Item = Policy<'a>>) -> Policy<'a> {
    policies.find(|policy| policy.quota == quota).unwrap_or_default()
}
