//! The requests that wait for capacity: [`WaitQueue`].

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
};

use tokio::time::Instant;

use crate::{
    endpoint::CapacityListener,
    sync::{AtomicUsize, Mutex},
};

/// The queue of a group. Endpoints tell it of capacity that comes early.
#[derive(Debug)]
pub(super) struct WaitQueue {
    len: AtomicUsize,
    queue: Mutex<Queue>,
}

/// A place in the queue, given up when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    queue: Arc<WaitQueue>,
    number: u64,
    /// The time at which it gives up.
    pub(super) expires: Instant,
}

impl WaitQueue {
    pub(super) fn new() -> Self {
        Self { len: AtomicUsize::new(0), queue: Mutex::new(Queue::default()) }
    }

    /// Returns the number of requests that wait. Takes no lock.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Returns how many wait, if a newcomer would overtake one of them.
    pub(super) fn owed(&self, now: Instant) -> Option<usize> {
        if self.len() == 0 {
            return None;
        }
        self.with(|queue| queue.is_owed(now).then(|| queue.len()))
    }

    /// Joins the end of the queue, unless `max` wait already. See [`Queue::join`].
    pub(super) fn join(self: &Arc<Self>, excludes: bool, expires: Instant, max: usize) -> Option<Ticket> {
        let now = Instant::now();
        let number = self.with(|queue| (queue.len() < max).then(|| queue.join(excludes, now, expires)))?;
        Some(Ticket { queue: Arc::clone(self), number, expires })
    }

    fn with<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut queue);
        self.len.store(queue.len(), Ordering::Release);
        result
    }
}

impl CapacityListener for WaitQueue {
    fn capacity_freed(&self) {
        if self.len() > 0 {
            wake(self.with(Queue::capacity_freed));
        }
    }
}

impl Ticket {
    /// See [`Queue::turn`].
    pub(super) fn turn(&self, now: Instant, waker: &Waker) -> Result<(), Instant> {
        let turn = self.queue.with(|queue| queue.turn(self.number, now, waker));
        turn.map_err(|(until, next)| {
            wake(next);
            until
        })
    }

    /// See [`Queue::none_before`].
    pub(super) fn none_before(&self, at: Instant) -> Result<(), Notified> {
        self.queue.with(|queue| queue.none_before(self.number, at)).map(wake)
    }

    /// Returns the number of requests in front of it.
    pub(super) fn ahead(&self) -> usize {
        self.queue.with(|queue| queue.place(self.number))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        wake(self.queue.with(|queue| queue.leave(self.number)));
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A first-in-first-out queue.
///
/// Freed capacity wakes the first, and each that has tried wakes the next. Of all waiters that accept any endpoint
/// only the first watches the clock; one that excludes endpoints watches it for itself. So a slot that frees costs two
/// polls, however many wait.
#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    /// It has tried endpoints before, and may not accept one that the others would.
    excludes: bool,
    /// The time at which it expects capacity, and that at which it gives up.
    at: Instant,
    expires: Instant,
    /// It was notified, and has not tried since.
    notified: bool,
    /// It wanted to try, and let one in front of it go first.
    deferred: bool,
    waker: Option<Waker>,
}

/// The waiter was notified while it tried.
#[derive(Debug)]
pub(super) struct Notified;

impl Waiter {
    /// Whether it is about to try; one that has given up stands in no other's way.
    fn due(&self, now: Instant) -> bool {
        (self.notified || self.at <= now) && !self.gone(now)
    }

    fn gone(&self, now: Instant) -> bool {
        self.expires < now
    }

