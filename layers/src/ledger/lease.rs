//! A replica's declaration about one limit, and the response to it: [`Report`], [`Lease`].

use std::time::Duration;

use super::{AGES, LimitKey};

/// The state of one limit at one replica. Amounts are permits: requests, tokens, or calls in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The limit.
    pub key: LimitKey,
    /// The number of permits, as configured or as reported by the backend, for the window below.
    pub limit: u64,
    /// The time for which a used permit counts, in whole milliseconds, with the margin that the meter adds. Zero for a
    /// limit of calls in flight.
    pub window: Duration,
    /// The window that may be tried after ten minutes without a refusal, longer than `window`. `None` if the window is
    /// configured or the longest.
    pub wider: Option<Duration>,
    /// True if an unforeseen refusal has shown, since the last response, that the backend counts over `window`.
    pub learned: bool,
    /// The epoch of the window, from the last response. Zero before the first.
    pub epoch: u64,
    /// The number of permits that this replica may still use or has used: the larger of its lease and `used`.
    pub held: u64,
    /// The number of permits that count now.
    pub used: u64,
    /// The number of used permits that come free in each twelfth of the window, from now. An amount that is missing here
    /// is taken to come free last.
    pub ages: [u64; AGES],
    /// The number of permits with which no call would wait here: `used`, and the cost of the waiting calls.
    pub want: u64,
    /// The demand: the larger of `want` and the cost of the calls that arrived within the last window.
    pub need: u64,
    /// The cost of the first waiting call; zero if none waits.
    pub cost: u64,
}

impl Report {
    /// Returns a report of nothing used or wanted, with a limit of zero calls in flight: a value for `..`.
    #[must_use]
    pub const fn new(key: LimitKey) -> Self {
        Self {
            key,
            limit: 0,
            window: Duration::ZERO,
            wider: None,
            learned: false,
            epoch: 0,
            held: 0,
            used: 0,
            ages: [0; AGES],
            want: 0,
            need: 0,
            cost: 0,
        }
    }
}

/// The part of one limit that a replica may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The number of permits. Calls are admitted while fewer are used.
    pub permits: u64,
    /// The limit in force: the smallest that a live replica reports for this window.
    pub limit: u64,
    /// The window in force. If it differs from the reported one, `permits` is zero.
    pub window: Duration,
    /// The epoch of the window.
    pub epoch: u64,
    /// True if another replica waits for permits: those that are free here go back.
    pub wanted: bool,
    /// True if more permits could be had at once: unassigned ones, or free ones of a replica that has more than its share.
    pub spare: bool,
}
