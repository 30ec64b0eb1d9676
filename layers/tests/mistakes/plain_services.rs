//! Plain services, given to the balancer's layer as endpoints.

use tollgate_layers::{
    BoxError, Class, Outcome,
    balance::{RateLimitBalanceLayer, Strategy},
};
use tower::{Service, ServiceBuilder, service_fn};

fn classify(result: Result<&u16, &BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

fn service() -> impl Service<(), Response = u16, Error = BoxError> {
    ServiceBuilder::new()
        .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, classify))
        .service(vec![service_fn(|()| async { Ok::<u16, BoxError>(200) })])
}

fn main() {
    drop(service());
}
