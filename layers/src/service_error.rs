//! The conversion of a layer's error into the error of the service below the layer: [`IntoServiceError`].

/// Conversion of a layer's error into `E`, the error of the service that the layer wraps.
///
/// Every `E` that implements `From` of the layer's error has it, such as [`BoxError`](crate::BoxError). In place of `From`
/// itself, the layers require this trait for its message of the compiler, which contains the remedy.
#[diagnostic::on_unimplemented(
    message = "the error `{E}` of the service cannot be made from `{Self}`: `IntoServiceError` is not implemented",
    label = "a layer of this service fails with `{Self}`",
    note = "implement `From<{Self}>` for `{E}`, or put `map_err(BoxError::from)` directly above the service that fails with `{E}`"
)]
pub trait IntoServiceError<E> {
    /// Converts the error.
    fn into_service_error(self) -> E;
}

#[diagnostic::do_not_recommend]
impl<L, E: From<L>> IntoServiceError<E> for L {
    fn into_service_error(self) -> E {
        self.into()
    }
}
