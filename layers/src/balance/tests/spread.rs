//! Tests of the distribution of calls over endpoints.

use super::{stories::with_health, *};
use crate::endpoint::Health;

/// Returns the number of calls of each server.
fn counts(servers: &[Arc<Server>]) -> Vec<usize> {
    servers.iter().map(|server| server.called()).collect()
}

fn weighted(weight: f64) -> EndpointWeight {
    EndpointWeight { weight: Some(weight), ..EndpointWeight::default() }
}

/// A group whose endpoints have these shares and no limits.
fn group(
    strategy: Strategy,
    shares: &[EndpointWeight],
) -> (
    Vec<Arc<Server>>,
    impl Service<Ask, Response = Answer, Error = Failed, Future: Send> + Clone + Send + use<>,
) {
    let servers: Vec<_> = (0..shares.len()).map(|by| Server::new(by, ms(1))).collect();
    let unlimited = || Meters::new(Limits::default());
    let made = servers.iter().zip(shares).map(|(one, share)| deployment(one, &unlimited(), *share));
    let balance = layer(strategy).with_attempts(Ask::attempts).layer(made.collect());
    (servers, balance)
}

/// Returns the chi-square statistic of the counts. By chance it exceeds 13.8 once in a thousand times with two degrees of
/// freedom, and 10.8 with one.
fn chi_square(counts: &[usize], weights: &[f64]) -> f64 {
    let (calls, sum) = (counts.iter().sum::<usize>() as f64, weights.iter().sum::<f64>());
    counts
        .iter()
        .zip(weights)
        .map(|(count, weight)| {
            let meant = calls * weight / sum;
            (*count as f64 - meant).powi(2) / meant
        })
        .sum()
}

