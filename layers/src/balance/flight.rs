//! One call under way: [`Flight`].

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    latency::Sample,
    load::{Call, Loads, Table},
};
use crate::{Class, Ending, Hear, clock};

/// The kind of those that begin to answer before all is done.
const STREAMED: usize = 1;

/// One call under way: counts as load where it went until the answer has ended, and tells how fast it was.
///
/// Dropped unheard it only stops counting: a caller who left says nothing about an endpoint.
#[derive(Debug)]
pub struct Flight {
    loads: Arc<Loads>,
    seat: Seat,
    counted: Counted,
    kind: usize,
    began: Instant,
    head: Option<Duration>,
    landed: bool,
}

/// Where a call was counted, and as how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) which: usize,
    pub(super) work: f64,
    pub(super) given: f64,
}

/// By its seat the future that waited for the head finds out whether its flight is still under way after it has let it
/// go. Seats are used again: a flight costs no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    place: usize,
    number: u64,
}

/// The flights under way.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// The number of the flight in each; zero once it has ended, or has told how fast it was.
    taken: Vec<u64>,
    free: Vec<usize>,
}

/// What is known of a flight at the head of its answer, kept by the future that waited for it.
#[derive(Debug)]
pub(super) struct Begun {
    loads: Arc<Loads>,
    seat: Seat,
    sample: Sample,
}

impl Seats {
    pub(super) fn take(&mut self, number: u64) -> Seat {
        let place = self.free.pop().unwrap_or_else(|| {
            self.taken.push(0);
            self.taken.len() - 1
        });
        self.taken[place] = number;
        Seat { place, number }
    }

    /// Whether that flight has neither ended nor told; from now on it has told.
    fn told(&mut self, seat: Seat) -> bool {
        let untold = self.taken[seat.place] == seat.number;
        if untold {
            self.taken[seat.place] = 0;
        }
        untold
    }

    pub(super) fn give_back(&mut self, seat: Seat) {
        self.taken[seat.place] = 0;
        self.free.push(seat.place);
    }
}

impl Flight {
    pub(super) const fn new(loads: Arc<Loads>, seat: Seat, counted: Counted, call: &Call) -> Self {
        Self { loads, seat, counted, kind: call.kind, began: call.now, head: None, landed: false }
    }

    /// The call is made now; what was before is not the endpoint's time.
    pub(super) fn called(&mut self) {
        self.began = clock::now();
    }

    /// The head of the answer is there. For a stream: what [`Begun::told`] must know after the flight was fastened.
    pub(super) fn head(&mut self) -> Option<Begun> {
        let head = clock::now().saturating_duration_since(self.began);
        self.head = Some(head);
        (self.kind == STREAMED).then(|| Begun {
            loads: Arc::clone(&self.loads),
            seat: self.seat,
            sample: self.sample(head),
        })
    }

    /// The choice is void: the endpoint had no room after all.
    pub(super) fn undo(self) {
        self.loads.table().takes_back(&self.counted);
    }

    fn sample(&self, head: Duration) -> Sample {
        // A stream's first content comes when it comes; a plain answer takes as long as there is work in it.
        let per = if self.kind == STREAMED { 1.0 } else { self.counted.work };
        Sample { which: self.counted.which, kind: self.kind, seconds: head.as_secs_f64() / per }
    }
}

impl Begun {
    /// The flight was fastened to the answer. If it has not ended by that, a stream has begun well: its speed is known
    /// now, and not only when it ends. An answer that failed is complete, and its flight has heard so.
    pub(super) fn told(self) {
        let mut table = self.loads.table();
        if table.seats.told(self.seat) {
            table.advance_to(clock::now());
            let now = table.decay.now;
            table.latencies.sample(&self.sample, now);
        }
    }
}

impl Hear for Flight {
    fn end(mut self, ending: &Ending) {
        self.landed = true;
        let mut table = self.loads.table();
        table.advance_to(clock::now());
        if ending.is_evidence() {
            table.judged(self.counted.which, failed(ending.class()));
        }
        let Table { seats, latencies, decay, .. } = &mut *table;
        if let (Some(head), true) = (self.head, ending.is_success() && seats.told(self.seat)) {
            latencies.sample(&self.sample(head), decay.now);
        }
        table.landed(&self.counted, self.seat);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.loads.table().landed(&self.counted, self.seat);
        }
    }
}

const fn failed(class: Class) -> bool {
    match class {
        Class::Unauthorized | Class::Timeout | Class::Unavailable => true,
        Class::Success | Class::Caller | Class::ContextWindow | Class::ContentPolicy | Class::RateLimited => {
            false
        }
    }
}
