//! Draws from many by weight: [`Lots`].

use std::ops::Range;

/// The sums of the weights up to each: whoever is heavier is met by a random number more often.
#[derive(Debug)]
pub(super) struct Lots {
    sums: Vec<f64>,
}

impl Lots {
    pub(super) fn new(weights: &[f64]) -> Self {
        let sums = weights.iter().scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: std::iter::once(0.0).chain(sums).collect() }
    }

    fn weight(&self, which: usize) -> f64 {
        self.sums[which + 1] - self.sums[which]
    }

    /// One of those; each of them alike, where they weigh nothing.
    pub(super) fn one(&self, of: &Range<usize>, rng: &mut fastrand::Rng) -> usize {
        let all = self.sums[of.end] - self.sums[of.start];
        if all > 0.0 { self.at(of, rng.f64() * all) } else { rng.usize(of.clone()) }
    }

    /// Another, drawn as if that one were not there.
    pub(super) fn other(&self, of: &Range<usize>, than: usize, rng: &mut fastrand::Rng) -> usize {
        let before = self.sums[than] - self.sums[of.start];
        let rest = self.sums[of.end] - self.sums[of.start] - self.weight(than);
        let drawn = if rest > 0.0 {
            let place = rng.f64() * rest;
            self.at(of, if place < before { place } else { place + self.weight(than) })
        } else {
            than
        };
        // Rounding may lead to the same one again, and so does a group in which nobody else has a weight.
        if drawn == than { of.start + (than - of.start + rng.usize(1..of.len())) % of.len() } else { drawn }
    }

    fn at(&self, of: &Range<usize>, place: f64) -> usize {
        let place = self.sums[of.start] + place;
        let ends = &self.sums[of.start + 1..=of.end];
        of.start + ends.partition_point(|end| *end <= place).min(of.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 20_000;

    /// How often each is drawn, in parts of one, as the first and as the second.
    fn parts(weights: &[f64], of: &Range<usize>) -> Vec<[f64; 2]> {
        let (lots, mut rng) = (Lots::new(weights), fastrand::Rng::with_seed(7));
        let mut counts = vec![[0.0; 2]; weights.len()];
        for _ in 0..DRAWS {
            let one = lots.one(of, &mut rng);
            let other = lots.other(of, one, &mut rng);
            assert!(one != other && of.contains(&one) && of.contains(&other), "{one} {other}");
            counts[one][0] += 1.0 / f64::from(DRAWS);
            counts[other][1] += 1.0 / f64::from(DRAWS);
        }
        counts
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 0.02
    }

    #[test]
    fn each_is_drawn_by_its_weight() {
        let parts = parts(&[1000.0, 6.0, 3.0, 1.0, 1000.0], &(1..4));
        assert!(near(parts[1][0], 0.6) && near(parts[2][0], 0.3) && near(parts[3][0], 0.1), "{parts:?}");
        // 3/4 of the time behind the second, 6/9 behind the third.
        let light = 0.6 * 0.25 + 0.3 * (1.0 / 7.0);
        assert!(near(parts[3][1], light), "{parts:?}");
    }

    #[test]
    fn one_that_weighs_nothing_is_drawn_only_where_all_do() {
        let some = parts(&[5.0, 0.0, 5.0, 0.0], &(0..4));
        assert_eq!((some[1], some[3]), ([0.0; 2], [0.0; 2]));
        let none = parts(&[0.0; 4], &(0..4));
        assert!(none.iter().flatten().all(|part| near(*part, 0.25)), "{none:?}");
        // The second must be somebody, though only one has a weight.
        let alone = parts(&[0.0, 5.0, 0.0], &(0..3));
        assert!(near(alone[1][0], 1.0) && near(alone[0][1], 0.5), "{alone:?}");
    }
}
