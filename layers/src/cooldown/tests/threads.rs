//! Concurrent use of one endpoint's health.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use shuttle::{future::block_on, thread};

use super::*;
use crate::sync::explore;

#[test]
fn there_is_one_probe_at_a_time_and_a_dropped_one_is_available_again() {
    explore(4, 1_000, || {
        let health = strict();
        health.guard(None).complete(&BAD);
        block_on(advance(5 * SECOND));
        let (inside, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..3)
            .map(|n| {
                let (health, inside, taken) = (health.clone(), Arc::clone(&inside), Arc::clone(&taken));
                thread::spawn(move || {
                    let seen = Score { health: health.health(), cost: 1.0, used: 0.0 };
                    let Ok(Some(probe)) = health.take_probe(&seen, Instant::now()) else { return };
                    taken.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two probes");
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::Relaxed);
                    let guard = health.guard(Some(probe));
                    // One succeeds, the others are cancelled.
                    if n == 0 { guard.complete(&GOOD) } else { drop(guard) }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().expect("no panic"));
        assert!(taken.load(Ordering::Relaxed) >= 1);
        assert!(matches!(state(&health), HealthState::HalfOpen | HealthState::SlowStart), "{health:?}");
    });
}

#[test]
fn a_failure_is_never_hidden_by_a_concurrent_read_of_the_health() {
    explore(5, 1_000, || {
        let health = strict();
        let (failing, healthy) = (health.clone(), health.clone());
        let callers = [
            thread::spawn(move || failing.guard(None).complete(&BAD)),
            thread::spawn(move || healthy.guard(None).complete(&GOOD)),
            {
                let health = health.clone();
                thread::spawn(move || _ = health.health())
            },
        ];
        callers.into_iter().for_each(|caller| caller.join().expect("no panic"));
        // The success may begin before the cooldown or after it; both ways `health` agrees with the snapshot.
        assert_eq!(
            matches!(health.health(), Health::CoolingDown(_)),
            health.snapshot().state == HealthState::CoolingDown
        );
        assert_eq!(health.snapshot().cooldowns, 1);
    });
}
