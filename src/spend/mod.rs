//! The tokens and dollars that requests spend: [`Spending`] of a request, [`AttemptCharge`] of an attempt, and
//! [`Budget`].
//!
//! They exist only where the configuration has a use for them: for requests with a client key, where the cost of
//! responses is reported, and where the records of requests are read. An attempt is charged by the usage that its response reports. A response that began and was
//! not read to its end, or that reports no usage, is charged by the estimate: a client that disconnects early must not
//! call for free.

mod budget;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

pub(crate) use budget::{Budget, BudgetUse};

use crate::config::{Deployment, ModelFacts, Pattern, Prices};

/// The number of tokens of a call, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenCounts {
    /// The input, including the part from a cache.
    pub input: u64,
    /// The part of the input that the upstream had in a cache.
    pub cached: u64,
    /// The output.
    pub output: u64,
}

/// The tokens and the cost of all attempts of one request.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    tokens: AtomicU64,
    nanodollars: AtomicU64,
    /// True after the first charge.
    charged: AtomicBool,
    /// True if the prices of a charged attempt are not known.
    unpriced: AtomicBool,
}

impl Spending {
    /// Returns the tokens, or none if no attempt was charged.
    pub(crate) fn tokens(&self) -> Option<u64> {
        self.charged.load(Ordering::Acquire).then(|| self.tokens.load(Ordering::Relaxed))
    }

    /// Returns the cost so far. An attempt without known prices costs nothing.
    pub(crate) fn nanodollars(&self) -> u64 {
        self.nanodollars.load(Ordering::Relaxed)
    }

    /// Returns the cost in dollars, or none if it is not known.
    pub(crate) fn dollars(&self) -> Option<f64> {
        let is_known = self.charged.load(Ordering::Acquire) && !self.unpriced.load(Ordering::Relaxed);
        is_known.then(|| self.nanodollars() as f64 / NANO)
    }

    /// Adds the tokens of an attempt and its cost in nanodollars, if that is known.
    fn add(&self, counts: TokenCounts, cost: Option<u64>) {
        self.tokens.fetch_add(counts.input.saturating_add(counts.output), Ordering::Relaxed);
        match cost {
            Some(cost) => _ = self.nanodollars.fetch_add(cost, Ordering::Relaxed),
            None => self.unpriced.store(true, Ordering::Relaxed),
        }
        self.charged.store(true, Ordering::Release);
    }
}

/// The nanodollars of a dollar.
pub(crate) const NANO: f64 = 1e9;

/// Returns the cost in nanodollars, or none if no price is known.
fn cost(counts: TokenCounts, prices: &Prices) -> Option<u64> {
    let input = prices.input.or(prices.output.map(|_| 0.0))?;
    let cached = counts.cached.min(counts.input);
    let at = |tokens: u64, price: f64| tokens as f64 * price;
    let input_cost = at(counts.input - cached, input) + at(cached, prices.cached.unwrap_or(input));
    let dollars = input_cost + at(counts.output, prices.output.unwrap_or_default());
    Some((dollars * NANO).round() as u64)
}

/// The charge of one attempt, which is made once.
#[derive(Debug)]
pub(crate) struct AttemptCharge {
    spending: Arc<Spending>,
    /// The nanodollars of the deployment, for the metrics.
    of_deployment: Arc<AtomicU64>,
    prices: Prices,
    estimate: TokenCounts,
    /// True once the response has begun. Until then an attempt that ends costs nothing.
    begun: AtomicBool,
    charged: AtomicBool,
}

impl AttemptCharge {
    /// Returns the charge of an attempt with these prices and this estimate. The cost counts for the request and for
    /// the deployment, in nanodollars.
    pub(crate) fn new(
        spending: Arc<Spending>,
        of_deployment: Arc<AtomicU64>,
        (prices, estimate): (Prices, TokenCounts),
    ) -> Self {
        let [begun, charged] = [false, false].map(AtomicBool::new);
        Self { spending, of_deployment, prices, estimate, begun, charged }
    }

    /// Records that the response was committed: it is charged, whatever follows.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Charges the usage that the response has reported, or the estimate if it has reported none.
    pub(crate) fn end(&self, usage: Option<TokenCounts>) {
        if !self.charged.swap(true, Ordering::Relaxed) {
            let counts = usage.unwrap_or(self.estimate);
            let cost = cost(counts, &self.prices);
            self.spending.add(counts, cost);
            self.of_deployment.fetch_add(cost.unwrap_or_default(), Ordering::Relaxed);
        }
    }
}

