//! Simulations of minutes of traffic on a paused clock.

use super::*;

/// The results of a simulation.
#[derive(Debug, Default)]
struct Figures {
    sent: usize,
    refused: usize,
    failed: usize,
    waits: Vec<Duration>,
}

impl Figures {
    fn refused_in_a_thousand(&self) -> f64 {
        1_000.0 * self.refused as f64 / self.sent as f64
    }

    fn failed_part(&self) -> f64 {
        self.failed as f64 / self.waits.len() as f64
    }

    fn p99(&mut self) -> Duration {
        self.waits.sort();
        self.waits[self.waits.len() * 99 / 100]
    }
}

/// Poisson arrivals at `load` of the sum, over servers that judge by `window` and count what they refuse.
async fn simulate(load: f64, window: Duration, seed: u64) -> Figures {
    let limits = [600_u64, 600, 300, 120];
    let servers: Vec<_> = (0..)
        .zip(limits)
        .map(|(by, limit)| {
            let most = (limit as f64 * window.as_secs_f64() / 60.0) as u64;
            Server::judging(by, ms(300), most, window)
        })
        .collect();
    let made = servers.iter().zip(limits).map(|(one, limit)| deployment(one, &meters(limit), rpm(limit)));
    let balance =
        layer(Strategy::Adaptive).with_seed(seed).with_attempts(Ask::attempts).layer(made.collect());
    let mut rng = fastrand::Rng::with_seed(seed);
    let rate = load * limits.iter().sum::<u64>() as f64 / 60.0;
    let (began, mut tasks) = (Instant::now(), tokio::task::JoinSet::new());
    while began.elapsed() < secs(120) {
        sleep(Duration::from_secs_f64(-rng.f64().max(1e-12).ln() / rate)).await;
        let (balance, ask) = (balance.clone(), Ask::default());
        tasks.spawn(async move {
            let began = Instant::now();
            for _ in 0..3 {
                match call(&balance, ask.clone()).await {
                    Ok(answer) if answer.outcome.is_success() => return (true, began.elapsed() - ms(300)),
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
            (false, began.elapsed())
        });
    }
    let mut figures = Figures::default();
    while let Some(ended) = tasks.join_next().await {
        let (served, wait) = ended.expect("no panic");
        figures.failed += usize::from(!served);
        figures.waits.push(wait);
    }
    figures.sent = servers.iter().map(|server| server.called()).sum();
    figures.refused = servers.iter().map(|server| server.refused()).sum();
    figures
}

#[tokio::test(start_paused = true)]
async fn at_ninety_percent_load_few_calls_are_refused_and_none_fails_for_any_window_of_the_server() {
    for (window, most_refused, longest) in
        [(secs(1), 3.0, ms(900)), (secs(10), 3.0, ms(600)), (secs(60), 1.0, ms(50))]
    {
        let mut figures = simulate(0.9, window, 11).await;
        let p99 = figures.p99();
        println!(
            "{window:?}: {} of {}, {} failed, p99 {p99:?}",
            figures.refused, figures.sent, figures.failed
        );
        assert!(figures.refused_in_a_thousand() <= most_refused, "{window:?}");
        assert!(figures.failed_part() <= 0.001, "{window:?}: {}", figures.failed);
        assert!(p99 <= longest, "{window:?}: {p99:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_hundred_and_twenty_percent_load_nearly_all_of_the_limit_is_served() {
    for (window, least) in [(secs(1), 0.97), (secs(10), 0.99)] {
        let figures = simulate(1.2, window, 5).await;
        let served = figures.waits.len() - figures.failed;
        println!("{window:?}: {served} served, {} refused of {}", figures.refused, figures.sent);
        assert!(served as f64 >= least * 2.0 * 1_620.0, "{window:?}: {served}");
    }
}
