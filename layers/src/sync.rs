//! The locks and counters that the requests of a group share, and those of its endpoints: std's. A request's own record,
//! and what Retry shares, stand alone, and take std's as they are.
//!
//! In the tests of this package each use of one is also a point at which [`explore`] may let another thread go on, so
//! that a test can go through thousands of interleavings of the very types that run in production.

#[cfg(not(test))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize},
};

#[cfg(test)]
pub(crate) use self::switching::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard, explore};

#[cfg(test)]
mod switching {
    pub(crate) use std::sync::MutexGuard;
    use std::{
        cell::Cell,
        sync::{LockResult, TryLockError, atomic::Ordering},
        time::Duration,
    };

    use shuttle::{Config, Runner, scheduler::RandomScheduler, thread as threads};

    thread_local! {
        static EXPLORING: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `story` so many times on a paused clock, its threads interleaved each time at random by this seed. A
    /// failure prints the schedule that led to it; threads that all wait for each other are one.
    ///
    /// Orders of memory weaker than one after the other are not explored.
    pub(crate) fn explore(seed: u64, times: usize, story: impl Fn() + Send + Sync + 'static) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        // All threads of a story run on this one.
        EXPLORING.set(true);
        println!("seed {seed}");
        Runner::new(RandomScheduler::new_from_seed(seed, times), Config::new()).run(story);
        EXPLORING.set(false);
    }

    fn point() {
        if EXPLORING.get() {
            // Not `yield_now`: that would also wake the task that is being polled, and no wake-up could be lost.
            threads::sleep(Duration::ZERO);
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            point();
            while EXPLORING.get() {
                match self.0.try_lock() {
                    Ok(guard) => return Ok(guard),
                    Err(TryLockError::Poisoned(poisoned)) => return Err(poisoned),
                    Err(TryLockError::WouldBlock) => point(),
                }
            }
            self.0.lock()
        }
    }

    macro_rules! atomics {
        ($($name:ident: $value:ty),*) => {$(
            #[derive(Debug, Default)]
            pub(crate) struct $name(std::sync::atomic::$name);

            impl $name {
                pub(crate) const fn new(value: $value) -> Self {
                    Self(std::sync::atomic::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    point();
                    self.0.load(order)
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    point();
                    self.0.store(value, order);
                }
            }
        )*};
    }

    atomics!(AtomicBool: bool, AtomicU32: u32, AtomicU64: u64, AtomicUsize: usize);

    impl AtomicU64 {
        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            point();
            self.0.fetch_add(value, order)
        }
    }
}
