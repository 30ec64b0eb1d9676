//! Replacement of the limits at run time: [`MeterState::set_limits`].

use std::mem;

use super::MeterState;
use crate::quota::{Limits, optional::OptionalMeters, requests::RequestMeter, tokens::TokenMeter};

impl MeterState {
    /// Replaces the limits. The recorded usage stays, and so do the reported values of the limits that are unchanged.
    pub(in crate::quota) fn set_limits(&mut self, limits: Limits, now: u64) {
        let was = mem::replace(&mut self.limits, limits);
        let Limits { requests, tokens, in_flight, window, longest_guess, .. } = self.limits;
        if requests != was.requests {
            let kept = self.requests.take();
            self.requests = requests.map(|limit| {
                let mut meter = kept.unwrap_or_else(|| RequestMeter::new(limit, window, now));
                meter.set_configured_limit(limit);
                meter
            });
        }
        if let (Some(requests), true) = (&mut self.requests, window != was.window) {
            requests.pin(window, now);
        }
        if tokens != was.tokens {
            let kept = self.tokens.take();
            self.tokens = tokens.map(|limit| {
                let mut meter = kept.unwrap_or_else(|| Box::new(TokenMeter::new(limit)));
                meter.minute.set_limit(limit);
                meter
            });
        }
        let of = |limits: &Limits| (limits.input_tokens, limits.output_tokens, limits.daily);
        if of(&self.limits) != of(&was) {
            self.optional = OptionalMeters::new(&self.limits, self.optional.take(), now);
        }
        self.in_flight.set_limit(in_flight);
        self.server_hold.set_longest_guess(longest_guess);
        self.share_again();
        self.freed = true;
    }
}
