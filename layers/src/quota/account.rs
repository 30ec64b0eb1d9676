//! What several deployments are paid from: [`Account`].

use std::{
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::server_hold::ServerHold;
use crate::{
    Class, Outcome,
    sync::{AtomicU64, Mutex},
};

/// How long an account that is used up closes its deployments, where the server names no time: money does not come
/// back in a second, and a minute is not long to wait for whoever has just paid.
const FIRST_HOLD: Duration = Duration::from_secs(60);
/// It doubles up to this, as benches do.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// One account at a provider: a key, a bill, a quota. When it is used up, all deployments that are paid from it are
/// closed together, until the server said, or for a minute and then longer.
///
/// A handle: clones are the same account, and only they are equal.
#[derive(Clone)]
pub struct Account {
    shared: Arc<Shared>,
}

struct Shared {
    /// Whether an outcome speaks of the account, and not of the deployment.
    is_about_account: fn(&Outcome) -> bool,
    /// Times inside are milliseconds since then.
    start: Instant,
    server_hold: Mutex<ServerHold>,
    /// The word's, for those who only ask: every choice does.
    until: AtomicU64,
}

impl Account {
    /// An account that is spoken of by the outcomes that `is_about_account` says. They should be [`Class::RateLimited`].
    #[must_use]
    pub fn new(is_about_account: fn(&Outcome) -> bool) -> Self {
        let server_hold = Mutex::new(ServerHold::new(FIRST_HOLD, LONGEST_HOLD));
        let shared =
            Shared { is_about_account, start: Instant::now(), server_hold, until: AtomicU64::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Until when it is used up, if it is.
    #[must_use]
    pub fn closed_until(&self) -> Option<Instant> {
        let until = self.shared.until.load(Ordering::Relaxed);
        // Most accounts are never used up: no look at the clock.
        (until > 0)
            .then(|| self.shared.start + Duration::from_millis(until))
            .filter(|at| *at > Instant::now())
    }

    pub(super) fn is_about_account(&self, outcome: &Outcome) -> bool {
        (self.shared.is_about_account)(outcome)
    }

    /// A call sent at `sent` has ended like this.
    pub(super) fn record(&self, outcome: &Outcome, sent: Instant) {
        let was_closed = self.shared.until.load(Ordering::Relaxed) > 0;
        if self.is_about_account(outcome) {
            let now = self.millis(Instant::now());
            let mut server_hold = self.shared.server_hold.lock().unwrap_or_else(PoisonError::into_inner);
            server_hold.refused(outcome.retry_after(), self.millis(sent), now);
            self.shared.until.store(server_hold.until(), Ordering::Relaxed);
        } else if was_closed && outcome.class() == Class::Success {
            let mut server_hold = self.shared.server_hold.lock().unwrap_or_else(PoisonError::into_inner);
            server_hold.succeeded(self.millis(sent));
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.shared.start).as_millis()).unwrap_or(u64::MAX)
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Account {}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("closed_until", &self.closed_until()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::{Limits, Meters, RateWindow, meters::Meters as Handle};
    use super::*;
    use crate::{OnComplete, endpoint::Horizon};

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Kind 1 speaks of the account.
    fn used_up() -> Outcome {
        Outcome::new(Class::RateLimited).with_kind(1)
    }

    fn account() -> Account {
        Account::new(|outcome| outcome.kind() == 1)
    }

    fn paid_from(account: &Account) -> Meters {
        Meters::new(Limits { account: Some(account.clone()), requests: Some(600), ..Limits::default() })
    }

    fn call(meters: &Handle, outcome: &Outcome) {
        let held =
            meters.reserve(1, Instant::now()).ok().and_then(super::super::reservation::Reservation::spend);
        held.expect("there is room").complete(outcome);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_share_it_are_closed_together_and_nobody_else() {
        let shared = account();
        let (one, two, other) = (paid_from(&shared), paid_from(&shared), paid_from(&account()));
        call(&one, &used_up().with_retry_after(Some(secs(30))));
        assert!(
            one.check(1, Instant::now()).is_err()
                && two.check(1, Instant::now()).is_err()
                && two.reserve(1, Instant::now()).is_err()
        );
        assert_eq!(two.snapshot().closed_for, Some(secs(30)));
        assert_eq!(two.slots(1, Horizon::likely(Instant::now(), Instant::now() + secs(29))), 0);
        assert!(other.check(1, Instant::now()).is_ok());
        advance(secs(30)).await;
        assert!(one.check(1, Instant::now()).is_ok() && two.check(1, Instant::now()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_time_it_closes_for_a_minute_and_then_longer_until_it_answers() {
        let meters = paid_from(&account());
        for minutes in [1, 2, 4, 5, 5] {
            call(&meters, &used_up());
            assert_eq!(meters.snapshot().closed_for, Some(secs(60 * minutes)));
            advance(secs(60 * minutes)).await;
        }
        call(&meters, &Outcome::new(Class::Success));
        call(&meters, &used_up());
        assert_eq!(meters.snapshot().closed_for, Some(secs(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_teaches_nothing_about_the_limit_of_requests_and_a_plain_refusal_nothing_about_it() {
        let shared = account();
        let (one, two) = (paid_from(&shared), paid_from(&shared));
        call(&one, &used_up());
        assert_eq!(one.snapshot().window, None);
        advance(secs(60)).await;
        call(&one, &Outcome::new(Class::RateLimited).with_retry_after(Some(secs(9))));
        assert_eq!(one.snapshot().window, Some(RateWindow::S1));
        assert!(one.check(1, Instant::now()).is_err() && two.check(1, Instant::now()).is_ok());
    }
}
