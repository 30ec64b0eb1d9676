//! A number of retries without a type, which becomes an `i32`.

use tollgate_layers::{BoxError, Class, Outcome, retry::RetryLayer};
use tower::{Service, ServiceBuilder, service_fn};

fn classify(result: Result<&u16, &BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

fn service() -> impl Service<(), Response = u16, Error = BoxError> {
    ServiceBuilder::new()
        .layer(RetryLayer::new(2, classify))
        .service(service_fn(|()| async { Ok::<u16, BoxError>(200) }))
}

fn main() {
    drop(service());
}
