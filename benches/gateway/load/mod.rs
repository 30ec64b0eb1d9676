//! The load: asks, checks every answer, and counts.

mod client;
mod closed;
mod histogram;
mod open;

use self::histogram::Histogram;
pub(crate) use self::{
    client::{Ask, Connection, Shot},
    closed::{Reuse, closed},
    open::{Next, open},
};
use crate::Result;

/// The results of a stretch of load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) whole: Histogram,
    pub(crate) first: Histogram,
    pub(crate) answers: u64,
    pub(crate) pieces: u64,
    pub(crate) failed: u64,
    /// The first failure, in words.
    pub(crate) failure: Option<String>,
}

impl Tally {
    fn record(&mut self, result: Result<Shot>) {
        match result {
            Ok(shot) => {
                self.whole.record(shot.whole);
                if let Some(first) = shot.first {
                    self.first.record(first);
                }
                self.answers += 1;
                self.pieces += shot.pieces;
            }
            Err(error) => {
                self.failed += 1;
                self.failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.whole.merge(&other.whole);
        self.first.merge(&other.first);
        self.answers += other.answers;
        self.pieces += other.pieces;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
    }
}