    fn notify(&mut self) -> Option<Waker> {
        (self.notified, self.deferred) = (true, false);
        self.waker.clone()
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether a newcomer would overtake another.
    fn is_owed(&self, now: Instant) -> bool {
        self.waiters.iter().any(|waiter| waiter.due(now) || !waiter.excludes && !waiter.gone(now))
    }

    /// Joins the end, notified at once: capacity may have come since the newcomer tried.
    fn join(&mut self, excludes: bool, now: Instant, expires: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiters.push_back(Waiter {
            number,
            excludes,
            at: now,
            expires,
            notified: true,
            deferred: false,
            waker: None,
        });
        number
    }

    /// Returns whether this waiter may try now; else the time until which one in front may keep it from that, and the
    /// one to wake in its stead.
    fn turn(&mut self, number: u64, now: Instant, waker: &Waker) -> Result<(), (Instant, Option<Waker>)> {
        let place = self.place(number);
        let Some(excludes) = self.waiters.get(place).map(|waiter| waiter.excludes) else { return Ok(()) };
        let before = |waiter: &&Waiter| waiter.due(now) || !excludes && !waiter.excludes && !waiter.gone(now);
        let blocker = self.waiters.iter().take(place).find(before).map(|waiter| waiter.expires);
        let Some(waiter) = self.waiters.get_mut(place) else { return Ok(()) };
        if !waiter.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            waiter.waker = Some(waker.clone());
        }
        match blocker {
            None => {
                waiter.notified = false;
                Ok(())
            }
            Some(until) => {
                // It is notified again when it is its turn; its notification goes on to one whose turn it may be.
                let hands_on = waiter.notified && !waiter.excludes;
                (waiter.notified, waiter.deferred) = (false, waiter.excludes);
                waiter.at = waiter.expires;
                Err((until, if hands_on { self.notify_deferred(place) } else { None }))
            }
        }
    }

    /// Notes that the waiter tried, and found no capacity before `at`. Returns the one to wake now, or an error if the
    /// waiter was notified meanwhile and must try again.
    fn none_before(&mut self, number: u64, at: Instant) -> Result<Option<Waker>, Notified> {
        let place = self.place(number);
        let Some(waiter) = self.waiters.get_mut(place) else { return Ok(None) };
        waiter.at = at;
        if waiter.notified {
            return Err(Notified);
        }
        // If this waiter excludes endpoints, the next may be able to use the capacity. If not, no other can; but the
        // first of those that let this one go first has yet to learn when its own time comes.
        Ok(if waiter.excludes { self.notify(place + 1) } else { self.notify_deferred(place) })
    }

    /// Removes a waiter, with an endpoint or without.
    fn leave(&mut self, number: u64) -> Option<Waker> {
        let place = self.place(number);
        self.waiters.remove(place);
        self.notify(place)
    }

    fn capacity_freed(&mut self) -> Option<Waker> {
        self.notify(0)
    }

    /// Returns the one to wake once the queue is no longer locked: to wake may end a task, and that may leave the queue.
    fn notify(&mut self, place: usize) -> Option<Waker> {
        self.waiters.get_mut(place)?.notify()
    }

    /// Notifies the first behind this place that let another go first.
    fn notify_deferred(&mut self, place: usize) -> Option<Waker> {
        self.waiters.iter_mut().skip(place + 1).find(|waiter| waiter.deferred)?.notify()
    }

    /// Returns the number of waiters in front of this one.
    fn place(&self, number: u64) -> usize {
        self.waiters.partition_point(|waiter| waiter.number < number)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::Wake,
        time::Duration,
    };

    use super::*;

    #[derive(Debug, Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_let_others_go_first_is_told_though_one_between_them_may_not_look() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        let woken: [Arc<Woken>; 4] = Default::default();
        let wakers = woken.each_ref().map(|woken| Waker::from(Arc::clone(woken)));
        let numbers = [false, true, false, true].map(|excludes| queue.join(excludes, now, later));
        // The first is yet to look, so that all others let it go first.
        for (number, waker) in numbers.iter().zip(&wakers).skip(1) {
            queue.turn(*number, now, waker).expect_err("the first is due");
        }
        for nth in 0..4 {
            assert!(nth == 0 || woken[nth].0.load(Ordering::Relaxed), "{nth} is told by one before it");
            let next = match queue.turn(numbers[nth], now, &wakers[nth]) {
                Ok(()) => queue.none_before(numbers[nth], later).expect("no news"),
                Err((_, next)) => next,
            };
            next.into_iter().for_each(Waker::wake);
        }
    }
}
