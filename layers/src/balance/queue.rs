//! Those who wait for room: [`Queue`].

use std::{collections::VecDeque, task::Waker};

use tokio::time::Instant;

/// A first-in-first-out queue of requests that found no room.
///
/// Who wakes whom: freed capacity wakes the first, and whoever has tried hands on to the next. Of all those who would
/// take any endpoint only the first watches the clock; one who may not take every endpoint watches it for itself.
/// So a slot that frees costs two polls, however many wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: VecDeque<Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    /// It has tried some endpoint before, and may not want what the others want.
    picky: bool,
    /// When it expects room, and when it gives up.
    at: Instant,
    expires: Instant,
    /// It was told to look, and has not looked since.
    told: bool,
    /// It wanted to look, and let one in front of it go first.
    held: bool,
    waker: Option<Waker>,
}

/// There was news while it looked.
#[derive(Debug)]
pub(super) struct Again;

impl Waiter {
    /// Whether it is about to look; one that has given up does not stand in anybody's way.
    fn due(&self, now: Instant) -> bool {
        (self.told || self.at <= now) && !self.gone(now)
    }

    fn gone(&self, now: Instant) -> bool {
        self.expires < now
    }

    fn tell(&mut self) -> Option<Waker> {
        (self.told, self.held) = (true, false);
        self.waker.clone()
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether a newcomer would overtake somebody.
    pub(super) fn is_owed(&self, now: Instant) -> bool {
        self.waiters.iter().any(|waiter| waiter.due(now) || !waiter.picky && !waiter.gone(now))
    }

    /// Joins the end, and is told at once to look: room may have come since it looked last.
    pub(super) fn join(&mut self, picky: bool, now: Instant, expires: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiters.push_back(Waiter {
            number,
            picky,
            at: now,
            expires,
            told: true,
            held: false,
            waker: None,
        });
        number
    }

    /// Whether it is this one's turn to look; else until when somebody in front may keep it from that, and who is to look
    /// in its stead.
    pub(super) fn turn(
        &mut self,
        number: u64,
        now: Instant,
        waker: &Waker,
    ) -> Result<(), (Instant, Option<Waker>)> {
        let place = self.place(number);
        let Some(picky) = self.waiters.get(place).map(|waiter| waiter.picky) else { return Ok(()) };
        let before = |waiter: &&Waiter| waiter.due(now) || !picky && !waiter.picky && !waiter.gone(now);
        let blocker = self.waiters.iter().take(place).find(before).map(|waiter| waiter.expires);
        let Some(waiter) = self.waiters.get_mut(place) else { return Ok(()) };
        if !waiter.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            waiter.waker = Some(waker.clone());
        }
        match blocker {
            None => {
                waiter.told = false;
                Ok(())
            }
            Some(until) => {
                // It is told again when it is its turn; what it was told goes on to those whose turn it may be.
                let hands_on = waiter.told && !waiter.picky;
                (waiter.told, waiter.held) = (false, waiter.picky);
                waiter.at = waiter.expires;
                Err((until, if hands_on { self.tell_held(place) } else { None }))
            }
        }
    }

    /// It looked, and there is none before `at`. Whether it has been told to look again meanwhile; if not, who is to
    /// look now.
    pub(super) fn none_before(&mut self, number: u64, at: Instant) -> Result<Option<Waker>, Again> {
        let place = self.place(number);
        let Some(waiter) = self.waiters.get_mut(place) else { return Ok(None) };
        waiter.at = at;
        if waiter.told {
            return Err(Again);
        }
        // What a picky one cannot take, the next may. What another could not take, nobody can; but one that let it go
        // first has yet to learn when its own time comes.
        Ok(if waiter.picky { self.tell(place + 1) } else { self.tell_held(place) })
    }

    /// It goes, with an endpoint or without.
    pub(super) fn leave(&mut self, number: u64) -> Option<Waker> {
        let place = self.place(number);
        self.waiters.remove(place);
        self.tell(place)
    }

    /// There may be room.
    pub(super) fn freed(&mut self) -> Option<Waker> {
        self.tell(0)
    }

    /// The one to be woken, once the queue is no longer locked: to wake may end a task, and that may leave the queue.
    fn tell(&mut self, place: usize) -> Option<Waker> {
        self.waiters.get_mut(place)?.tell()
    }

    /// The first behind this one that let somebody go first.
    fn tell_held(&mut self, place: usize) -> Option<Waker> {
        self.waiters.iter_mut().skip(place + 1).find(|waiter| waiter.held)?.tell()
    }

    /// How many wait in front of this one.
    pub(super) fn place(&self, number: u64) -> usize {
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
        let numbers = [false, true, false, true].map(|picky| queue.join(picky, now, later));
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
