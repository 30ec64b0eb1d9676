//! What a group knows of its room: [`Room`].

use std::{
    ops::Range,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    index::{Due, Index, Key},
    queue::{Again, Queue},
};
use crate::{
    endpoint::Freed,
    sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard},
};

/// Up to so many, all are asked; beyond, two that are drawn.
pub(super) const FEW: usize = 16;

/// The endpoints of one order, which lie side by side. Large tiers keep an index of who has room first.
#[derive(Debug)]
pub(super) struct Tier {
    pub(super) members: Range<usize>,
    index: Option<Mutex<Index>>,
    /// Whether anything is noted in the index. Changed under its lock.
    noted: AtomicBool,
}

/// The queue of a group, and what is known of who has room. Endpoints tell it when some comes early.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) tiers: Vec<Tier>,
    began: Instant,
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// A place in the queue, given up when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    room: Arc<Room>,
    number: u64,
    /// When it gives up.
    pub(super) expires: Instant,
}

impl Room {
    pub(super) fn new(tiers: impl Iterator<Item = Range<usize>>) -> Self {
        let tiers = tiers.map(|members| {
            let index = (members.len() > FEW).then(|| Mutex::new(Index::new(members.len())));
            Tier { members, index, noted: AtomicBool::new(false) }
        });
        Self {
            tiers: tiers.collect(),
            began: Instant::now(),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(Queue::default()),
        }
    }

    /// How many wait. Costs no lock.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Looks at the queue, or changes it.
    pub(super) fn queue<R>(&self, with: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let result = with(&mut queue);
        self.waiting.store(queue.len(), Ordering::Release);
        result
    }

    /// Joins the queue, unless `max` wait already.
    pub(super) fn join(self: &Arc<Self>, picky: bool, expires: Instant, max: usize) -> Option<Ticket> {
        let now = Instant::now();
        let number = self.queue(|queue| (queue.len() < max).then(|| queue.join(picky, now, expires)))?;
        Some(Ticket { room: Arc::clone(self), number, expires })
    }

    /// A time as the indices keep it: in nanoseconds.
    pub(super) fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began);
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()))
    }

    pub(super) fn instant(&self, nanos: u64) -> Instant {
        // Beyond a century nothing is known.
        self.began + Duration::from_nanos(nanos.min(3_155_760_000_000_000_000))
    }
}

impl Tier {
    /// Whether not all of them are asked.
    pub(super) fn is_large(&self) -> bool {
        self.members.len() > FEW
    }

    /// Whether the index may know of any that is full. Costs no lock.
    pub(super) fn is_noted(&self) -> bool {
        self.noted.load(Ordering::Relaxed)
    }

    /// The index, if it knows of any that is full at `now`.
    pub(super) fn noted(&self, now: u64) -> Option<MutexGuard<'_, Index>> {
        let mut index = self.index()?;
        if index.is_blank(now) {
            self.noted.store(false, Ordering::Relaxed);
            return None;
        }
        Some(index)
    }

    /// There is something in the index.
    pub(super) fn set_noted(&self) {
        if !self.is_noted() {
            self.noted.store(true, Ordering::Relaxed);
        }
    }

    /// See [`Index::due`]; of a large tier.
    pub(super) fn due(&self, times: (u64, u64), cost: impl FnOnce() -> u64, enough: u64) -> Option<Due> {
        // Asked before the lock: it is not ours.
        let cost = self.is_large().then(cost)?;
        self.index().map(|mut index| index.due(times, (cost, enough)))
    }

    /// The index of a large tier.
    pub(super) fn index(&self) -> Option<MutexGuard<'_, Index>> {
        self.index.as_ref().map(|index| index.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Freed for Room {
    fn freed(&self, which: usize) {
        let tier = self.tiers.iter().find(|tier| tier.members.contains(&which));
        if let Some((tier, mut index)) = tier.and_then(|tier| Some((tier, tier.index()?))) {
            index.set(which - tier.members.start, Key::NOW);
        }
        if self.waiting() > 0 {
            wake(self.queue(Queue::freed));
        }
    }
}

impl Ticket {
    /// See [`Queue::turn`].
    pub(super) fn turn(&self, now: Instant, waker: &Waker) -> Result<(), Instant> {
        let turn = self.room.queue(|queue| queue.turn(self.number, now, waker));
        turn.map_err(|(until, next)| {
            wake(next);
            until
        })
    }

    /// See [`Queue::none_before`].
    pub(super) fn none_before(&self, at: Instant) -> Result<(), Again> {
        self.room.queue(|queue| queue.none_before(self.number, at)).map(wake)
    }

    /// How many wait in front of it.
    pub(super) fn ahead(&self) -> usize {
        self.room.queue(|queue| queue.place(self.number))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        wake(self.room.queue(|queue| queue.leave(self.number)));
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_index_in_which_all_may_have_room_again_is_no_longer_looked_into() {
        let room = Room::new(std::iter::once(0..20));
        let tier = &room.tiers[0];
        let second = 1_000_000_000;
        let note = |at| {
            tier.index().expect("it is large").set(7, Key { at, ..Key::NOW });
            tier.set_noted();
        };
        // The second is further away than the calendar goes.
        for at in [60, 500].map(|seconds| seconds * second) {
            note(at);
            assert!(tier.noted(at - second).is_some() && tier.is_noted());
            assert!(tier.noted(at + second).is_none() && !tier.is_noted());
        }
        note(600 * second);
        room.freed(7);
        assert!(tier.noted(501 * second).is_none() && !tier.is_noted());
    }
}
