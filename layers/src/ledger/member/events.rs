//! Holds and cooldowns that replicas share by events: [`AccountHold`], [`SharedHealth`].

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Source, state::MemberState};
use crate::{
    cooldown::WeakHealth,
    ledger::{Event, LimitKey},
    quota::WeakAccount,
};

/// The hold of an account, and its end as the others know it.
#[derive(Debug)]
pub(super) struct AccountHold {
    account: WeakAccount,
    until: Option<Instant>,
    _source: Arc<Source>,
}

/// The health of an endpoint, and the end of its cooldown as the others know it.
#[derive(Debug)]
pub(super) struct SharedHealth {
    health: WeakHealth,
    until: Option<Instant>,
    _source: Arc<Source>,
}

impl MemberState {
    pub(super) fn add_account(&mut self, key: &LimitKey, account: WeakAccount, source: Arc<Source>) {
        self.accounts.insert(key.clone(), AccountHold { account, until: None, _source: source });
    }

    pub(super) fn add_health(&mut self, key: &LimitKey, health: WeakHealth, source: Arc<Source>) {
        self.healths.insert(key.clone(), SharedHealth { health, until: None, _source: source });
    }

    /// Publishes the hold of an account, if that is new.
    pub(super) fn note_account(&mut self, key: &LimitKey, now: Instant) {
        let Some(hold) = self.accounts.get_mut(key) else { return };
        let until = hold.account.upgrade().and_then(|account| account.closed_until());
        if until > hold.until {
            hold.until = until;
            let remaining = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            self.publish(Event::ServerHold { key: key.clone(), remaining }, now);
        }
    }

    /// Publishes the begin, the renewal or the end of a cooldown. While one replica probes the endpoint, the others avoid it
    /// for as long as they would if that replica were silent.
    pub(super) fn note_health(&mut self, key: &LimitKey, now: Instant) {
        let probe_time = self.config.lease_time;
        let Some(shared) = self.healths.get_mut(key) else { return };
        let Some(health) = shared.health.upgrade() else { return };
        let key = key.clone();
        let event = match (health.cooldown(), shared.until) {
            (Some((until, doublings)), known) if Some(until) > known => {
                shared.until = Some(until);
                let remaining = until.saturating_duration_since(now);
                (!remaining.is_zero()).then_some(Event::CoolingDown { key, remaining, doublings })
            }
            (Some((_, doublings)), _) if health.is_probed() => {
                Some(Event::CoolingDown { key, remaining: probe_time, doublings })
            }
            (None, Some(_)) => {
                shared.until = None;
                Some(Event::Recovered { key })
            }
            (Some(_), _) | (None, None) => None,
        };
        event.into_iter().for_each(|event| self.publish(event, now));
    }

    /// Publishes the outcomes of calls of endpoints that have failed recently, and forgets what was dropped.
    pub(super) fn note_outcomes(&mut self, now: Instant) {
        self.accounts.retain(|_, hold| hold.account.upgrade().is_some());
        let mut events = Vec::new();
        self.healths.retain(|key, shared| {
            let Some(health) = shared.health.upgrade() else { return false };
            let [successes, failures] = health.outcomes_to_share();
            if successes + failures > 0 {
                events.push(Event::Outcomes { key: key.clone(), successes, failures });
            }
            true
        });
        events.into_iter().for_each(|event| self.publish(event, now));
    }

    /// Applies an event of another replica, or of the ledger. A late event may be minutes old.
    pub(super) fn handle(&mut self, (event, is_late): (Event, bool), now: Instant) {
        match event {
            Event::ServerHold { key, remaining } => self.hold(&key, remaining),
            Event::CoolingDown { key, remaining, doublings } => {
                self.cool_down(&key, (remaining, doublings), now);
            }
            Event::Recovered { key } => self.recover(&key),
            Event::Outcomes { .. } if is_late => {}
            Event::Outcomes { key, successes, failures } => {
                if let Some(health) = self.healths.get(&key).and_then(|shared| shared.health.upgrade()) {
                    health.count_others([successes, failures]);
                }
            }
            Event::SyncDue { key } => self.sync_due(&key, now),
        }
    }

    fn hold(&mut self, key: &LimitKey, remaining: Duration) {
        self.hold_endpoint(key, remaining);
        let Some(hold) = self.accounts.get_mut(key) else { return };
        if let Some(account) = hold.account.upgrade() {
            account.hold(remaining);
            hold.until = account.closed_until();
        }
    }

    fn cool_down(&mut self, key: &LimitKey, (remaining, doublings): (Duration, u32), now: Instant) {
        let delay = self.probe_delay();
        let Some(shared) = self.healths.get_mut(key) else { return };
        let Some(health) = shared.health.upgrade() else { return };
        // An own cooldown that ends later stays.
        if health.cooldown().is_none_or(|(until, _)| until < now + remaining) {
            health.cool_down_with_others(remaining + delay, doublings);
            shared.until = health.cooldown().map(|(until, _)| until);
        }
    }

    fn recover(&mut self, key: &LimitKey) {
        let Some(shared) = self.healths.get_mut(key) else { return };
        shared.until = None;
        if let Some(health) = shared.health.upgrade() {
            health.recover_with_others();
        }
    }
}
