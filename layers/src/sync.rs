//! The locks and atomics of the state that requests share: those of std, instrumented in tests.
//!
//! A group and its endpoints use these. The record of a single request and the state of Retry use std directly.
//!
//! In the tests of this package each use is also a point at which [`explore`] may switch to another thread, so that a test
//! explores thousands of interleavings of the types that run in production.

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

    /// Runs `test` this number of times on a paused clock, each time with another random interleaving of its threads.
    /// A failure prints the schedule that led to it. A deadlock is a failure.
    ///
    /// Memory orders weaker than sequential consistency are not explored.
    pub(crate) fn explore(seed: u64, times: usize, test: impl Fn() + Send + Sync + 'static) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        // shuttle runs all threads of a test on this one.
        EXPLORING.set(true);
        println!("seed {seed}");
        Runner::new(RandomScheduler::new_from_seed(seed, times), Config::new()).run(test);
        EXPLORING.set(false);
    }

    fn switch_point() {
        if EXPLORING.get() {
            // Not `yield_now`, which would also wake the task that is being polled: a lost wake-up would go unnoticed.
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
            switch_point();
            while EXPLORING.get() {
                match self.0.try_lock() {
                    Ok(guard) => return Ok(guard),
                    Err(TryLockError::Poisoned(poisoned)) => return Err(poisoned),
                    Err(TryLockError::WouldBlock) => switch_point(),
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
                    switch_point();
                    self.0.load(order)
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    switch_point();
                    self.0.store(value, order);
                }
            }
        )*};
    }

    atomics!(AtomicBool: bool, AtomicU32: u32, AtomicU64: u64, AtomicUsize: usize);

    impl AtomicU64 {
        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            switch_point();
            self.0.fetch_add(value, order)
        }
    }
}
