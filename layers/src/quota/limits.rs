//! What a deployment may be asked for: [`Limits`].

use std::time::Duration;

use super::account::Account;

/// The limits of one deployment. Each may be unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests: Option<u64>,
    /// Tokens (or whatever a call costs) per minute.
    pub tokens: Option<u64>,
    /// Calls in flight at one time.
    pub in_flight: Option<u32>,
    /// The window over which the backend judges its limit of requests, where that is known. Else it is learned.
    pub window: Option<RateWindow>,
    /// Whether the reservation stands, or is settled to what the call really used.
    pub settle: Accounting,
    /// The longest that a refusal which names no time may close the deployment: 5 s unless said otherwise.
    pub longest_guess: Duration,
    /// Whether what an answer tells of limits holds for the next call too, as it does unless said otherwise. One
    /// deployment may stand for many backends, each with limits of its own: then only what is given is kept.
    pub learns: bool,
    /// What it is paid from, perhaps together with others.
    pub account: Option<Account>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: None,
            tokens: None,
            in_flight: None,
            window: None,
            settle: Accounting::default(),
            longest_guess: Duration::from_secs(5),
            learns: true,
            account: None,
        }
    }
}

/// The window over which a backend judges a limit that is given per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RateWindow {
    /// One second: 600 a minute are ten in every second.
    S1,
    /// Ten seconds.
    S10,
    /// The whole minute: all of the limit may come at once.
    S60,
}

impl RateWindow {
    /// How long it is, in milliseconds.
    pub(super) const fn millis(self) -> u64 {
        match self {
            Self::S1 => 1_000,
            Self::S10 => 10_000,
            Self::S60 => 60_000,
        }
    }

    /// How long we take it to be: 0.2 % and 20 ms more, for two calls that come closer together on their way.
    pub(super) const fn span(self) -> u64 {
        self.millis() + self.millis() / 500 + 20
    }
}

/// What a backend counts against a limit of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accounting {
    /// Its own estimate on arrival; nothing is given back. Ours stands too.
    Estimated,
    /// What the answer says it used.
    #[default]
    Actual,
}
