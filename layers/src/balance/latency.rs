//! How long each endpoint takes to answer, relative to its group: [`Latencies`].

/// Kinds of calls, which are not to be compared with each other.
pub(super) const KINDS: usize = 2;

/// A sample older than this says nothing any more.
const STALE: f64 = 60.0;
/// A median is believed for so long, and is not sought again for each answer.
const MEDIAN: f64 = 0.1;

/// How long the answers of each endpoint take, by kind, and the group's median. Times are seconds since the group began.
#[derive(Debug)]
pub(super) struct Latencies {
    times: [Vec<Mean>; KINDS],
    medians: [Median; KINDS],
    // Where the median is sought, so that this never allocates.
    scratch: Vec<f64>,
}

/// A mean in which the old fades; zero while nothing is known.
#[derive(Clone, Copy, Debug)]
struct Mean {
    seconds: f64,
    at: f64,
}

/// When it was sought last, and how many samples there were since; zero while nothing is known.
#[derive(Clone, Copy, Debug)]
struct Median {
    seconds: f64,
    at: f64,
    samples: usize,
}

/// How long one answer took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) which: usize,
    pub(super) kind: usize,
    pub(super) seconds: f64,
}

impl Latencies {
    pub(super) fn new(len: usize) -> Self {
        let none = || vec![Mean { seconds: 0.0, at: 0.0 }; len];
        let median = Median { seconds: 0.0, at: f64::NEG_INFINITY, samples: 0 };
        Self { times: [none(), none()], medians: [median; KINDS], scratch: Vec::with_capacity(len) }
    }

    /// How long answers take there, where that is known.
    pub(super) fn seconds(&self, which: usize, kind: usize, now: f64) -> Option<f64> {
        self.times[kind][which].known(now)
    }

    /// How much slower than the group, 1 to 10.
    pub(super) fn slowness(&self, which: usize, kind: usize, now: f64) -> f64 {
        let median = self.medians[kind].seconds;
        match self.seconds(which, kind, now) {
            Some(seconds) if median > 0.0 => (seconds / median).clamp(1.0, 10.0),
            _ => 1.0,
        }
    }

    pub(super) fn sample(&mut self, sample: &Sample, now: f64) {
        let Sample { which, kind, seconds } = *sample;
        let mean = &mut self.times[kind][which];
        // Never zero, which stands for nothing known.
        let seconds = seconds.max(1e-9);
        let age = now - mean.at;
        // One in five, more when there was none for long: what gets little traffic must be able to recover.
        let part = if mean.seconds > 0.0 { (1.0 - (-age / 5.0).exp()).max(0.2) } else { 1.0 };
        *mean = Mean { seconds: mean.seconds + part * (seconds - mean.seconds), at: now };
        self.medians[kind].samples += 1;
    }

    /// Seeks the median again, if it is time.
    pub(super) fn refresh(&mut self, kind: usize, now: f64) {
        let Median { at, samples, .. } = self.medians[kind];
        // In a large group one sample moves it little.
        if samples > self.times[kind].len() / 16 && now - at >= MEDIAN {
            self.find_median(kind, now);
            (self.medians[kind].at, self.medians[kind].samples) = (now, 0);
        }
    }

    fn find_median(&mut self, kind: usize, now: f64) {
        self.scratch.clear();
        self.scratch.extend(self.times[kind].iter().filter_map(|mean| mean.known(now)));
        let (len, middle) = (self.scratch.len(), self.scratch.len() / 2);
        if len > 0 {
            let (below, upper, _) = self.scratch.select_nth_unstable_by(middle, f64::total_cmp);
            let lower = if len % 2 == 0 { below.iter().copied().fold(0.0, f64::max) } else { *upper };
            self.medians[kind].seconds = f64::midpoint(lower, *upper);
        }
    }
}

impl Mean {
    /// Where it says something.
    fn known(&self, now: f64) -> Option<f64> {
        (now - self.at < STALE && self.seconds > 0.0).then_some(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_were_slow_long_ago_do_not_make_the_others_fast() {
        let mut latencies = Latencies::new(5);
        let mut sample = |(which, seconds), now| latencies.sample(&Sample { which, kind: 0, seconds }, now);
        [(0, 10.0), (1, 10.0), (2, 10.0)].into_iter().for_each(|slow| sample(slow, 0.0));
        [(3, 1.0), (4, 3.0)].into_iter().for_each(|other| sample(other, 100.0));
        latencies.refresh(0, 100.0);
        assert_eq!([3, 4].map(|which| latencies.slowness(which, 0, 100.0)), [1.0, 1.5]);
    }
}
