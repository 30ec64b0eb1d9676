//! How fast each endpoint answers, against its group: [`Speeds`].

use tokio::time::Instant;

/// Kinds of calls, which are not to be compared with each other.
pub(super) const KINDS: usize = 2;

/// A sample older than this says nothing any more.
const STALE: f64 = 60.0;

/// How long the answers of each endpoint take, by kind, and the group's median.
#[derive(Debug)]
pub(super) struct Speeds {
    times: [Vec<Mean>; KINDS],
    medians: [f64; KINDS],
    samples: usize,
    // Where the median is sought, so that this never allocates.
    scratch: Vec<f64>,
}

/// A mean in which the old fades; zero while nothing is known.
#[derive(Clone, Copy, Debug)]
struct Mean {
    seconds: f64,
    at: Instant,
}

/// How long one answer took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) which: usize,
    pub(super) kind: usize,
    pub(super) seconds: f64,
}

impl Speeds {
    pub(super) fn new(len: usize, now: Instant) -> Self {
        let none = || vec![Mean { seconds: 0.0, at: now }; len];
        Self { times: [none(), none()], medians: [0.0; KINDS], samples: 0, scratch: Vec::with_capacity(len) }
    }

    /// How long answers take there, where that is known.
    pub(super) fn seconds(&self, which: usize, kind: usize, now: Instant) -> Option<f64> {
        let mean = &self.times[kind][which];
        let fresh = now.saturating_duration_since(mean.at).as_secs_f64() < STALE;
        (fresh && mean.seconds > 0.0).then_some(mean.seconds)
    }

    /// How much slower than the group, 1 to 10.
    pub(super) fn slowness(&self, which: usize, kind: usize, now: Instant) -> f64 {
        let median = self.medians[kind];
        match self.seconds(which, kind, now) {
            Some(seconds) if median > 0.0 => (seconds / median).clamp(1.0, 10.0),
            _ => 1.0,
        }
    }

    pub(super) fn sample(&mut self, sample: &Sample, now: Instant) {
        let Sample { which, kind, seconds } = *sample;
        let mean = &mut self.times[kind][which];
        // Never zero, which stands for nothing known.
        let seconds = seconds.max(1e-9);
        let age = now.saturating_duration_since(mean.at).as_secs_f64();
        // One in five, more when there was none for long: what gets little traffic must be able to recover.
        let part = if mean.seconds > 0.0 { (1.0 - (-age / 5.0).exp()).max(0.2) } else { 1.0 };
        *mean = Mean { seconds: mean.seconds + part * (seconds - mean.seconds), at: now };
        self.samples += 1;
        // In a large group one sample moves the median little.
        if self.samples >= self.times[kind].len() / 16 {
            self.samples = 0;
            self.find_median(kind);
        }
    }

    fn find_median(&mut self, kind: usize) {
        self.scratch.clear();
        self.scratch
            .extend(self.times[kind].iter().map(|mean| mean.seconds).filter(|seconds| *seconds > 0.0));
        let (len, middle) = (self.scratch.len(), self.scratch.len() / 2);
        if len > 0 {
            let (below, upper, _) = self.scratch.select_nth_unstable_by(middle, f64::total_cmp);
            let lower = if len % 2 == 0 { below.iter().copied().fold(0.0, f64::max) } else { *upper };
            self.medians[kind] = f64::midpoint(lower, *upper);
        }
    }
}
