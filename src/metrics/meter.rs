//! What one scope counts: [`Meter`], and a request under way: [`Count`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tollgate_layers::{Class, Ending, Hear};

/// Upper bounds of the histograms' buckets, in milliseconds: from a cache hit to a thinking model.
const BOUNDS: [u64; 14] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];

/// What one scope counts: the gateway, a group, or a deployment.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    by_class: [AtomicU64; Class::COUNT],
    cancelled: AtomicU64,
    begun: AtomicU64,
    /// Of answers that were whole when their first content was there: both at once.
    whole: Histogram,
    /// Of all others.
    duration: Histogram,
    first_content: Histogram,
    pub(super) broken_events: Arc<AtomicU64>,
}

impl Meter {
    /// Where events with broken JSON are counted.
    pub(crate) fn broken_events(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.broken_events)
    }

    /// One more has begun.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// The head went up, with the first content or the whole answer in hand.
    pub(crate) fn first_content(&self, after: Duration) {
        self.first_content.observe(after);
    }

    /// One has ended; without a class it was cancelled.
    pub(crate) fn end(&self, class: Option<Class>, after: Duration) {
        self.count(class);
        self.duration.observe(after);
    }

    /// One has ended with its first content.
    fn end_whole(&self, class: Class, after: Duration) {
        self.count(Some(class));
        self.whole.observe(after);
    }

    /// How long they took to their end.
    pub(super) fn durations(&self) -> Shown {
        self.duration.read_with(&self.whole)
    }

    /// How long they took to their first content.
    pub(super) fn first_contents(&self) -> Shown {
        self.first_content.read_with(&self.whole)
    }

    fn count(&self, class: Option<Class>) {
        match class {
            Some(class) => self.by_class[class.index()].fetch_add(1, Ordering::Relaxed),
            None => self.cancelled.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// How many are under way: those that began and have not ended, so that a request counts neither in nor out.
    pub(crate) fn in_flight(&self) -> u64 {
        let ended: u64 = self.endings().map(|(_, count)| count).sum();
        // The two are not read at one moment.
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    /// How many ended in this class.
    pub(crate) fn ended(&self, class: Class) -> u64 {
        self.by_class[class.index()].load(Ordering::Relaxed)
    }

    /// How many ended in which way.
    pub(super) fn endings(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let classes = Class::ALL.iter().map(|class| (class.as_str(), self.ended(*class)));
        classes.chain([("cancelled", self.cancelled.load(Ordering::Relaxed))])
    }
}

/// A histogram as it is shown: the sum in seconds, the count, and that of each bucket with its upper bound.
pub(super) type Shown = (f64, u64, Vec<(f64, u64)>);

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
enum Told {
    Nothing,
    /// It went well, with the whole answer in hand, after so long.
    Whole(Duration),
    /// It is over after so long, and had no content.
    Over(Duration),
    /// It has been counted.
    All,
}

/// One request under way: counted when it ends, or as cancelled when it is dropped.
#[derive(Debug)]
pub(crate) struct Count {
    meter: Arc<Meter>,
    start: Instant,
    told: Told,
}

impl Count {
    /// It begins now.
    pub(crate) fn begin(meter: Arc<Meter>) -> Self {
        meter.begin();
        Self { meter, start: Instant::now(), told: Told::Nothing }
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    /// Its head goes up, with the first content in hand if it goes `well`, or, when it is `over`, with the whole answer.
    pub(crate) fn head(&mut self, well: bool, over: bool) {
        let after = self.elapsed(); // one look at the clock is enough
        self.told = match (well, over) {
            (true, true) => Told::Whole(after),
            (false, true) => Told::Over(after),
            (_, false) => Told::Nothing,
        };
        if well && !over {
            self.meter.first_content(after);
        }
    }
}

impl Hear for Count {
    fn end(mut self, ending: &Ending) {
        match std::mem::replace(&mut self.told, Told::All) {
            Told::Whole(after) => self.meter.end_whole(ending.class(), after),
            Told::Over(after) => self.meter.end(Some(ending.class()), after),
            Told::Nothing => self.meter.end(Some(ending.class()), self.elapsed()),
            Told::All => {}
        }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if !matches!(self.told, Told::All) {
            self.meter.end(None, self.elapsed());
        }
    }
}

/// A histogram of seconds, without a lock.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    fn observe(&self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanos <= bound * 1_000_000).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// This and another together.
    fn read_with(&self, other: &Self) -> Shown {
        let both = |one: &AtomicU64, other: &AtomicU64| {
            one.load(Ordering::Relaxed).wrapping_add(other.load(Ordering::Relaxed))
        };
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
        let counts = self.buckets.iter().zip(&other.buckets).map(|(one, other)| both(one, other));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (Duration::from_nanos(both(&self.nanos, &other.nanos)).as_secs_f64(), count, buckets)
    }
}
