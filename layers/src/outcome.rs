//! How an attempt ended, in plain numbers: [`Outcome`].
//!
//! This is all that a layer ever learns about an answer. Whoever makes it may have read headers, status codes or the
//! last event of a stream; a layer only sees the numbers.

use std::{fmt, num::NonZeroU64, time::Duration};

use crate::class::Class;

/// How one attempt ended.
///
/// Every layer that an answer passes moves it, so it is packed into 48 bytes. Counts saturate just below 2^32, and times
/// until a limit is whole are kept in milliseconds, rounded up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    class: Class,
    kind: u8,
    sent: bool,
    evidence: bool,
    refused: bool,
    used: Packed,
    /// In nanoseconds.
    retry_after: Option<NonZeroU64>,
    requests: PackedReport,
    tokens: PackedReport,
}

/// What an answer told about one of the backend's limits. Each part may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedLimit {
    /// The limit per minute.
    pub limit: Option<u64>,
    /// How much of it is left.
    pub remaining: Option<u64>,
    /// How long until it is whole again, or at least until there is some.
    pub reset: Option<Duration>,
}

impl ReportedLimit {
    /// Whether the answer told nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.limit.is_none() && self.remaining.is_none() && self.reset.is_none()
    }
}

/// [`ReportedLimit`] in twelve bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedReport {
    limit: Packed,
    remaining: Packed,
    /// In milliseconds.
    reset: Packed,
}

impl PackedReport {
    const NOTHING: Self = Self { limit: Packed::UNKNOWN, remaining: Packed::UNKNOWN, reset: Packed::UNKNOWN };

    const fn of(seen: ReportedLimit) -> Self {
        let reset = match seen.reset {
            // Less than 2^64 milliseconds in any duration that was ever told; more saturate here, and again below.
            Some(reset) => Some(saturated(reset.as_nanos().div_ceil(1_000_000))),
            None => None,
        };
        Self {
            limit: Packed::of(seen.limit),
            remaining: Packed::of(seen.remaining),
            reset: Packed::of(reset),
        }
    }

    fn get(self) -> ReportedLimit {
        let reset = self.reset.get().map(Duration::from_millis);
        ReportedLimit { limit: self.limit.get(), remaining: self.remaining.get(), reset }
    }
}

/// A number that may be unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed(u32);

impl Packed {
    const UNKNOWN: Self = Self(u32::MAX);

    const fn of(number: Option<u64>) -> Self {
        const MOST: u64 = u32::MAX as u64 - 1;
        match number {
            #[expect(clippy::cast_possible_truncation, reason = "it fits")]
            Some(number) => Self(if number < MOST { number as u32 } else { MOST as u32 }),
            None => Self::UNKNOWN,
        }
    }

    fn get(self) -> Option<u64> {
        (self != Self::UNKNOWN).then(|| u64::from(self.0))
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

const fn saturated(number: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "it fits")]
    if number < u64::MAX as u128 { number as u64 } else { u64::MAX }
}

impl Outcome {
    /// An outcome of this class, of an attempt that reached the backend, with nothing more known about it.
    #[must_use]
    pub const fn new(class: Class) -> Self {
        Self {
            class,
            kind: 0,
            sent: true,
            evidence: true,
            refused: false,
            retry_after: None,
            used: Packed::UNKNOWN,
            requests: PackedReport::NOTHING,
            tokens: PackedReport::NOTHING,
        }
    }

    /// With a tag that the layers carry and never read: the finer kind, for the one who made the outcome.
    #[must_use]
    pub const fn with_kind(mut self, kind: u8) -> Self {
        self.kind = kind;
        self
    }

    /// The attempt never left us (refused, no route, a pooled connection that was gone): it cost the backend
    /// nothing, and may be made again elsewhere at once.
    #[must_use]
    pub const fn never_sent(mut self) -> Self {
        self.sent = false;
        self
    }

    /// Says nothing about the health of the endpoint: it was cut short by the caller's own wish.
    #[must_use]
    pub const fn without_evidence(mut self) -> Self {
        self.evidence = false;
        self
    }

    /// Our own refusal: no endpoint was called. Such an outcome is not retried; it goes straight to a fallback.
    #[must_use]
    pub const fn refused(mut self) -> Self {
        self.refused = true;
        self.sent = false;
        self.evidence = false;
        self
    }

    /// With the time that the backend (or our own refusal) asks us to wait. Zero means none was given.
    #[must_use]
    pub const fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = match after {
            Some(after) => NonZeroU64::new(saturated(after.as_nanos())),
            None => None,
        };
        self
    }

    /// With what the call really cost, in the units that were reserved (tokens).
    #[must_use]
    pub const fn with_used(mut self, used: Option<u64>) -> Self {
        self.used = Packed::of(used);
        self
    }

    /// With what the answer told about the backend's limits of requests and of tokens.
    #[must_use]
    pub const fn with_reported(mut self, requests: ReportedLimit, tokens: ReportedLimit) -> Self {
        self.requests = PackedReport::of(requests);
        self.tokens = PackedReport::of(tokens);
        self
    }

    /// Of which of the eight kinds.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The tag given by [`Outcome::with_kind`].
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// Whether the backend may have seen the request.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        self.sent
    }

    /// Whether this counts for or against the endpoint's health.
    #[must_use]
    pub const fn is_evidence(&self) -> bool {
        self.evidence
    }

    /// Whether this is our own refusal, made without calling any endpoint.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.refused
    }

    /// Whether it went well, as far as is known.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.class == Class::Success
    }

    /// How long we were asked to wait; never zero.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|nanos| Duration::from_nanos(nanos.get()))
    }

    /// What the call really cost, where the answer said so.
    #[must_use]
    pub fn used(&self) -> Option<u64> {
        self.used.get()
    }

    /// What was told about the limit of requests.
    #[must_use]
    pub fn requests(&self) -> ReportedLimit {
        self.requests.get()
    }

    /// What was told about the limit of tokens.
    #[must_use]
    pub fn tokens(&self) -> ReportedLimit {
        self.tokens.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        assert_eq!(size_of::<Outcome>(), 48);
        let of = |limit, remaining, reset| ReportedLimit { limit, remaining, reset };
        let requests = of(Some(60), Some(0), Some(Duration::from_micros(1_500)));
        let tokens = of(None, Some(u64::MAX), Some(Duration::MAX));
        let outcome = Outcome::new(Class::RateLimited).with_reported(requests, tokens).with_used(Some(0));
        assert_eq!(outcome.requests(), of(Some(60), Some(0), Some(Duration::from_millis(2))));
        let most = u64::from(u32::MAX) - 1;
        assert_eq!(outcome.tokens(), of(None, Some(most), Some(Duration::from_millis(most))));
        assert_eq!((outcome.used(), outcome.with_used(None).used()), (Some(0), None));
        assert!(Outcome::new(Class::Success).requests().is_empty());
    }

    #[test]
    fn a_time_to_wait_is_exact_and_never_zero() {
        let told = |after| Outcome::new(Class::RateLimited).with_retry_after(after).retry_after();
        let odd = Some(Duration::new(1, 1));
        assert_eq!([told(odd), told(Some(Duration::ZERO)), told(None)], [odd, None, None]);
    }
}
