//! The latency of each endpoint, relative to the median of its group: [`Latencies`].

/// The number of kinds of calls: plain and streamed. Latencies of different kinds are not compared.
pub(super) const KINDS: usize = 2;

/// The age in seconds from which a sample is ignored.
const STALE: f64 = 60.0;
/// The time in seconds for which a median is kept, so that it is not computed for each choice.
const MEDIAN: f64 = 0.1;

/// The mean latencies of all endpoints by kind, and the medians of the group. Times are seconds since the group began.
#[derive(Debug)]
pub(super) struct Latencies {
    times: [Vec<Mean>; KINDS],
    medians: [Median; KINDS],
    // The buffer for the computation of a median, so that it never allocates.
    scratch: Vec<f64>,
}

/// An exponentially weighted mean. `seconds` is zero until the first sample; `at` is the time of the last sample.
#[derive(Clone, Copy, Debug)]
struct Mean {
    seconds: f64,
    at: f64,
}

/// A median, the time of its last computation, and the number of samples since. `seconds` is zero until the first one.
#[derive(Clone, Copy, Debug)]
struct Median {
    seconds: f64,
    at: f64,
    samples: usize,
}

/// The measured latency of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) which: usize,
    pub(super) kind: usize,
    pub(super) seconds: f64,
}

impl Latencies {
    pub(super) fn new(len: usize) -> Self {
        let none = || vec![Mean::NONE; len];
        let median = Median { seconds: 0.0, at: f64::NEG_INFINITY, samples: 0 };
        Self { times: [none(), none()], medians: [median; KINDS], scratch: Vec::with_capacity(len) }
    }

    /// Prepares a slot, which may be the next one, for a new endpoint.
    pub(super) fn begin_slot(&mut self, slot: usize) {
        for times in &mut self.times {
            if slot == times.len() {
                times.push(Mean::NONE);
            }
            times[slot] = Mean::NONE;
        }
        self.scratch.reserve(self.times[0].len());
    }

    /// Returns the mean latency of an endpoint, if it has a recent sample.
    pub(super) fn seconds(&self, which: usize, kind: usize, now: f64) -> Option<f64> {
        self.times[kind][which].known(now)
    }

    /// Returns the ratio of an endpoint's latency to the median of the group, limited to 1..=10; 1 if not known.
    pub(super) fn relative_latency(&self, which: usize, kind: usize, now: f64) -> f64 {
        let median = self.medians[kind].seconds;
        match self.seconds(which, kind, now) {
            Some(seconds) if median > 0.0 => (seconds / median).clamp(1.0, 10.0),
            _ => 1.0,
        }
    }

    pub(super) fn sample(&mut self, sample: &Sample, now: f64) {
        let Sample { which, kind, seconds } = *sample;
        let mean = &mut self.times[kind][which];
        // Never zero, which means that there is no sample.
        let seconds = seconds.max(1e-9);
        let age = now - mean.at;
        // A sample counts for a fifth, and for more after a long time without one: an endpoint with little traffic must be
        // able to recover.
        let part = if mean.seconds > 0.0 { (1.0 - (-age / 5.0).exp()).max(0.2) } else { 1.0 };
        *mean = Mean { seconds: mean.seconds + part * (seconds - mean.seconds), at: now };
        self.medians[kind].samples += 1;
    }

    /// Computes the median again if it is outdated.
    pub(super) fn refresh(&mut self, kind: usize, now: f64) {
        let Median { at, samples, .. } = self.medians[kind];
        // In a large group a single sample hardly changes the median.
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
    const NONE: Self = Self { seconds: 0.0, at: 0.0 };

    /// Returns the mean if it has a recent sample.
    fn known(&self, now: f64) -> Option<f64> {
        (now - self.at < STALE && self.seconds > 0.0).then_some(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_latencies_do_not_count_for_the_median() {
        let mut latencies = Latencies::new(5);
        let mut sample = |(which, seconds), now| latencies.sample(&Sample { which, kind: 0, seconds }, now);
        [(0, 10.0), (1, 10.0), (2, 10.0)].into_iter().for_each(|slow| sample(slow, 0.0));
        [(3, 1.0), (4, 3.0)].into_iter().for_each(|other| sample(other, 100.0));
        latencies.refresh(0, 100.0);
        assert_eq!([3, 4].map(|which| latencies.relative_latency(which, 0, 100.0)), [1.0, 1.5]);
    }
}
