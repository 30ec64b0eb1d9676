//! Property tests of the cooldown state machine.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Event {
    Wait(u64),
    Picked(Class, bool),
    Begin,
    Finish(Class),
    Drop,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let class = || prop::sample::select(Class::ALL.to_vec());
    let event = prop_oneof![
        (0u64..8_000).prop_map(Event::Wait),
        (class(), any::<bool>()).prop_map(|(class, evidence)| Event::Picked(class, evidence)),
        Just(Event::Begin),
        class().prop_map(Event::Finish),
        Just(Event::Drop),
    ];
    prop::collection::vec(event, 1..120)
}

/// Applies one event; `open` holds the calls in flight.
async fn apply(event: Event, health: &EndpointHealth, open: &mut Vec<HealthGuard>) {
    match event {
        Event::Wait(ms) => advance(Duration::from_millis(ms)).await,
        Event::Picked(class, evidence) => {
            let outcome = Outcome::new(class);
            // Refused only if another call takes the probe in between, which cannot happen here.
            picked(health, if evidence { outcome } else { outcome.without_evidence() }).await.unwrap();
        }
        Event::Begin => {
            let seen = Score { health: health.health(), cost: 1.0, used: 0.0 };
            let probe = health.take_probe(&seen, Instant::now()).unwrap();
            open.push(health.guard(probe));
        }
        Event::Finish(class) => {
            if let Some(guard) = open.pop() {
                guard.complete(&Outcome::new(class));
            }
        }
        Event::Drop => drop((!open.is_empty()).then(|| open.remove(0))),
    }
}

proptest! {
    #[test]
    fn a_cooldown_is_never_shortened_and_never_has_two_probes(events in events(), allowed in prop::option::of(0u32..3)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let health = EndpointHealth::new(CooldownConfig::default().with_allowed_fails(allowed));
            let mut open: Vec<HealthGuard> = vec![];
            let mut before = health.snapshot();
            for event in events {
                apply(event, &health, &mut open).await;
                let after = health.snapshot();
                if let (Some(old), Some(new)) = (before.until, after.until) {
                    assert!(new >= old, "{old:?} {new:?}");
                    assert!(new <= Instant::now().max(old) + 300 * SECOND);
                }
                assert!(after.cooldowns >= before.cooldowns);
                assert!(open.iter().filter(|guard| guard.is_probe()).count() <= 1);
                if after.state == HealthState::HalfOpen {
                    assert!(!open.iter().any(HealthGuard::is_probe));
                }
                before = after;
            }
            drop(open);
            assert_ne!(health.snapshot().state, HealthState::Probing, "every probe is returned");
        });
    }
}
