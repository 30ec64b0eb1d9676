//! Counts of ended requests by operation, class and status, without a lock: [`ResultCounts`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tollgate_layers::Class;

use crate::operation::Operation;

/// The largest number of combinations that are counted apart. A deployment usually has three or four: an upstream that
/// sends many different statuses must not add a series for each.
const COMBINATIONS: usize = 16;

/// The labels of the result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResultLabels {
    /// The operation; `None` for the combinations that are not counted apart.
    pub(crate) operation: Option<Operation>,
    /// The class; `None` for a cancelled request.
    pub(crate) class: Option<Class>,
    /// The HTTP status; 0 without a response.
    pub(crate) status: u16,
}

/// Returns the name of a class; a request without one was cancelled.
pub(crate) fn class_name(class: Option<Class>) -> &'static str {
    class.map_or("cancelled", Class::as_str)
}

impl ResultLabels {
    /// The labels of all combinations that are not counted apart.
    const OTHER: Self = Self { operation: None, class: None, status: 0 };

    /// Returns a number that is not 0 and from which the labels can be read.
    fn key(self) -> u32 {
        let operation = self.operation.map_or(0, |operation| operation as u32 + 1);
        let class = self.class.map_or(Class::COUNT, Class::index) as u32;
        1 << 31 | operation << 24 | class << 16 | u32::from(self.status)
    }

    fn of(key: u32) -> Self {
        let [operation, class, high, low] = (key & !(1 << 31)).to_be_bytes();
        let operation = usize::from(operation).checked_sub(1).and_then(|index| Operation::ALL.get(index));
        Self {
            operation: operation.copied(),
            class: Class::ALL.get(usize::from(class)).copied(),
            status: u16::from_be_bytes([high, low]),
        }
    }

    /// Returns the value of the label `operation`.
    pub(super) fn operation(self) -> &'static str {
        self.operation.map_or("other", Operation::as_str)
    }

    /// Returns the value of the label `class`.
    pub(crate) fn class(self) -> &'static str {
        match self.operation {
            None => "other",
            Some(_) => class_name(self.class),
        }
    }

    /// Returns the value of the label `status`.
    pub(super) fn status(self) -> String {
        if self.status == 0 { "none".to_owned() } else { self.status.to_string() }
    }
}

/// The counts of results by their labels.
#[derive(Debug, Default)]
pub(super) struct ResultCounts {
    /// The combinations in the order in which they first occurred. The usual one is first.
    slots: [Slot; COMBINATIONS],
    other: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    /// The key of the labels, or 0 if the slot is free.
    key: AtomicU32,
    count: AtomicU64,
}

impl ResultCounts {
    /// Counts a result.
    pub(super) fn add(&self, labels: ResultLabels) {
        let key = labels.key();
        let slot = self.slots.iter().find(|slot| slot.is_of(key));
        slot.map_or(&self.other, |slot| &slot.count).fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts.
    pub(super) fn read(&self) -> Vec<(ResultLabels, u64)> {
        let keys = self.slots.iter().map(|slot| (slot.key.load(Ordering::Relaxed), &slot.count));
        let counts = keys.take_while(|(key, _)| *key != 0).map(|(key, count)| (ResultLabels::of(key), count));
        let all = counts.chain([(ResultLabels::OTHER, &self.other)]);
        let read = all.map(|(labels, count)| (labels, count.load(Ordering::Relaxed)));
        read.filter(|(_, count)| *count > 0).collect()
    }
}

impl Slot {
    /// Returns true if the slot is of this key. Takes it if it is free.
    fn is_of(&self, key: u32) -> bool {
        match self.key.load(Ordering::Relaxed) {
            0 => {
                let taken = self.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed);
                taken.is_ok() || taken == Err(key)
            }
            known => known == key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(status: u16) -> ResultLabels {
        ResultLabels { operation: Some(Operation::Chat), class: Some(Class::Caller), status }
    }

    #[test]
    fn results_are_counted_by_their_labels() {
        let counts = ResultCounts::default();
        let all = [
            labels(400),
            ResultLabels { operation: Some(Operation::Embeddings), class: None, status: 0 },
            ResultLabels {
                operation: Some(Operation::Completions),
                class: Some(Class::Success),
                status: 65535,
            },
        ];
        for labels in all.iter().chain(&all[1..]) {
            counts.add(*labels);
        }
        assert_eq!(counts.read(), [(all[0], 1), (all[1], 2), (all[2], 2)]);
        assert_eq!((all[1].class(), all[1].status()), ("cancelled", "none".to_owned()));
    }

    #[test]
    fn combinations_of_results_are_limited() {
        let counts = ResultCounts::default();
        (0..100).for_each(|n| counts.add(labels(400 + n)));
        let read = counts.read();
        assert_eq!(read.len(), COMBINATIONS + 1);
        assert_eq!(read.last(), Some(&(ResultLabels::OTHER, 84)));
    }
}
