//! A classifier, given to `with_tracking`.

use tollgate_layers::{
    BoxError, Class, Outcome,
    quota::{Limits, Meters, QuotaLayer},
};
use tower::{Service, ServiceBuilder, service_fn};

fn classify(result: Result<&u16, &BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

fn service() -> impl Service<(), Response = u16, Error = BoxError> {
    ServiceBuilder::new()
        .layer(QuotaLayer::new(Meters::new(Limits::default()), classify).with_tracking(classify))
        .service(service_fn(|()| async { Ok::<u16, BoxError>(200) }))
}

fn main() {
    drop(service());
}
