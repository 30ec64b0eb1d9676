//! A request that cannot be repeated, because it is not `Clone`.

use tollgate_layers::{BoxError, Class, Outcome, retry::RetryLayer};
use tower::{Service, ServiceBuilder, service_fn};

struct Request;

fn classify(result: Result<&u16, &BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

fn service() -> impl Service<Request, Response = u16, Error = BoxError> {
    ServiceBuilder::new()
        .layer(RetryLayer::new(2u32, classify))
        .service(service_fn(|_: Request| async { Ok::<u16, BoxError>(200) }))
}

fn main() {
    drop(service());
}
