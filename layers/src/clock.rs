//! One look at the clock for all that happens in one turn: [`now`].
//!
//! A request that passes a dozen layers asks for the time two dozen times within a few microseconds, at 20 ns each. Who
//! polls the outermost future can say [`in_one_turn`] where a turn begins and ends; in it all layers see one time, that
//! of the first who asked: libuv's `uv_now`, nginx's `ngx_current_msec`. Where nobody says so, each look is a look.
//!
//! A turn should be short, as polls are: the time that is seen is as old as the turn at most. Where that matters, a
//! layer takes a [`look`]. Whoever has been told by a timer that its time has come must: the timer knows the true time.

use std::cell::Cell;

use tokio::time::Instant;

#[derive(Clone, Copy)]
enum Turn {
    /// Nobody has said when it ends.
    Endless,
    /// Nobody has asked yet.
    Begun,
    At(Instant),
}

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn::Endless) };
}

/// Runs one turn.
pub fn in_one_turn<R>(turn: impl FnOnce() -> R) -> R {
    /// Ends the turn, by a panic too.
    struct Ends(Turn);

    impl Drop for Ends {
        fn drop(&mut self) {
            TURN.set(self.0);
        }
    }

    let _ends = Ends(TURN.replace(Turn::Begun));
    turn()
}

/// The time, at least at the beginning of this turn.
#[must_use]
pub fn now() -> Instant {
    match TURN.get() {
        Turn::At(now) => now,
        Turn::Begun | Turn::Endless => look(),
    }
}

/// The time, at this moment; the rest of the turn sees it too.
#[must_use]
pub fn look() -> Instant {
    let now = Instant::now();
    if !matches!(TURN.get(), Turn::Endless) {
        TURN.set(Turn::At(now));
    }
    now
}

#[cfg(test)]
mod tests {
    use std::{panic::catch_unwind, time::Duration};

    use tokio::time::advance;

    use super::*;

    const STEP: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_turn_has_one_time_until_somebody_looks() {
        let before = Instant::now();
        // The clock moves at the first poll of `advance`, and the turn goes on.
        in_one_turn(|| {
            assert_eq!(now(), before);
            let _moved = tokio_test::task::spawn(advance(STEP)).poll();
            assert_eq!(now(), before);
            assert_eq!((look(), now()), (before + STEP, before + STEP));
        });
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_turn_has_its_own_and_without_turns_each_look_is_one() {
        let _first = in_one_turn(now);
        advance(STEP).await;
        let after = Instant::now();
        in_one_turn(|| assert_eq!(now(), after));
        advance(STEP).await;
        assert_eq!(now(), after + STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_by_a_panic_too() {
        let ended = catch_unwind(|| {
            in_one_turn(|| {
                let _now = now();
                std::panic::resume_unwind(Box::new(()));
            });
        });
        assert!(ended.is_err());
        advance(STEP).await;
        assert_eq!(now(), Instant::now());
    }
}
