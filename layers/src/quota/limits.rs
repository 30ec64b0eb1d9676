//! The configured limits of one deployment: [`Limits`].

use std::time::Duration;

use tokio::time::Instant;

use super::account::Account;

/// The limits of one deployment. Each may be unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests: Option<u64>,
    /// Tokens per minute, or another unit in which the cost of a call is given.
    pub tokens: Option<u64>,
    /// Tokens of the input per minute.
    pub input_tokens: Option<u64>,
    /// Tokens of the output per minute.
    pub output_tokens: Option<u64>,
    /// Limits per day.
    pub daily: Option<DailyLimits>,
    /// Calls in flight at one time.
    pub in_flight: Option<u32>,
    /// The window over which the backend enforces its limit of requests. `None`: the window is learned from refusals.
    pub window: Option<RateWindow>,
    /// The way in which the backend counts tokens: the estimate, or the actual usage.
    pub settle: Accounting,
    /// The longest time for which a refusal without Retry-After closes the deployment; 5 s by default.
    pub longest_guess: Duration,
    /// Set if the limits that a response reports hold for the next call too; true by default. False if the deployment
    /// stands for many backends with separate limits: then only the configured limits are kept.
    pub learns: bool,
    /// The account that pays for the deployment; several deployments may share one.
    pub account: Option<Account>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: None,
            tokens: None,
            input_tokens: None,
            output_tokens: None,
            daily: None,
            in_flight: None,
            window: None,
            settle: Accounting::default(),
            longest_guess: Duration::from_secs(5),
            learns: true,
            account: None,
        }
    }
}

/// Limits per day of 24 hours. The day is a fixed window: its whole limit may be used at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyLimits {
    /// Requests per day.
    pub requests: Option<u64>,
    /// Tokens per day.
    pub tokens: Option<u64>,
    /// The beginning of any day. The other days begin a multiple of 24 hours before or after it.
    pub begins: Instant,
}

/// The window over which a backend enforces a limit that is given per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RateWindow {
    /// A second: 600 per minute are at most ten in any second.
    S1,
    /// Ten seconds.
    S10,
    /// The whole minute: the full limit may be used at once.
    S60,
}

impl RateWindow {
    /// Returns the length, in seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::S1 => 1,
            Self::S10 => 10,
            Self::S60 => 60,
        }
    }

    /// Returns the length, in milliseconds.
    pub(super) const fn millis(self) -> u64 {
        self.seconds() * 1_000
    }

    /// Returns the length that is enforced, in milliseconds: 0.2 % and 20 ms more than the window, because network jitter
    /// can bring two calls closer together.
    pub(super) const fn span(self) -> u64 {
        self.millis() + self.millis() / 500 + 20
    }
}

/// The number that a backend counts against its limit of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accounting {
    /// The estimate on arrival, without a correction afterwards. The reservation is not corrected either.
    Estimated,
    /// The usage that the response reports. The reservation is corrected to it.
    #[default]
    Actual,
}