#[tokio::test(start_paused = true)]
async fn the_large_deployment_takes_what_the_small_ones_cannot() {
    let servers: Vec<_> = (0..3).map(|by| Server::new(by, ms(20))).collect();
    let limits = [6_u64, 6, 1_440];
    let made = servers.iter().zip(limits).map(|(one, limit)| deployment(one, &meters(limit), rpm(limit)));
    let balance = layer(Strategy::Adaptive).layer(made.collect());
    let began = Instant::now();
    for _ in 0..300 {
        call(&balance, Ask::default()).await.expect("answered");
        sleep(ms(150)).await;
    }
    assert!(began.elapsed() < secs(60));
    let counts = counts(&servers);
    assert!(counts[0] <= 6 && counts[1] <= 6 && counts[2] >= 288, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn the_large_deployment_takes_what_the_small_ones_cannot_under_every_strategy() {
    let latency = Strategy::LatencyBased { buffer: 0.5 };
    for strategy in
        [Strategy::SimpleShuffle, Strategy::LeastBusy, Strategy::UsageBased, latency, Strategy::CostBased]
    {
        let servers: Vec<_> = (0..3).map(|by| Server::new(by, ms(20))).collect();
        let limits = [6_u64, 6, 1_440];
        let made = servers.iter().zip(limits).map(|(one, limit)| deployment(one, &meters(limit), rpm(limit)));
        let balance = layer(strategy).layer(made.collect());
        for _ in 0..300 {
            call(&balance, Ask::default()).await.expect("answered");
            sleep(ms(150)).await;
        }
        let counts = counts(&servers);
        assert!(counts[0] <= 6 && counts[1] <= 6 && counts[2] >= 288, "{strategy:?}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shuffle_draws_by_weight() {
    let weights = [6.0, 3.0, 1.0];
    for seed in 1..=5 {
        let (servers, balance) = shuffle(&weights, None, seed);
        for _ in 0..3_000 {
            call(&balance, Ask::default()).await.expect("room");
        }
        let (counts, chi) = (counts(&servers), chi_square(&counts(&servers), &weights));
        println!("seed {seed}: {counts:?}, chi square {chi}");
        assert!(chi < 13.8, "seed {seed}: {counts:?}, {chi}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_share_of_an_endpoint_that_cools_down_goes_to_the_others_by_weight() {
    for seed in 1..=5 {
        let (servers, balance) = shuffle(&[6.0, 3.0, 1.0], Some(0), seed);
        for _ in 0..3_000 {
            call(&balance, Ask::default()).await.expect("room");
        }
        let (counts, chi) = (counts(&servers), chi_square(&counts(&servers)[1..], &[3.0, 1.0]));
        println!("seed {seed}: {counts:?}, chi square {chi}");
        assert!(counts[0] == 0 && chi < 10.8, "seed {seed}: {counts:?}, {chi}");
    }
}

/// Returns a group that draws by weight, of which one endpoint may cool down for the length of the test.
fn shuffle(
    weights: &[f64],
    cooling: Option<usize>,
    seed: u64,
) -> (Vec<Arc<Server>>, impl Service<Ask, Response = Answer, Error = Failed> + Clone + use<>) {
    let servers: Vec<_> = (0..weights.len()).map(|by| Server::new(by, ms(1))).collect();
    let made = servers.iter().zip(weights).map(|(server, weight)| {
        let (endpoint, health) =
            with_health(deployment(server, &Meters::new(Limits::default()), weighted(*weight)));
        if cooling == Some(server.by) {
            *health.lock().unwrap() = Health::CoolingDown(Instant::now() + secs(3_600));
        }
        endpoint
    });
    let balance = layer(Strategy::SimpleShuffle).with_seed(seed).layer(made.collect());
    (servers, balance)
}

#[tokio::test(start_paused = true)]
async fn the_share_of_a_tried_endpoint_goes_to_the_others_by_weight() {
    let shares = [6.0, 3.0, 1.0].map(weighted);
    let (servers, balance) = group(Strategy::SimpleShuffle, &shares);
    let mut spared = 0;
    while spared < 3_000 {
        let ask = Ask::default();
        if call(&balance, ask.clone()).await.expect("room").by == 0 {
            let before = counts(&servers);
            call(&balance, ask).await.expect("room");
            assert_eq!(counts(&servers)[0], before[0], "it was tried");
            spared += 1;
        }
    }
    let direct = servers[0].called() as f64;
    let moved: Vec<_> = counts(&servers)[1..].to_vec();
    // Half of these came directly: in the same proportion.
    let chi = chi_square(&moved, &[3.0, 1.0]);
    assert!(chi < 10.8, "seed 7: {moved:?} after {direct}, {chi}");
}

#[tokio::test(start_paused = true)]
async fn adaptive_shares_follow_the_weights_at_low_load_and_the_default_weight_is_the_mean() {
    let shares = [weighted(6.0), weighted(2.0), EndpointWeight::default()];
    let (servers, balance) = group(Strategy::Adaptive, &shares);
    for _ in 0..1_200 {
        call(&balance, Ask::default()).await.expect("room");
        sleep(ms(50)).await;
    }
    for (count, meant) in counts(&servers).into_iter().zip([600, 200, 400]) {
        assert!(count.abs_diff(meant) <= meant / 10, "{:?}", counts(&servers));
    }
}

#[tokio::test(start_paused = true)]
async fn least_busy_takes_the_one_with_the_fewest_in_flight() {
    let (servers, balance) = group(Strategy::LeastBusy, &[EndpointWeight::default(); 3]);
    servers[0].set_takes(secs(100));
    let mut slow = 0;
    for _ in 0..300 {
        let balance = balance.clone();
        tokio::spawn(async move { call(&balance, Ask::default()).await });
        sleep(ms(10)).await;
        slow = servers[0].called();
    }
    assert_eq!(slow, 1, "{:?}", counts(&servers));
}

#[tokio::test(start_paused = true)]
async fn usage_follows_how_much_of_each_limit_is_used() {
    let servers: Vec<_> = (0..2).map(|by| Server::new(by, ms(1))).collect();
    let made =
        servers.iter().zip([100, 300]).map(|(one, limit)| deployment(one, &bursting(limit), rpm(limit)));
    let balance = layer(Strategy::UsageBased).layer(made.collect());
    for _ in 0..200 {
        call(&balance, Ask::default()).await.expect("room");
    }
    assert!(servers[0].called().abs_diff(50) <= 1, "{:?}", counts(&servers));
}

#[tokio::test(start_paused = true)]
async fn latency_takes_the_fast_ones_and_cost_the_cheap_one() {
    let (servers, balance) = group(Strategy::LatencyBased { buffer: 0.2 }, &[EndpointWeight::default(); 3]);
    servers[0].set_takes(ms(100));
    servers[1].set_takes(ms(110));
    servers[2].set_takes(ms(500));
    for _ in 0..200 {
        call(&balance, Ask::default()).await.expect("room");
    }
    let fast = counts(&servers);
    assert!(fast[2] <= 2 && fast[0] > 50 && fast[1] > 50, "{fast:?}");

    let price = |price| EndpointWeight { price, ..EndpointWeight::default() };
    let (servers, balance) = group(Strategy::CostBased, &[price(None), price(Some(2.0)), price(Some(1.0))]);
    for _ in 0..20 {
        call(&balance, Ask::default()).await.expect("room");
    }
    assert_eq!(counts(&servers), [0, 0, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_deployment_loses_its_share_within_seconds_and_regains_it() {
    let (servers, balance) = group(Strategy::Adaptive, &[EndpointWeight::default(); 3]);
    let set = |slow: bool| {
        for (by, server) in servers.iter().enumerate() {
            server.set_takes(ms(if slow && by == 0 { 2_000 } else { 200 }));
        }
    };
    let mut shares = Vec::new();
    for second in 0..70 {
        set((10..30).contains(&second));
        let before = counts(&servers);
        for _ in 0..30 {
            let balance = balance.clone();
            tokio::spawn(async move { call(&balance, Ask::default()).await });
            sleep(Duration::from_secs(1) / 30).await;
        }
        let now = counts(&servers);
        shares.push((now[0] - before[0]) as f64 / 10.0);
        assert!(
            now.iter().zip(&before).skip(1).all(|(now, before)| now > before),
            "none starves: {before:?} {now:?}"
        );
    }
    let mean = |from: usize, to: usize| shares[from..to].iter().sum::<f64>() / (to - from) as f64;
    assert!((0.9..1.1).contains(&mean(2, 10)), "before: {shares:?}");
    assert!(mean(13, 30) < 0.4, "slow: {shares:?}");
    assert!(mean(13, 30) > 0.0, "it does not starve: {shares:?}");
    assert!(mean(60, 70) > 0.8, "30 s after: {shares:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_gets_less() {
    let (servers, balance) = group(Strategy::Adaptive, &[EndpointWeight::default(); 2]);
    servers[0].set_broken(Some(Class::Unavailable));
    for _ in 0..600 {
        call(&balance, Ask::default()).await.expect("an answer");
        sleep(ms(50)).await;
    }
    assert!(servers[0].called() < 150 && servers[0].called() > 30, "{:?}", counts(&servers));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_choices() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (_, balance) = group(Strategy::SimpleShuffle, &[EndpointWeight::default(); 100]);
        let mut run = Vec::new();
        for _ in 0..200 {
            run.push(call(&balance, Ask::default()).await.expect("room").by);
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn every_slot_of_a_large_group_is_found_and_the_next_one_too() {
    let servers: Vec<_> = (0..500).map(|by| Server::new(by, Duration::ZERO)).collect();
    let made = servers.iter().map(|one| deployment(one, &bursting(3), rpm(3)));
    let balance = layer(Strategy::Adaptive).layer(made.collect());
    for _ in 0..1_500 {
        call(&balance, Ask::default()).await.expect("room");
    }
    assert!(counts(&servers).iter().all(|count| *count == 3));
    let refused = call(&balance, Ask::default()).await.expect_err("full");
    sleep(refused.retry_after()).await;
    call(&balance, Ask::default()).await.expect("room again");
}

#[tokio::test(start_paused = true)]
async fn the_latency_of_a_stream_is_known_before_the_stream_ends() {
    /// Keeps the flights of what succeeds, as streams do; what failed has ended.
    #[derive(Clone, Default)]
    struct Streams(Arc<Mutex<Vec<InFlight>>>);
    impl TrackOutcome<InFlight, Answer, Failed> for Streams {
        fn track(&self, flight: InFlight, result: Result<Answer, Failed>) -> Result<Answer, Failed> {
            match &result {
                Ok(answer) if !answer.outcome.is_success() => flight.complete(&answer.outcome),
                _ => self.0.lock().unwrap().push(flight),
            }
            result
        }
    }
    let servers: Vec<_> = (0..3).map(|by| Server::new(by, ms(100))).collect();
    let unlimited = || Meters::new(Limits::default());
    let made = servers.iter().map(|one| deployment(one, &unlimited(), EndpointWeight::default()));
    let strategy = Strategy::LatencyBased { buffer: 0.1 };
    let balance =
        RateLimitBalanceLayer::new(strategy, CLASSIFY).with_tracking(Streams::default()).with_seed(7);
    let balance = balance.with_kind(1_u8).layer(made.collect());
    servers[0].set_takes(ms(400));
    // Fails fast: that is no speed.
    servers[1].set_takes(ms(1));
    servers[1].set_broken(Some(Class::Unavailable));
    while servers.iter().any(|server| server.called() < 1) {
        call(&balance, Ask::default()).await.expect("an answer");
    }
    let before = counts(&servers);
    servers[1].set_takes(ms(100));
    servers[1].set_broken(None);
    sleep(secs(30)).await;
    for _ in 0..50 {
        call(&balance, Ask::default()).await.expect("an answer");
    }
    let now = counts(&servers);
    assert_eq!(now[0], before[0], "slow to begin: {now:?}");
    assert!(now[1] > before[1] + 10 && now[2] > before[2] + 10, "{before:?} {now:?}");
}

/// Returns the number of calls that each of `many` endpoints gets, of 20 for each unit of weight: the first weighs as much
/// as 100 of the others, and the second nothing.
async fn among_many(strategy: Strategy, many: usize) -> Vec<usize> {
    let weights = [100.0, 0.0].into_iter().chain(vec![1.0; many - 2]);
    let (servers, balance) = group(strategy, &weights.map(weighted).collect::<Vec<_>>());
    for _ in 0..20 * (100 + many - 2) {
        call(&balance, Ask::default()).await.expect("answered");
    }
    counts(&servers)
}

#[tokio::test(start_paused = true)]
async fn a_shuffle_among_many_endpoints_draws_by_weight() {
    // All of the few are asked, and a sample of the many.
    for (many, heavy, light) in
        [(18, 1_940..=2_060, 5..=40), (100, 1_900..=2_100, 5..=40), (1_000, 1_850..=2_150, 3..=45)]
    {
        let counts = among_many(Strategy::SimpleShuffle, many).await;
        println!("{many}: {} of 2,000", counts[0]);
        assert!(heavy.contains(&counts[0]) && counts[1] == 0, "{many}: {counts:?}");
        assert!(counts[2..].iter().all(|count| light.contains(count)), "{many}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn adaptive_work_among_many_endpoints_follows_the_weights() {
    // The call itself makes a difference to the light, and none to the heavy: where each of very many has little, that
    // is a part of it.
    for (many, heavy) in [(18, 1_900..=2_100), (100, 1_900..=2_100), (1_000, 1_900..=2_250)] {
        let counts = among_many(Strategy::Adaptive, many).await;
        println!("{many}: {} of 2,000", counts[0]);
        assert!(heavy.contains(&counts[0]) && counts[1] < 10, "{many}: {counts:?}");
        assert!(counts[2..].iter().all(|count| (5..=60).contains(count)), "{many}: {counts:?}");
    }
}
