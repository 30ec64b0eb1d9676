//! The record of one replica's part of one limit: [`Record`].

use super::{
    super::{AGES, Report, SyncRequest},
    millis,
};

/// The time after which a replica with idle permits is told again that they are wanted: it forgets that after two seconds.
const TELL_AGAIN: u64 = 1_000;

/// The last declaration of a replica about a limit, and the ledger's response.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) seq: u64,
    /// The time of the report.
    pub(super) at: u64,
    pub(super) limit: u64,
    pub(super) window: u64,
    /// The number of permits that the replica may hold: as declared, and those granted since.
    pub(super) held: u64,
    pub(super) used: u64,
    ages: [u64; AGES],
    pub(super) want: u64,
    pub(super) need: u64,
    pub(super) cost: u64,
    /// The time since which the replica waits for permits, or since which the last grant let a call begin. Zero if it
    /// does not wait.
    pub(super) since: u64,
    /// The permits of the last response, which may be fewer than `held` until the replica declares so.
    pub(super) leased: u64,
    /// The time of the last response, if that stated that another replica waits; otherwise zero.
    pub(super) told: u64,
    /// True if the replica has shut down.
    pub(super) leaving: bool,
}

impl Record {
    /// Returns the record of a report, after an earlier one of the same replica.
    pub(super) fn new(request: &SyncRequest, report: &Report, (earlier, now): (Option<&Self>, u64)) -> Self {
        let leaving = request.leaving;
        let used_only = |amount: u64| if leaving { 0 } else { amount };
        let held = if leaving { report.used } else { report.held };
        let want = used_only(report.want);
        let waited_since = earlier.map_or(0, |earlier| earlier.since);
        let since = match waited_since {
            _ if want <= held => 0,
            0 => now,
            since => since,
        };
        Self {
            seq: request.seq,
            at: now,
            limit: report.limit,
            window: millis(report.window),
            held,
            used: report.used,
            ages: report.ages,
            want,
            need: used_only(report.need),
            cost: used_only(report.cost),
            since,
            leased: held,
            told: 0,
            leaving,
        }
    }

    /// Records a grant. A replica that still waits does so behind the others, if one of its calls can begin now: with
    /// fewer permits than replicas each gets one in its order.
    pub(super) fn grant(&mut self, permits: u64, now: u64) {
        self.held += permits;
        if self.held >= self.want {
            self.since = 0;
        } else if permits > 0 && self.held >= self.used + self.cost {
            // Behind those that began to wait in this millisecond.
            self.since = now + 1;
        }
    }

    /// Returns true if the replica may have idle permits, and was not told within the last second that they are wanted: a
    /// used permit may have come free since its report, or a call in flight may have ended.
    pub(super) fn may_be_idle(&self, now: u64) -> bool {
        let freed = |(twelfth, amount): (u64, u64)| {
            if self.at + (twelfth - 1) * self.window / 12 <= now { amount } else { 0 }
        };
        let used = if self.window == 0 { 0 } else { self.used };
        let freed: u64 = (1..).zip(self.ages).map(freed).sum();
        self.leased > used.saturating_sub(freed) && (self.told == 0 || now >= self.told + TELL_AGAIN)
    }

    /// Returns true if the replica waits for permits.
    pub(super) const fn waits(&self) -> bool {
        self.since > 0
    }

    /// Returns the number of permits that count if no more than its own record is known: a replica that may use permits
    /// until `end`, and reported others that come free later. `last` is the time of its last sync.
    pub(super) fn locked(&self, window: u64, (last, lease_time, now): (u64, u64, u64)) -> u64 {
        let end = last + lease_time;
        if self.window != window {
            return if now < end + window { self.converted(window) } else { 0 };
        }
        let aging: u64 = self.ages.iter().sum();
        let free = if self.leaving { 0 } else { self.held.saturating_sub(self.used) };
        let mut reusable = free + self.used.saturating_sub(aging);
        let mut locked = 0;
        for (twelfth, amount) in (1..).zip(self.ages) {
            let (first_free_at, free_at) =
                (self.at + (twelfth - 1) * window / 12, self.at + (twelfth * window).div_ceil(12));
            if first_free_at < end && !self.leaving {
                reusable += amount;
            } else if free_at > now {
                locked += amount;
            }
        }
        locked + if now < end + window { reusable } else { 0 }
    }

    /// Returns an upper bound of the permits of this record as they count over another window: over a longer one, as many
    /// for each part of it.
    pub(super) fn converted(&self, window: u64) -> u64 {
        let parts = if self.window == 0 { 1 } else { window.div_ceil(self.window) };
        self.held * parts.max(1)
    }
}
