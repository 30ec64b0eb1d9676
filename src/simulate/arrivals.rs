//! When requests come, and how large they are: [`Traffic`].

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use fastrand::Rng;

use super::Unreadable;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// Each without regard to the others, as those of many callers do.
    #[default]
    Poisson,
    /// One every so often.
    Even,
}

impl FromStr for Pattern {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        match text {
            "poisson" => Ok(Self::Poisson),
            "even" => Ok(Self::Even),
            _ => Err(Unreadable("poisson or even")),
        }
    }
}

/// From how many to how many tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens(RangeInclusive<u64>);

impl Tokens {
    /// Any number of these, the small ones as likely as the large.
    #[must_use]
    pub const fn between(least: u64, most: u64) -> Self {
        Self(least..=most)
    }

    fn draw(&self, rng: &mut Rng) -> u64 {
        rng.u64(self.0.clone())
    }
}

impl FromStr for Tokens {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let wrong = Unreadable("a number of tokens, or two with a hyphen between: 10-8000");
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        match (least.trim().parse(), most.trim().parse()) {
            (Ok(least), Ok(most)) if least <= most && most <= 1_000_000 => Ok(Self(least..=most)),
            _ => Err(wrong),
        }
    }
}

/// The requests that come.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// What they ask for; the first group of the configuration unless said otherwise.
    pub group: Option<String>,
    /// How many come in a second.
    pub per_second: f64,
    /// How they follow each other.
    pub pattern: Pattern,
    /// The length of a prompt.
    pub prompt: Tokens,
    /// `max_tokens`.
    pub output: Tokens,
}

impl Traffic {
    /// So many small requests a second, as they come.
    #[must_use]
    pub const fn new(per_second: f64) -> Self {
        Self {
            group: None,
            per_second,
            pattern: Pattern::Poisson,
            prompt: Tokens::between(20, 400),
            output: Tokens::between(16, 256),
        }
    }
}

/// Draws one request after the other.
#[derive(Debug)]
pub(super) struct Arrivals {
    traffic: Traffic,
    group: String,
    rng: Rng,
    at: Duration,
    count: u64,
}

/// One request.
#[derive(Debug)]
pub(super) struct Arrival {
    /// After the beginning.
    pub(super) at: Duration,
    pub(super) body: String,
}

impl Arrivals {
    pub(super) fn new(traffic: &Traffic, group: String, seed: u64) -> Self {
        Self { traffic: traffic.clone(), group, rng: Rng::with_seed(seed), at: Duration::ZERO, count: 0 }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Arrival {
        self.count += 1;
        let gap = 1.0 / self.traffic.per_second;
        self.at = match self.traffic.pattern {
            Pattern::Poisson => self.at + Duration::from_secs_f64(gap * exponential(&mut self.rng)),
            // Not added up: in an hour the error would show.
            Pattern::Even => Duration::from_secs_f64(gap * count(self.count)),
        };
        let (prompt, output) =
            (self.traffic.prompt.draw(&mut self.rng), self.traffic.output.draw(&mut self.rng));
        Arrival { at: self.at, body: body(&self.group, prompt, output) }
    }
}

/// A chat request. Bytes / 4 is what we and Azure take for a token.
fn body(group: &str, prompt: u64, output: u64) -> String {
    let text = "word".repeat(usize::try_from(prompt).unwrap_or(0));
    let model = serde_json::Value::from(group);
    format!(r#"{{"model":{model},"max_tokens":{output},"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

/// One on average.
fn exponential(rng: &mut Rng) -> f64 {
    -rng.f64().max(f64::MIN_POSITIVE).ln()
}

/// From the standard normal distribution, by Box and Muller.
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

    fn times(pattern: Pattern, seed: u64) -> Vec<Duration> {
        let traffic = Traffic { pattern, ..Traffic::new(20.0) };
        let mut arrivals = Arrivals::new(&traffic, "g".to_owned(), seed);
        (0..10_000).map(|_| arrivals.next().at).collect()
    }

    #[test]
    fn as_many_come_as_were_asked_for() {
        for pattern in [Pattern::Poisson, Pattern::Even] {
            let last = times(pattern, 3)[9_999].as_secs_f64();
            assert!((485.0..515.0).contains(&last), "{pattern:?}: {last}");
        }
    }

    #[test]
    fn poisson_varies_as_much_as_it_should() {
        let times = times(Pattern::Poisson, 5);
        let mut in_second = [0_u32; 400];
        for second in times.iter().map(|at| at.as_secs() as usize).filter(|second| *second < 400) {
            in_second[second] += 1;
        }
        let mean = in_second.iter().map(|n| f64::from(*n)).sum::<f64>() / 400.0;
        let variance = in_second.iter().map(|n| (f64::from(*n) - mean).powi(2)).sum::<f64>() / 400.0;
        assert!((0.8..1.2).contains(&(variance / mean)), "{variance} / {mean}");
    }

    #[test]
    fn the_same_seed_gives_the_same_times() {
        assert_eq!(times(Pattern::Poisson, 9), times(Pattern::Poisson, 9));
        assert_ne!(times(Pattern::Poisson, 9), times(Pattern::Poisson, 10));
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        assert_eq!("10-8000".parse(), Ok(Tokens::between(10, 8000)));
        assert_eq!("7".parse(), Ok(Tokens::between(7, 7)));
        for wrong in ["", "8-3", "x", "1-y", "1-99999999"] {
            assert!(wrong.parse::<Tokens>().is_err(), "{wrong}");
        }
    }
}
