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
    waker: Option<Waker>,
}

impl Waiter {
    /// Whether it is about to look; one that has given up does not stand in anybody's way.
    fn due(&self, now: Instant) -> bool {
        (self.told || self.at <= now) && !self.gone(now)
    }

    fn gone(&self, now: Instant) -> bool {
        self.expires < now
    }

    fn tell(&mut self) {
        self.told = true;
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
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
        self.waiters.push_back(Waiter { number, picky, at: now, expires, told: true, waker: None });
        number
    }

    /// Whether it is this one's turn to look; else until when somebody in front may keep it from that.
    pub(super) fn turn(&mut self, number: u64, now: Instant, waker: &Waker) -> Result<(), Instant> {
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
                // It is told again when it is its turn.
                waiter.told = false;
                waiter.at = waiter.expires;
                Err(until)
            }
        }
    }

    /// It looked, and there is none before `at`. Whether it has been told to look again meanwhile.
    pub(super) fn none_before(&mut self, number: u64, at: Instant) -> bool {
        let place = self.place(number);
        let Some(waiter) = self.waiters.get_mut(place) else { return false };
        waiter.at = at;
        let (again, picky) = (waiter.told, waiter.picky);
        if picky && !again {
            // What it cannot take, the next may.
            self.tell(place + 1);
        }
        again
    }

    /// It goes, with an endpoint or without.
    pub(super) fn leave(&mut self, number: u64) {
        let place = self.place(number);
        self.waiters.remove(place);
        self.tell(place);
    }

    /// There may be room.
    pub(super) fn freed(&mut self) {
        self.tell(0);
    }

    fn tell(&mut self, place: usize) {
        if let Some(waiter) = self.waiters.get_mut(place) {
            waiter.tell();
        }
    }

    /// How many wait in front of this one.
    pub(super) fn place(&self, number: u64) -> usize {
        self.waiters.partition_point(|waiter| waiter.number < number)
    }
}
