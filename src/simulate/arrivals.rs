//! The arrival times and sizes of simulated requests: [`Traffic`].

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use fastrand::Rng;

use super::InvalidArgument;
use crate::config::Deployment;

/// The distribution of arrival times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrivalPattern {
    /// A Poisson process: arrivals are independent, as those of many clients are.
    #[default]
    Poisson,
    /// Equal intervals.
    Even,
}

impl FromStr for ArrivalPattern {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        match text {
            "poisson" => Ok(Self::Poisson),
            "even" => Ok(Self::Even),
            _ => Err(InvalidArgument("poisson or even")),
        }
    }
}

/// A range of numbers of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRange(RangeInclusive<u64>);

impl TokenRange {
    /// Returns a range, from which numbers are drawn with equal probability.
    #[must_use]
    pub const fn between(min: u64, max: u64) -> Self {
        Self(min..=max)
    }

    fn mean(&self) -> f64 {
        (count(*self.0.start()) + count(*self.0.end())) / 2.0
    }

    fn draw(&self, rng: &mut Rng) -> u64 {
        rng.u64(self.0.clone())
    }
}

impl FromStr for TokenRange {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let wrong = InvalidArgument("a number of tokens, or two with a hyphen between: 10-8000");
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        match (min.trim().parse(), max.trim().parse()) {
            (Ok(min), Ok(max)) if min <= max && max <= 1_000_000 => Ok(Self(min..=max)),
            _ => Err(wrong),
        }
    }
}

/// The requests of a scenario.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// The requested group. None means the first of the configuration.
    pub group: Option<String>,
    /// The number of requests per second.
    pub per_second: f64,
    /// The distribution of arrival times.
    pub pattern: ArrivalPattern,
    /// The length of a prompt, in tokens.
    pub prompt: TokenRange,
    /// `max_tokens`.
    pub output: TokenRange,
}

impl Traffic {
    /// Returns Poisson traffic of small requests at this rate.
    #[must_use]
    pub const fn new(per_second: f64) -> Self {
        Self {
            group: None,
            per_second,
            pattern: ArrivalPattern::Poisson,
            prompt: TokenRange::between(20, 400),
            output: TokenRange::between(16, 256),
        }
    }
}

/// The share of the limits that the default rate uses.
const DEFAULT_SHARE: f64 = 0.9;

impl Traffic {
    /// Returns the rate that uses 90 % of the limits of these deployments: of their requests per minute, else of their
    /// tokens per minute. Returns `None` if no deployment has a limit.
    #[must_use]
    pub fn default_rate<'a>(&self, deployments: impl Iterator<Item = &'a Deployment> + Clone) -> Option<f64> {
        let sum = |limit: fn(&Deployment) -> Option<u64>| {
            let limits = deployments.clone().filter_map(limit);
            limits.reduce(u64::saturating_add).map(|sum| count(sum) / 60.0)
        };
        let tokens = self.prompt.mean() + self.output.mean() / 2.0;
        let rate = sum(|deployment| deployment.limits.rpm)
            .or_else(|| sum(|deployment| deployment.limits.tpm).map(|per_second| per_second / tokens));
        rate.map(|rate| rate * DEFAULT_SHARE)
    }
}

/// Generates the requests.
#[derive(Debug)]
pub(super) struct Arrivals {
    traffic: Traffic,
    group: String,
    rng: Rng,
    at: Duration,
    count: u64,
}

/// A request and its arrival time.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The time since the start of the run.
    pub(super) at: Duration,
    pub(super) body: String,
}

impl Arrivals {
    pub(super) fn new(traffic: &Traffic, group: String, seed: u64) -> Self {
        Self { traffic: traffic.clone(), group, rng: Rng::with_seed(seed), at: Duration::ZERO, count: 0 }
    }

    /// Returns the next request.
    pub(super) fn next(&mut self) -> Arrival {
        self.count += 1;
        let gap = 1.0 / self.traffic.per_second;
        self.at = match self.traffic.pattern {
            ArrivalPattern::Poisson => self.at + Duration::from_secs_f64(gap * exponential(&mut self.rng)),
            // Multiplied, not summed: over an hour the rounding errors would add up.
            ArrivalPattern::Even => Duration::from_secs_f64(gap * count(self.count)),
        };
        let (prompt, output) =
            (self.traffic.prompt.draw(&mut self.rng), self.traffic.output.draw(&mut self.rng));
        Arrival { at: self.at, body: body(&self.group, prompt, output) }
    }
}

/// Returns a chat request. Four bytes count as a token, as in the gateway's estimate and in Azure's.
fn body(group: &str, prompt: u64, output: u64) -> String {
    let text = "word".repeat(usize::try_from(prompt).unwrap_or(0));
    let model = serde_json::Value::from(group);
    format!(r#"{{"model":{model},"max_tokens":{output},"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

/// Draws from the exponential distribution with mean 1.
fn exponential(rng: &mut Rng) -> f64 {
    -rng.f64().max(f64::MIN_POSITIVE).ln()
}

/// Draws from the standard normal distribution (Box-Muller transform).
pub(super) fn normal(rng: &mut Rng) -> f64 {
    (2.0 * exponential(rng)).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

#[expect(clippy::cast_precision_loss, reason = "no run has 2^53 requests")]
pub(super) const fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(pattern: ArrivalPattern, seed: u64) -> Vec<Duration> {
        let traffic = Traffic { pattern, ..Traffic::new(20.0) };
        let mut arrivals = Arrivals::new(&traffic, "g".to_owned(), seed);
        (0..10_000).map(|_| arrivals.next().at).collect()
    }

    #[test]
    fn arrivals_have_the_requested_rate() {
        for pattern in [ArrivalPattern::Poisson, ArrivalPattern::Even] {
            let last = times(pattern, 3)[9_999].as_secs_f64();
            assert!((485.0..515.0).contains(&last), "{pattern:?}: {last}");
        }
    }

    #[test]
    fn poisson_arrivals_have_the_variance_of_a_poisson_process() {
        let times = times(ArrivalPattern::Poisson, 5);
        let mut in_second = [0_u32; 400];
        for second in times.iter().map(|at| at.as_secs() as usize).filter(|second| *second < 400) {
            in_second[second] += 1;
        }
        let mean = in_second.iter().map(|n| f64::from(*n)).sum::<f64>() / 400.0;
        let variance = in_second.iter().map(|n| (f64::from(*n) - mean).powi(2)).sum::<f64>() / 400.0;
        assert!((0.8..1.2).contains(&(variance / mean)), "{variance} / {mean}");
    }

    #[test]
    fn equal_seeds_give_equal_arrivals() {
        assert_eq!(times(ArrivalPattern::Poisson, 9), times(ArrivalPattern::Poisson, 9));
        assert_ne!(times(ArrivalPattern::Poisson, 9), times(ArrivalPattern::Poisson, 10));
    }

    #[test]
    fn token_ranges_are_parsed() {
        assert_eq!("10-8000".parse(), Ok(TokenRange::between(10, 8000)));
        assert_eq!("7".parse(), Ok(TokenRange::between(7, 7)));
        for wrong in ["", "8-3", "x", "1-y", "1-99999999"] {
            assert!(wrong.parse::<TokenRange>().is_err(), "{wrong}");
        }
    }
}