impl Drop for AttemptCharge {
    fn drop(&mut self) {
        if *self.begun.get_mut() {
            self.end(None);
        }
    }
}

/// The prices of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct PriceList {
    prices: Prices,
    /// The vendor's prefix and the patterns of a wildcard deployment, of which each model has prices of its own.
    patterns: Option<(&'static str, Pattern, Pattern)>,
}

impl PriceList {
    /// Returns the prices of a deployment.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        let prefix = deployment.target.vendor.prefix;
        let patterns = deployment.patterns().map(|(group, model)| (prefix, group, model));
        Self { prices: deployment.info.facts.prices, patterns }
    }

    /// Returns the prices for a requested name.
    pub(crate) fn prices(&self, name: &str) -> Prices {
        let Some((prefix, group, model)) = &self.patterns else { return self.prices };
        let model = group.capture(name).map(|captured| model.fill(captured)).unwrap_or_default();
        let facts = ModelFacts::find(prefix, &model).unwrap_or_default();
        self.prices.or(facts.prices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const PRICES: Prices = Prices { input: Some(2e-6), output: Some(1e-5), cached: Some(5e-7) };

    fn counts(input: u64, cached: u64, output: u64) -> TokenCounts {
        TokenCounts { input, cached, output }
    }

    #[test]
    fn the_cost_of_a_call_depends_on_the_kind_of_its_tokens() {
        assert_eq!(cost(counts(1_000, 0, 100), &PRICES), Some(3_000_000));
        assert_eq!(cost(counts(1_000, 400, 100), &PRICES), Some(2_400_000));
        assert_eq!(cost(counts(10, 400, 0), &PRICES), Some(5_000));
        assert_eq!(cost(counts(1_000, 400, 100), &Prices { cached: None, ..PRICES }), Some(3_000_000));
        assert_eq!(cost(counts(1_000, 0, 7), &Prices { output: None, ..PRICES }), Some(2_000_000));
        assert_eq!(cost(counts(1_000, 0, 100), &Prices { input: None, ..PRICES }), Some(1_000_000));
        assert_eq!(cost(counts(1_000, 0, 100), &Prices::default()), None);
    }

    #[test]
    fn the_spending_of_a_request_is_the_sum_of_its_attempts() {
        let (spending, of_deployment) = (Arc::new(Spending::default()), Arc::<AtomicU64>::default());
        let attempt = |prices| {
            AttemptCharge::new(
                Arc::clone(&spending),
                Arc::clone(&of_deployment),
                (prices, counts(100, 0, 50)),
            )
        };
        drop(attempt(PRICES));
        assert_eq!((spending.tokens(), spending.dollars()), (None, None), "it failed before its response");
        attempt(PRICES).end(Some(counts(1_000, 0, 100)));
        assert_eq!((spending.tokens(), spending.dollars()), (Some(1_100), Some(0.003)));
        let cancelled = attempt(PRICES);
        cancelled.begin();
        drop(cancelled);
        assert_eq!((spending.tokens(), spending.nanodollars()), (Some(1_250), 3_700_000));
        let complete = attempt(Prices::default());
        complete.begin();
        complete.end(Some(counts(1, 0, 1)));
        complete.end(Some(counts(1, 0, 1)));
        drop(complete);
        assert_eq!(
            (spending.tokens(), spending.dollars(), spending.nanodollars()),
            (Some(1_252), None, 3_700_000)
        );
        assert_eq!(of_deployment.load(Ordering::Relaxed), 3_700_000);
    }

    #[test]
    fn the_prices_of_a_pattern_are_those_of_the_requested_model() {
        let yaml = "model_list: [{model_name: 'any/*', litellm_params: {model: 'openai/*', api_key: k}}]";
        let (config, _) = Config::from_yaml(yaml, "", &|_| None).unwrap();
        let list = PriceList::of(&config.groups[0].deployments[0]);
        assert_eq!(list.prices("any/gpt-4o").output, Some(1e-5));
        assert_eq!(list.prices("any/unknown"), Prices::default());
    }
}
