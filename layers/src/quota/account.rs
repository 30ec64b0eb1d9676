//! A billing account that several deployments share: [`Account`].

use std::{
    fmt,
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::server_hold::ServerHold;
use crate::{
    Class, Outcome,
    ledger::{ChangeListener, ChangeNotifier},
    sync::{AtomicU64, Mutex},
};

/// The time for which a used-up account closes its deployments, if the server names none. An account is not refilled
/// within a second, and a client that has just paid can wait for a minute.
const FIRST_HOLD: Duration = Duration::from_secs(60);
/// The longest such time: each further refusal doubles it up to this, as for cooldowns.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// An account at a provider: a key, a bill, a quota. When the account is used up, all its deployments are closed
/// together: for the time that the server named, or for a minute and then longer. After the first minute they are called
/// where there is no other.
///
/// Clones are the same account, and only clones are equal.
#[derive(Clone)]
pub struct Account {
    shared: Arc<Shared>,
}

struct Shared {
    /// Returns true if an outcome is about the account, not about the deployment.
    is_about_account: fn(&Outcome) -> bool,
    /// The origin of the times, which are milliseconds since then.
    start: Instant,
    server_hold: Mutex<ServerHold>,
    /// The end of the hold and that of its firm part, readable without the lock: every pick reads them.
    until: AtomicU64,
    firm_until: AtomicU64,
    /// The member of a ledger with which the hold is shared.
    changed: ChangeNotifier,
}

/// An account without ownership.
#[derive(Clone, Debug)]
pub(crate) struct WeakAccount(Weak<Shared>);

impl WeakAccount {
    pub(crate) fn upgrade(&self) -> Option<Account> {
        self.0.upgrade().map(|shared| Account { shared })
    }
}

impl Account {
    /// Returns an account that is used up when `is_about_account` returns true for an outcome. Such outcomes should be of
    /// [`Class::RateLimited`].
    #[must_use]
    pub fn new(is_about_account: fn(&Outcome) -> bool) -> Self {
        let server_hold = Mutex::new(ServerHold::new(FIRST_HOLD, LONGEST_HOLD));
        let [until, firm_until] = [0, 0].map(AtomicU64::new);
        let changed = ChangeNotifier::default();
        let shared =
            Shared { is_about_account, start: Instant::now(), server_hold, until, firm_until, changed };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the end of the hold, if the account is used up.
    #[must_use]
    pub fn closed_until(&self) -> Option<Instant> {
        self.instant(&self.shared.until)
    }

    /// Returns the end of the part of the hold in which no call is made at all, if that has not passed.
    pub(super) fn firmly_closed_until(&self) -> Option<Instant> {
        self.instant(&self.shared.firm_until)
    }

    /// Returns this time, if it has not passed.
    fn instant(&self, at: &AtomicU64) -> Option<Instant> {
        let until = at.load(Ordering::Relaxed);
        // Most accounts are never used up: skip reading the clock.
        (until > 0)
            .then(|| self.shared.start + Duration::from_millis(until))
            .filter(|at| *at > Instant::now())
    }

    /// Returns true if another clone of this account exists.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    pub(super) fn is_about_account(&self, outcome: &Outcome) -> bool {
        (self.shared.is_about_account)(outcome)
    }

    /// Records the outcome of a call that was sent at `sent`.
    pub(super) fn record(&self, outcome: &Outcome, sent: Instant) {
        let was_closed = self.shared.until.load(Ordering::Relaxed) > 0;
        if self.is_about_account(outcome) {
            let now = self.millis(Instant::now());
            let mut server_hold = self.shared.server_hold.lock().unwrap_or_else(PoisonError::into_inner);
            server_hold.refused(outcome.retry_after(), self.millis(sent), now);
            self.store(&server_hold);
            drop(server_hold);
            self.shared.changed.notify();
        } else if was_closed && outcome.class() == Class::Success {
            let mut server_hold = self.shared.server_hold.lock().unwrap_or_else(PoisonError::into_inner);
            server_hold.succeeded(self.millis(sent));
        }
    }

    fn store(&self, server_hold: &ServerHold) {
        self.shared.until.store(server_hold.until(), Ordering::Relaxed);
        self.shared.firm_until.store(server_hold.firm_until(), Ordering::Relaxed);
    }

    /// Sets the listener that is notified of a hold.
    pub(crate) fn on_change(&self, listener: Weak<dyn ChangeListener>) {
        self.shared.changed.set(listener);
    }

    /// Applies a hold that another replica has received.
    pub(crate) fn hold(&self, remaining: Duration) {
        let now = self.millis(Instant::now());
        let mut server_hold = self.shared.server_hold.lock().unwrap_or_else(PoisonError::into_inner);
        server_hold.hold(remaining, now);
        self.store(&server_hold);
    }

    pub(crate) fn downgrade(&self) -> WeakAccount {
        WeakAccount(Arc::downgrade(&self.shared))
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

    /// Kind 1 is about the account.
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
    async fn deployments_of_one_account_are_closed_together_and_no_others() {
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
    async fn an_account_that_is_closed_for_more_than_a_minute_is_only_avoided_after_the_minute() {
        let shared = account();
        let (one, two) = (paid_from(&shared), paid_from(&shared));
        call(&one, &used_up().with_retry_after(Some(secs(3_600))));
        let (firm, end) = (Instant::now() + secs(60), Instant::now() + secs(3_600));
        for meters in [&one, &two] {
            assert_eq!(meters.check(1, Instant::now()).expect_err("closed").until, firm);
            assert_eq!(meters.slots(1, Horizon::likely(Instant::now(), firm - secs(1))), 0);
        }
        advance(secs(60)).await;
        for meters in [&one, &two] {
            assert_eq!(meters.check(1, Instant::now()).expect("open").held_until, Some(end));
            assert!(meters.reserve(1, Instant::now()).is_ok());
        }
        advance(secs(3_540)).await;
        assert_eq!(one.check(1, Instant::now()).expect("open").held_until, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_without_retry_after_closes_for_a_minute_and_then_longer_until_a_success() {
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
    async fn a_used_up_account_sets_no_window_and_a_plain_refusal_does_not_close_the_account() {
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
