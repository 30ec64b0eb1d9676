//! Limits that are set anew: [`State::set_limits`].

use std::mem;

use super::State;
use crate::quota::{Limits, requests::Requests, tokens::Tokens};

impl State {
    /// From now on these limits hold. What was used stays used, and what answers told of those that are as before is
    /// still known.
    pub(in crate::quota) fn set_limits(&mut self, limits: Limits, now: u64) {
        let was = mem::replace(&mut self.limits, limits);
        let Limits { requests, tokens, in_flight, window, longest_guess, .. } = self.limits;
        if requests != was.requests {
            let kept = self.requests.take();
            self.requests = requests.map(|limit| {
                let mut meter = kept.unwrap_or_else(|| Requests::new(limit, window, now));
                meter.give(limit);
                meter
            });
        }
        if let (Some(requests), true) = (&mut self.requests, window != was.window) {
            requests.pin(window, now);
        }
        if tokens != was.tokens {
            let kept = self.tokens.take();
            self.tokens = tokens.map(|limit| {
                let mut meter = kept.unwrap_or_else(|| Box::new(Tokens::new(limit)));
                meter.limit = limit;
                meter
            });
        }
        self.flights.limit = in_flight;
        self.word.set_longest_guess(longest_guess);
        self.freed = true;
    }
}
