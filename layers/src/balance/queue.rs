//! The queue of the requests that wait for capacity: [`WaitQueue`].

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    endpoint::CapacityListener,
    sync::{AtomicUsize, Mutex},
};

/// A listener that is notified of each request that waits for capacity. It must not block, nor call the balancer.
pub trait QueueListener: Send + Sync {
    /// Notifies the listener of a request that joins the queue.
    fn joined(&self);

    /// Notifies the listener of a request that is no longer in the queue, after it has waited so long: it has found
    /// capacity, was refused, or was cancelled.
    fn left(&self, waited: Duration);
}

/// The queue of a group. Endpoints notify it of capacity that returns early.
pub(super) struct WaitQueue {
    len: AtomicUsize,
    queue: Mutex<Queue>,
    listener: Option<Arc<dyn QueueListener>>,
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The position of a request in the queue. Leaves the queue when dropped.
#[derive(Debug)]
pub(super) struct QueueTicket {
    queue: Arc<WaitQueue>,
    number: u64,
    joined: Instant,
    /// The time until which the request waits.
    pub(super) expires: Instant,
}

impl WaitQueue {
    pub(super) fn new(listener: Option<Arc<dyn QueueListener>>) -> Self {
        Self { len: AtomicUsize::new(0), queue: Mutex::new(Queue::default()), listener }
    }

    /// Returns the number of requests that wait. Takes no lock.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Returns the length of the queue if a new request would overtake a waiting one; otherwise `None`.
    pub(super) fn waiting_before(&self, now: Instant) -> Option<usize> {
        if self.len() == 0 {
            return None;
        }
        self.with(|queue| queue.would_overtake(now).then(|| queue.len()))
    }

