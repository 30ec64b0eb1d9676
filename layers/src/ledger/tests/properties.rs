//! The sum of what replicas may use, under any order and loss of messages.

use proptest::prelude::*;

use super::world::{LEASE_TIME, World};

/// A step of a random run: the kind, the replica or message, an amount.
type Step = (u8, prop::sample::Index, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..100_u8, any::<prop::sample::Index>(), 0..1_000_u64), 50..400)
}

/// Makes one step. The kinds are weighted, so that most requests arrive.
fn step(world: &mut World, limit: u64, (kind, index, amount): &Step) {
    let i = index.index(world.replicas.len());
    match kind {
        0..=24 => world.arrive(i, amount % (limit + 2)),
        25..=39 => world.advance(amount * 2),
        40..=59 => drop(world.sync(i)),
        60..=69 => world.send(i),
        70..=79 if !world.requests.is_empty() => {
            let at = index.index(world.requests.len());
            match amount % 8 {
                0 => drop(world.requests.remove(at)),
                n => world.deliver(at, n == 1),
            }
        }
        80..=89 if !world.responses.is_empty() => {
            let at = index.index(world.responses.len());
            if amount % 8 == 0 { drop(world.responses.remove(at)) } else { world.respond(at) }
        }
        90..=94 => world.give_back(i),
        95 if amount % 4 == 0 => world.kill(i),
        96 if amount % 4 == 0 => world.leave(i),
        97 if world.replicas.len() < 12 => world.join(limit),
        98 => world.advance(LEASE_TIME / 2 + amount),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_ledger_never_leases_more_than_the_limit(
        count in 1..8_usize, limit in 1..60_u64, window in prop::sample::select(vec![1_000_u64, 10_000, 60_000]),
        steps in steps(),
    ) {
        let mut world = World::new(count, limit, window);
        for (n, next) in steps.iter().enumerate() {
            step(&mut world, limit, next);
            prop_assert!(world.sum() <= limit, "{} of {limit} after step {n}, {next:?}", world.sum());
        }
    }

    #[test]
    fn the_ledger_never_leases_more_after_a_loss_of_its_data(
        count in 1..8_usize, limit in 1..60_u64, before in steps(), losses in prop::collection::vec(steps(), 1..4),
    ) {
        let mut world = World::new(count, limit, 10_000);
        // No ledger knows of the calls of a replica that ended before the loss.
        let all_live = |next: &&Step| !matches!(next.0, 95..=96);
        before.iter().filter(all_live).for_each(|next| step(&mut world, limit, next));
        for after in losses {
            (0..world.replicas.len()).for_each(|i| drop(world.sync(i)));
            world.ledger.clear();
            // All declare within the grace, in some order, some of them late and often.
            let (grace, rest) = after.split_at(after.len().min(20));
            for (kind, index, amount) in grace {
                world.advance(amount / 20);
                let i = index.index(world.replicas.len());
                if kind % 3 == 0 { world.arrive(i, *amount % 5) } else { drop(world.sync(i)) }
                prop_assert!(world.sum() <= limit, "{} of {limit} within the grace", world.sum());
            }
            (0..world.replicas.len()).for_each(|i| drop(world.sync(i)));
            for next in rest.iter().filter(all_live) {
                step(&mut world, limit, next);
                prop_assert!(world.sum() <= limit, "{} of {limit} after the grace", world.sum());
            }
        }
    }

    #[test]
    fn the_ledger_grants_only_what_the_response_states(count in 2..6_usize, limit in 1..60_u64, steps in steps()) {
        let mut world = World::new(count, limit, 10_000);
        for next in &steps {
            step(&mut world, limit, next);
            let i = next.1.index(world.replicas.len());
            let before = world.replicas[i].lease.max(world.replicas[i].used());
            let Some(response) = world.sync(i) else { continue };
            // A second report at the same time finds the first one settled: nothing was booked and not stated.
            let settled = world.replicas[i].lease.max(world.replicas[i].used());
            prop_assert!(response.leases[0].permits <= before || settled == response.leases[0].permits);
            prop_assert!(world.sum() <= limit);
        }
    }

    /// With permits for less than one each, every replica has its turn.
    #[test]
    fn no_replica_of_a_ledger_starves_with_fewer_permits_than_replicas(count in 2..9_usize, limit in 1..6_u64) {
        let mut world = World::new(count, limit, 1_000);
        (0..count).for_each(|i| world.arrive(i, 60));
        for _ in 0..80 * count as u64 / limit {
            world.advance(100);
            for i in 0..count {
                world.sync(i);
                prop_assert!(world.sum() <= limit);
            }
        }
        let admitted: Vec<u64> = world.replicas.iter().map(|replica| replica.admitted).collect();
        let (mean, least) = (admitted.iter().sum::<u64>() / count as u64, admitted.iter().min().copied());
        prop_assert!(least >= Some(mean / 2) && mean > 5, "{admitted:?}");
    }

    #[test]
    fn a_ledger_with_different_limits_keeps_the_smallest_of_live_replicas(
        low in 1..20_u64, more in 1..20_u64, steps in steps(),
    ) {
        let mut world = World::new(2, low, 10_000);
        world.join(low + more);
        world.sync(0);
        // The first replica stays in touch, whatever the others do.
        for next in &steps {
            if !matches!(next.0, 95..=98) {
                step(&mut world, low, next);
            }
            if let Some(response) = world.sync(0) {
                prop_assert_eq!(response.leases[0].limit, low);
            }
            prop_assert!(world.sum() <= low, "{} of {low}", world.sum());
        }
    }
}
