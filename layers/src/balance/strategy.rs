//! How to choose among those with room: [`Strategy`].

use crate::endpoint::Share;

/// How to choose among the endpoints that have room, are well and were not tried by this request.
///
/// Limits, benches and tiers hold under every one of them. Of more than 16 endpoints of one order not all are asked: two
/// are drawn, by weight or, under the strategies that do not go by weight, at random, and the better one is called. So
/// the cheapest or the fastest of very many is preferred, but not always found; weights are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// Least work in flight and given lately, for its weight, its speed and its errors.
    #[default]
    Adaptive,
    /// A draw, weighted.
    SimpleShuffle,
    /// Fewest calls in flight.
    LeastBusy,
    /// Least of its limit used.
    UsageBased,
    /// One of the fastest: any that is slower than the fastest by no more than this part of its time.
    LatencyBased {
        /// 0.1 takes all that are at most a tenth slower.
        buffer: f64,
    },
    /// The cheapest. Those without a price come last.
    CostBased,
}

impl Strategy {
    /// Whether it goes by weight.
    pub(super) const fn weighs(self) -> bool {
        match self {
            Self::Adaptive | Self::SimpleShuffle | Self::UsageBased => true,
            Self::LeastBusy | Self::LatencyBased { .. } | Self::CostBased => false,
        }
    }

    /// Whether it draws lots.
    pub(super) const fn draws(self) -> bool {
        match self {
            Self::SimpleShuffle | Self::LatencyBased { .. } => true,
            Self::Adaptive | Self::LeastBusy | Self::UsageBased | Self::CostBased => false,
        }
    }
}

/// What each is meant to carry: the first of weight, requests and tokens per minute that any of them sets. Those that
/// do not set it get the mean of the others, so that none starves.
pub(super) fn weights(shares: &[Share]) -> Vec<f64> {
    let of = |metric: fn(&Share) -> Option<f64>| {
        let given = |share| metric(share).filter(|weight| weight.is_finite() && *weight >= 0.0);
        let (mut sum, mut count) = (0.0, 0.0);
        for weight in shares.iter().filter_map(given) {
            sum += weight;
            count += 1.0;
        }
        // LiteLLM too takes the first metric of which there is any above nothing.
        (sum > 0.0).then(|| shares.iter().map(|share| given(share).unwrap_or(sum / count)).collect())
    };
    of(|share| share.weight)
        .or_else(|| of(|share| share.rpm))
        .or_else(|| of(|share| share.tpm))
        .unwrap_or_else(|| vec![1.0; shares.len()])
}
