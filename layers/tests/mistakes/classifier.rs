//! A classifier that takes the response and the error, in place of references to them.

use tollgate_layers::{
    BoxError, Class, Outcome,
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
};
use tower::{Service, ServiceBuilder, service_fn};

fn classify(result: Result<u16, BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

fn service() -> impl Service<(), Response = u16, Error = BoxError> {
    ServiceBuilder::new()
        .layer(CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), classify))
        .service(service_fn(|()| async { Ok::<u16, BoxError>(200) }))
}

fn main() {
    drop(service());
}
