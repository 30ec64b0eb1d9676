//! A service with an error type that the layer's refusal cannot be converted to.

use std::io;

use tollgate_layers::{
    Class, Outcome,
    quota::{Limits, Meters, QuotaLayer},
};
use tower::{Service, ServiceBuilder, service_fn};

fn classify(result: Result<&u16, &io::Error>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

fn service() -> impl Service<(), Response = u16, Error = io::Error> {
    ServiceBuilder::new()
        .layer(QuotaLayer::new(Meters::new(Limits::default()), classify))
        .service(service_fn(|()| async { Ok::<u16, io::Error>(200) }))
}

fn main() {
    drop(service());
}