    /// Joins the end of the queue, unless it has `max` requests already. See [`Queue::join`].
    pub(super) fn join(
        self: &Arc<Self>,
        excludes: bool,
        expires: Instant,
        max: usize,
    ) -> Option<QueueTicket> {
        let now = Instant::now();
        let number = self.with(|queue| (queue.len() < max).then(|| queue.join(excludes, now, expires)))?;
        if let Some(listener) = &self.listener {
            listener.joined();
        }
        Some(QueueTicket { queue: Arc::clone(self), number, joined: now, expires })
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

impl QueueTicket {
    /// Returns `Ok` if the request may try now, else the time until which it may be blocked. See [`Queue::try_next`].
    pub(super) fn try_next(&self, now: Instant, waker: &Waker) -> Result<(), Instant> {
        let permitted = self.queue.with(|queue| queue.try_next(self.number, now, waker));
        permitted.map_err(|(until, next)| {
            wake(next);
            until
        })
    }

    /// Records that the request found no capacity before `at`. See [`Queue::none_before`].
    pub(super) fn none_before(&self, at: Instant) -> Result<(), Notified> {
        self.queue.with(|queue| queue.none_before(self.number, at)).map(wake)
    }

    /// Returns the number of requests in front of this one.
    pub(super) fn ahead(&self) -> usize {
        self.queue.with(|queue| queue.position(self.number))
    }
}

impl Drop for QueueTicket {
    fn drop(&mut self) {
        wake(self.queue.with(|queue| queue.remove(self.number)));
        if let Some(listener) = &self.queue.listener {
            listener.left(Instant::now().saturating_duration_since(self.joined));
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A first-in-first-out queue.
///
/// Freed capacity wakes the first waiter, and each waiter that has tried wakes the next. Of all waiters that accept any
/// endpoint, only the first sets a timer; a waiter that excludes endpoints sets its own. A freed slot therefore costs two
/// polls, independent of the length of the queue.
#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    /// True if the request has tried endpoints before, so that it may not accept an endpoint that others accept.
    excludes: bool,
    /// The time at which the waiter expects capacity.
    at: Instant,
    /// The time until which the waiter waits.
    expires: Instant,
    /// True if the waiter was notified, and has not tried since.
    notified: bool,
    /// True if the waiter wanted to try, but a waiter in front of it had to try first.
    deferred: bool,
    waker: Option<Waker>,
}

/// The error for a waiter that was notified while it tried, and must try again.
#[derive(Debug)]
pub(super) struct Notified;

impl Waiter {
    /// Returns true if the waiter is about to try. An expired waiter does not block others.
    fn due(&self, now: Instant) -> bool {
        (self.notified || self.at <= now) && !self.is_expired(now)
    }

    fn is_expired(&self, now: Instant) -> bool {
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

    /// Returns true if a new request would overtake a waiting one.
    fn would_overtake(&self, now: Instant) -> bool {
        self.waiters.iter().any(|waiter| waiter.due(now) || !waiter.excludes && !waiter.is_expired(now))
    }

    /// Adds a waiter at the end, already notified: capacity may have become free since the request tried.
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

    /// Returns `Ok` if this waiter may try now. Otherwise returns the time until which a waiter in front may block it, and
    /// the waker of the waiter to wake instead.
    fn try_next(&mut self, number: u64, now: Instant, waker: &Waker) -> Result<(), (Instant, Option<Waker>)> {
        let position = self.position(number);
        let Some(excludes) = self.waiters.get(position).map(|waiter| waiter.excludes) else { return Ok(()) };
        let before =
            |waiter: &&Waiter| waiter.due(now) || !excludes && !waiter.excludes && !waiter.is_expired(now);
        let blocker = self.waiters.iter().take(position).find(before).map(|waiter| waiter.expires);
        let Some(waiter) = self.waiters.get_mut(position) else { return Ok(()) };
        if !waiter.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            waiter.waker = Some(waker.clone());
        }
        match blocker {
            None => {
                waiter.notified = false;
                Ok(())
            }
            Some(until) => {
                // This waiter is notified again when it may try; until then its notification goes to a deferred waiter.
                let forwards = waiter.notified && !waiter.excludes;
                (waiter.notified, waiter.deferred) = (false, waiter.excludes);
                waiter.at = waiter.expires;
                Err((until, if forwards { self.notify_deferred(position) } else { None }))
            }
        }
    }

    /// Records that the waiter tried, and found no capacity before `at`. Returns the waker of the waiter to wake now.
    ///
    /// # Errors
    /// [`Notified`] if the waiter was notified meanwhile, and must try again.
    fn none_before(&mut self, number: u64, at: Instant) -> Result<Option<Waker>, Notified> {
        let position = self.position(number);
        let Some(waiter) = self.waiters.get_mut(position) else { return Ok(None) };
        waiter.at = at;
        if waiter.notified {
            return Err(Notified);
        }
        // If this waiter excludes endpoints, the next waiter may still be able to use the capacity. If not, no other waiter
        // can, but the first waiter that was deferred for this one must be woken to set its own timer.
        Ok(if waiter.excludes { self.notify(position + 1) } else { self.notify_deferred(position) })
    }

    /// Removes a waiter that has an endpoint or gives up, and notifies the next one.
    fn remove(&mut self, number: u64) -> Option<Waker> {
        let position = self.position(number);
        self.waiters.remove(position);
        self.notify(position)
    }

    fn capacity_freed(&mut self) -> Option<Waker> {
        self.notify(0)
    }

    /// Notifies the waiter at this position. Returns its waker, to be called after the lock is released: a wake can drop a
    /// task, and with it a ticket of this queue.
    fn notify(&mut self, position: usize) -> Option<Waker> {
        self.waiters.get_mut(position)?.notify()
    }

    /// Notifies the first deferred waiter behind this position.
    fn notify_deferred(&mut self, position: usize) -> Option<Waker> {
        self.waiters.iter_mut().skip(position + 1).find(|waiter| waiter.deferred)?.notify()
    }

    /// Returns the number of waiters in front of this one.
    fn position(&self, number: u64) -> usize {
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
    async fn a_queue_notifies_deferred_waiters_across_a_waiter_that_must_not_try() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        let woken: [Arc<Woken>; 4] = Default::default();
        let wakers = woken.each_ref().map(|woken| Waker::from(Arc::clone(woken)));
        let numbers = [false, true, false, true].map(|excludes| queue.join(excludes, now, later));
        // The first waiter has not tried yet, so that all others are deferred.
        for (number, waker) in numbers.iter().zip(&wakers).skip(1) {
            queue.try_next(*number, now, waker).expect_err("the first is due");
        }
        for nth in 0..4 {
            assert!(
                nth == 0 || woken[nth].0.load(Ordering::Relaxed),
                "waiter {nth} was not notified by one in front of it"
            );
            let next = match queue.try_next(numbers[nth], now, &wakers[nth]) {
                Ok(()) => queue.none_before(numbers[nth], later).expect("no news"),
                Err((_, next)) => next,
            };
            next.into_iter().for_each(Waker::wake);
        }
    }
}
