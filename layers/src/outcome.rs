//! The result of one attempt as the layers see it: [`Outcome`].
//!
//! An outcome is all that a layer learns about a response. The code that makes it may read headers, status codes or the
//! last event of a stream; a layer sees only numbers.

use std::{fmt, num::NonZeroU64, time::Duration};

use crate::class::Class;

/// The class and the numbers of one finished attempt.
///
/// An outcome is packed into 48 bytes, because every layer moves it. Counts saturate at 2^32 - 2. Times until a limit
/// resets are stored in milliseconds, rounded up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    class: Class,
    kind: u8,
    sent: bool,
    evidence: bool,
    refused: bool,
    retry: bool,
    used: Packed,
    /// The part of `used` that was output.
    used_output: Packed,
    /// In nanoseconds.
    retry_after: Option<NonZeroU64>,
    requests: PackedReport,
    tokens: PackedReport,
}

/// The state of one rate limit as a response reported it. Each part may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedLimit {
    /// The limit per minute.
    pub limit: Option<u64>,
    /// The part of the limit that remains.
    pub remaining: Option<u64>,
    /// The time until the limit is restored, in full or in part.
    pub reset: Option<Duration>,
}

impl ReportedLimit {
    /// Returns true if the response reported nothing.
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
    const EMPTY: Self = Self { limit: Packed::UNKNOWN, remaining: Packed::UNKNOWN, reset: Packed::UNKNOWN };

    const fn of(reported: ReportedLimit) -> Self {
        let reset = match reported.reset {
            // A longer duration saturates here, and again in `Packed::of`.
            Some(reset) => Some(saturated(reset.as_nanos().div_ceil(1_000_000))),
            None => None,
        };
        Self {
            limit: Packed::of(reported.limit),
            remaining: Packed::of(reported.remaining),
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
    /// Returns an outcome of `class`, of an attempt that reached the backend, with nothing else known.
    #[must_use]
    pub const fn new(class: Class) -> Self {
        Self {
            class,
            kind: 0,
            sent: true,
            evidence: true,
            refused: false,
            retry: true,
            retry_after: None,
            used: Packed::UNKNOWN,
            used_output: Packed::UNKNOWN,
            requests: PackedReport::EMPTY,
            tokens: PackedReport::EMPTY,
        }
    }

    /// Sets a tag that the layers carry and never read: a finer kind, for the code that makes the outcome.
    #[must_use]
    pub const fn with_kind(mut self, kind: u8) -> Self {
        self.kind = kind;
        self
    }

    /// Marks an attempt that was not sent (connection refused, no route, a stale pooled connection). The attempt cost
    /// the backend nothing, and may be repeated elsewhere at once.
    #[must_use]
    pub const fn never_sent(mut self) -> Self {
        self.sent = false;
        self
    }

    /// Marks an outcome that is no evidence about the endpoint's health, such as a timeout shorter than the configured
    /// one that the client asked for.
    #[must_use]
    pub const fn without_evidence(mut self) -> Self {
        self.evidence = false;
        self
    }

    /// Marks a local refusal: no endpoint was called. A refusal is not retried; it goes to a fallback directly.
    #[must_use]
    pub const fn refused(mut self) -> Self {
        self.refused = true;
        self.sent = false;
        self.evidence = false;
        self
    }

    /// Marks an outcome after which the backend asked for no repeat, at this endpoint or at another one.
    #[must_use]
    pub const fn without_retry(mut self) -> Self {
        self.retry = false;
        self
    }

    /// Sets the time to wait that the backend, or a local refusal, asked for. Zero counts as none.
    #[must_use]
    pub const fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = match after {
            Some(after) => NonZeroU64::new(saturated(after.as_nanos())),
            None => None,
        };
        self
    }

    /// Sets the actual cost of the call, in the unit that was reserved (tokens).
    #[must_use]
    pub const fn with_used(mut self, used: Option<u64>) -> Self {
        self.used = Packed::of(used);
        self
    }

    /// Sets the part of the actual cost that was output, where it has a limit of its own.
    #[must_use]
    pub const fn with_used_output(mut self, output: Option<u64>) -> Self {
        self.used_output = Packed::of(output);
        self
    }

    /// Sets the limits of requests and of tokens that the response reported.
    #[must_use]
    pub const fn with_reported(mut self, requests: ReportedLimit, tokens: ReportedLimit) -> Self {
        self.requests = PackedReport::of(requests);
        self.tokens = PackedReport::of(tokens);
        self
    }

    /// Returns the class.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Returns the tag that [`Outcome::with_kind`] set; 0 by default.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// Returns true if the backend may have received the request.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        self.sent
    }

    /// Returns true if the outcome counts for or against the endpoint's health.
    #[must_use]
    pub const fn is_evidence(&self) -> bool {
        self.evidence
    }

    /// Returns true for a local refusal, made without calling an endpoint.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.refused
    }

    /// Returns false if the backend asked for no repeat.
    #[must_use]
    pub const fn allows_retry(&self) -> bool {
        self.retry
    }

    /// Returns true if the class is [`Class::Success`].
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.class == Class::Success
    }

    /// Returns the time to wait that was asked for; never zero.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|nanos| Duration::from_nanos(nanos.get()))
    }

    /// Returns the actual cost of the call, if the response reported one.
    #[must_use]
    pub fn used(&self) -> Option<u64> {
        self.used.get()
    }

    /// Returns the part of the actual cost that was output, if it is known.
    #[must_use]
    pub fn used_output(&self) -> Option<u64> {
        self.used_output.get()
    }

    /// Returns the limit of requests that the response reported.
    #[must_use]
    pub fn requests(&self) -> ReportedLimit {
        self.requests.get()
    }

    /// Returns the limit of tokens that the response reported.
    #[must_use]
    pub fn tokens(&self) -> ReportedLimit {
        self.tokens.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_returns_the_limits_and_the_cost_that_were_packed() {
        assert_eq!(size_of::<Outcome>(), 48);
        let of = |limit, remaining, reset| ReportedLimit { limit, remaining, reset };
        let requests = of(Some(60), Some(0), Some(Duration::from_micros(1_500)));
        let tokens = of(None, Some(u64::MAX), Some(Duration::MAX));
        let outcome = Outcome::new(Class::RateLimited).with_reported(requests, tokens).with_used(Some(0));
        assert_eq!(outcome.requests(), of(Some(60), Some(0), Some(Duration::from_millis(2))));
        let max = u64::from(u32::MAX) - 1;
        assert_eq!(outcome.tokens(), of(None, Some(max), Some(Duration::from_millis(max))));
        assert_eq!((outcome.used(), outcome.with_used(None).used()), (Some(0), None));
        assert!(Outcome::new(Class::Success).requests().is_empty());
    }

    #[test]
    fn a_retry_after_is_exact_and_never_zero() {
        let retry_after = |after| Outcome::new(Class::RateLimited).with_retry_after(after).retry_after();
        let odd = Some(Duration::new(1, 1));
        assert_eq!(
            [retry_after(odd), retry_after(Some(Duration::ZERO)), retry_after(None)],
            [odd, None, None]
        );
    }
}
