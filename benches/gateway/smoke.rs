//! What `cargo test --benches` runs: upstream and floor, asked a few times. It shows that the harness works, no more.

use std::time::Duration;

use crate::{
    Result,
    machine::Pins,
    measure::{Load, Rounds, Target},
    scenario::{Prompt, Scenario},
    side::{Kind, Starter},
};

/// A chat and a stream, for a moment each.
pub(crate) async fn run() -> Result<()> {
    let (starter, _upstream) = Starter::with_upstream(Pins::default()).await?;
    let floor = starter.start(Kind::Floor).await?;
    for scenario in [Scenario::Chat, Scenario::Burst] {
        let target = [Target::new("floor", &floor, Kind::Floor.ask(scenario, Prompt::Short))];
        let rounds =
            Rounds { load: Load::Closed(4, Duration::ZERO), rounds: 1, length: Duration::from_millis(50) };
        let measured = rounds.run(&target).await?;
        if let Some(failure) = measured.failures.first() {
            return Err(failure.clone().into());
        }
    }
    println!("smoke run of the floor: ok (cargo bench --bench gateway measures)");
    Ok(())
}
