//! Code that every service with one inner service repeats.

/// Gives a service access to the service that it wraps, in its field `inner` of type `S`.
///
/// Write `mut` where a change of `inner` reaches all calls: not where copies of it are kept for calls that come later.
macro_rules! inner_accessors {
    () => {
        /// Returns the inner service.
        pub const fn get_ref(&self) -> &S {
            &self.inner
        }

        /// Unwraps the inner service.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
    (mut) => {
        inner_accessors!();

        /// Returns the inner service, to be changed.
        pub const fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }
    };
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower_layer::Layer;

    use crate::timeout::TimeoutLayer;

    #[test]
    fn the_inner_service_is_read_changed_and_unwrapped() {
        let mut service = TimeoutLayer::new(Duration::from_secs(1)).layer(1);
        *service.get_mut() += 1;
        assert_eq!((*service.get_ref(), service.into_inner()), (2, 2));
    }
}
