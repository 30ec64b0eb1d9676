//! The macro for the accessors of a service's inner service.

/// Implements the accessors of the inner service, which is the field `inner` of type `S`.
///
/// Use `mut` only if a change of `inner` affects all later calls: not if the service keeps clones of it for those.
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

        /// Returns a mutable reference to the inner service.
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
