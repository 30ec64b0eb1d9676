//! Tests of the queue.

use tokio_test::{assert_pending, assert_ready, task::spawn};

use super::*;

#[tokio::test(start_paused = true)]
async fn queued_requests_are_served_in_order_and_no_new_request_overtakes_them() {
    let (server, meters) = (Server::new(0, Duration::ZERO), meters(600));
    let balance = layer(Strategy::Adaptive).layer(vec![deployment(&server, &meters, rpm(600))]);
    for _ in 0..100 {
        call(&balance, Ask::default()).await.expect("the bucket");
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for n in 0..15 {
        let (balance, order) = (balance.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            call(&balance, Ask::default()).await.expect("in time");
            order.lock().unwrap().push(n);
        }));
        // One comes every 20 ms, one slot every 100.
        sleep(ms(20)).await;
    }
    for task in tasks {
        task.await.expect("done");
    }
    assert_eq!(*order.lock().unwrap(), (0..15).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_would_wait_too_long_is_refused_at_once_with_the_time_of_the_next_free_slot() {
    let (server, meters) = (Server::new(0, Duration::ZERO), meters(600));
    let balance = layer(Strategy::Adaptive).layer(vec![deployment(&server, &meters, rpm(600))]);
    for _ in 0..100 {
        call(&balance, Ask::default()).await.expect("the bucket");
    }
    let mut calls: Vec<_> = (0..25).map(|_| spawn(call(&balance, Ask::default()))).collect();
    let mut refused = calls.iter_mut().filter_map(|call| match call.poll() {
        std::task::Poll::Ready(result) => Some(result.expect_err("full").retry_after()),
        std::task::Poll::Pending => None,
    });
    let after = refused.next().expect("one in two seconds, twenty in all");
    assert!((ms(2_050)..ms(2_150)).contains(&after), "{after:?}");
    assert_eq!(refused.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_bounds_the_wait_and_a_full_queue_accepts_no_request() {
    let (server, meters) = (Server::new(0, Duration::ZERO), bursting(1));
    let deadline = |ask: &Ask| ask.deadline;
    let balance = layer(Strategy::Adaptive).with_queue(secs(120), 2).with_deadline(deadline);
    let balance = balance.layer(vec![deployment(&server, &meters, rpm(1))]);
    call(&balance, Ask::default()).await.expect("one");
    let soon = Ask { deadline: Some(Instant::now() + secs(59)), ..Ask::default() };
    assert!((secs(60)..secs(61)).contains(&call(&balance, soon).await.expect_err("late").retry_after()));
    let mut first = spawn(call(&balance, Ask::default()));
    assert_pending!(first.poll());
    // The second slot comes after 120.28 s.
    let mut second = spawn(call(&balance, Ask::default()));
    let after = assert_ready!(second.poll()).expect_err("too late").retry_after();
    assert!((secs(120)..secs(121)).contains(&after), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_leaves_the_queue() {
    let (server, meters) = (Server::new(0, Duration::ZERO), meters(600));
    let balance = layer(Strategy::Adaptive).with_queue(secs(2), 3);
    let balance = balance.layer(vec![deployment(&server, &meters, rpm(600))]);
    for _ in 0..100 {
        call(&balance, Ask::default()).await.expect("the bucket");
    }
    let mut waiting: Vec<_> = (0..3).map(|_| spawn(call(&balance, Ask::default()))).collect();
    waiting.iter_mut().for_each(|one| assert_pending!(one.poll()));
    assert!(assert_ready!(spawn(call(&balance, Ask::default())).poll()).is_err(), "three are enough");
    drop(waiting.remove(0));
    let mut last = spawn(call(&balance, Ask::default()));
    assert_pending!(last.poll());
    assert!(waiting[0].is_woken(), "the next watches the clock now");
    assert_pending!(waiting[0].poll());
    sleep(ms(101)).await;
    assert!(assert_ready!(waiting[0].poll()).is_ok());
    assert_pending!(last.poll());
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_for_one_endpoint_does_not_delay_requests_that_accept_another() {
    let servers: Vec<_> = (0..2).map(|by| Server::new(by, Duration::ZERO)).collect();
    let all = [bursting(1), bursting(100)];
    let made =
        servers.iter().zip(&all).map(|(one, meters)| deployment(one, meters, EndpointWeight::default()));
    let balance = layer(Strategy::Adaptive).with_attempts(Ask::attempts).layer(made.collect());
    while servers[0].called() == 0 {
        call(&balance, Ask::default()).await.expect("room");
    }
    let retry = Ask::default();
    call(&balance, retry.clone()).await.expect("the second");
    retry.attempts.direct(Directive::NotBefore(Instant::now() + secs(1)));
    let mut waits = spawn(call(&balance, retry));
    assert_pending!(waits.poll());
    let other = call(&balance, Ask::default()).await.expect("room");
    assert_eq!(other.by, 1);
    sleep(ms(1_001)).await;
    assert!(waits.is_woken());
    assert!(assert_ready!(waits.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_accepts_only_untried_endpoints_gets_no_retry_after() {
    let (server, meters) = (Server::new(0, Duration::ZERO), bursting(2));
    let balance = layer(Strategy::Adaptive).with_queue(secs(120), 8).with_attempts(Ask::attempts);
    let balance = balance.layer(vec![deployment(&server, &meters, rpm(2))]);
    let hurried = Ask::default();
    call(&balance, hurried.clone()).await.expect("room");
    hurried.attempts.direct(Directive::Untried);
    let alone = call(&balance, hurried.clone()).await;
    assert_eq!(alone.expect_err("none is untried"), Failed::Exhausted(Exhausted::NO_ENDPOINT));
    call(&balance, Ask::default()).await.expect("room");
    let mut waits = spawn(call(&balance, Ask::default()));
    assert_pending!(waits.poll());
    hurried.attempts.direct(Directive::Untried);
    let behind = call(&balance, hurried).await;
    assert_eq!(behind.expect_err("none is untried"), Failed::Exhausted(Exhausted::NO_ENDPOINT));
}

/// The number of requests that have joined a queue, and the waits of those that have left it.
#[derive(Default)]
struct Waits {
    joined: std::sync::atomic::AtomicUsize,
    left: Mutex<Vec<Duration>>,
}

impl crate::balance::QueueListener for Waits {
    fn joined(&self) {
        self.joined.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn left(&self, waited: Duration) {
        self.left.lock().unwrap().push(waited);
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_listener_is_notified_of_every_request_that_waits_and_of_its_wait() {
    let (server, meters, waits) = (Server::new(0, Duration::ZERO), bursting(1), Arc::new(Waits::default()));
    let listener: Arc<dyn crate::balance::QueueListener> = Arc::<Waits>::clone(&waits);
    let balance = layer(Strategy::Adaptive).with_queue(secs(120), 2).with_queue_listener(listener);
    let balance = balance.layer(vec![deployment(&server, &meters, rpm(1))]);
    call(&balance, Ask::default()).await.expect("one");
    assert_eq!(waits.joined.load(std::sync::atomic::Ordering::Relaxed), 0);
    let mut cancelled = spawn(call(&balance, Ask::default()));
    assert_pending!(cancelled.poll());
    sleep(secs(5)).await;
    drop(cancelled);
    call(&balance, Ask::default()).await.expect("the next minute");
    assert_eq!(waits.joined.load(std::sync::atomic::Ordering::Relaxed), 2);
    let left = waits.left.lock().unwrap();
    assert!(left[0] == secs(5) && (secs(50)..secs(60)).contains(&left[1]), "{left:?}");
}
