//! How many have room by when: [`Calendar`].

/// A page is 2^26 ns, 67 ms: as much later than in truth may one be counted.
const PAGE: u32 = 26;
/// How many pages lie open; what is more than 69 s away is far.
const PAGES: u64 = 1_024;
/// Pages that are also counted together, so that to count all takes less than a hundred steps.
const SHEET: u64 = 32;
const FAR: u64 = u64::MAX;

/// Counts many by the time that each stands for. Times are nanoseconds since the group began.
///
/// The open pages lie in a ring, from the present one on. To file one costs the same however many there are.
#[derive(Debug)]
pub(super) struct Calendar {
    /// The page on which each is filed.
    filed: Vec<u64>,
    pages: Vec<u32>,
    sheets: Vec<u32>,
    /// The present page.
    now: u64,
    past: usize,
    far: usize,
}

impl Calendar {
    /// So many, all of them for the past.
    pub(super) fn new(len: usize) -> Self {
        Self {
            filed: vec![0; len],
            pages: vec![0; place(PAGES)],
            sheets: vec![0; place(PAGES / SHEET)],
            now: 1,
            past: len,
            far: 0,
        }
    }

    /// This one stands for another time.
    pub(super) fn file(&mut self, which: usize, at: u64) {
        let page = self.page(at);
        match std::mem::replace(&mut self.filed[which], page) {
            FAR => self.far -= 1,
            page if page < self.now => self.past -= 1,
            page => {
                self.pages[place(page % PAGES)] -= 1;
                self.sheets[place(page % PAGES / SHEET)] -= 1;
            }
        }
        match page {
            FAR => self.far += 1,
            page if page < self.now => self.past += 1,
            page => {
                self.pages[place(page % PAGES)] += 1;
                self.sheets[place(page % PAGES / SHEET)] += 1;
            }
        }
    }

    /// Turns the pages to this time. Whether those that were far have to be filed anew.
    pub(super) fn turn(&mut self, at: u64) -> bool {
        let now = number(at).max(self.now);
        for page in (self.now..now).take(place(PAGES)) {
            let count = std::mem::take(&mut self.pages[place(page % PAGES)]);
            self.sheets[place(page % PAGES / SHEET)] -= count;
            self.past += count as usize;
        }
        let half = PAGES / 2;
        let again = self.far > 0 && now / half > self.now / half;
        self.now = now;
        again
    }

    /// Whether all stand for the past.
    pub(super) const fn is_past(&self) -> bool {
        self.past == self.filed.len()
    }

    pub(super) fn is_far(&self, which: usize) -> bool {
        self.filed[which] == FAR
    }

    /// How many stand for a time no later than this, counted by whole pages. `None` where some are far that may.
    pub(super) fn due(&self, by: u64) -> Option<usize> {
        let end = number(by.saturating_add(1));
        if self.far > 0 && end > self.now + PAGES / 2 {
            return None;
        }
        let (end, mut page, mut due) = (end.min(self.now + PAGES), self.now, self.past);
        while page < end {
            let whole = page % SHEET == 0 && page + SHEET <= end;
            let place = place(page % PAGES);
            due += if whole { self.sheets[place / SHEET as usize] } else { self.pages[place] } as usize;
            page += if whole { SHEET } else { 1 };
        }
        Some(due)
    }

    fn page(&self, at: u64) -> u64 {
        let page = number(at);
        if page < self.now + PAGES { page } else { FAR }
    }
}

/// The number of the page; zero is before all times.
const fn number(at: u64) -> u64 {
    (at >> PAGE) + 1
}

/// Pages are few.
const fn place(page: u64) -> usize {
    page as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    proptest! {
        #[test]
        fn counts_as_many_as_there_are_and_none_too_early(
            events in prop::collection::vec((0_usize..8, 0_u64..100 * SECOND, 0_u64..9 * SECOND), 1..200),
        ) {
            let (mut calendar, mut times, mut now) = (Calendar::new(8), [0; 8], 0);
            for (which, ahead, passed) in events {
                now += passed;
                if calendar.turn(now) {
                    for (which, at) in times.into_iter().enumerate() {
                        if calendar.is_far(which) {
                            calendar.file(which, at);
                        }
                    }
                }
                times[which] = now + ahead;
                calendar.file(which, now + ahead);
                for by in [now, now + SECOND, now + 30 * SECOND, now + 60 * SECOND] {
                    let due = |by| times.iter().filter(|at| **at <= by).count();
                    let least = due(by.saturating_sub(1 << PAGE));
                    let Some(counted) = calendar.due(by) else {
                        prop_assert!(by > now + 30 * SECOND);
                        continue;
                    };
                    prop_assert!((least..=due(by)).contains(&counted), "{counted} of {} by {by}", due(by));
                }
            }
        }
    }
}
