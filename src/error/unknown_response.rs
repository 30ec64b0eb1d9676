//! The error of an id that leads to no response: [`UnknownResponse`].

use std::fmt;

/// The place of an id that leads to no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownResponse {
    /// The path.
    Named,
    /// `previous_response_id`.
    Previous,
}

impl UnknownResponse {
    /// Returns the `code` of the error object, and its `param`.
    pub(crate) const fn code_and_param(self) -> (&'static str, &'static str) {
        match self {
            Self::Named => ("response_not_found", "response_id"),
            Self::Previous => ("previous_response_not_found", "previous_response_id"),
        }
    }
}

impl fmt::Display for UnknownResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str(
                "There is no response with this id: the gateway has not issued it, or its deployment is gone, or your key may \
                 not call its model.",
            ),
            Self::Previous => f.write_str(
                "There is no response with this `previous_response_id` at this model: the gateway has not issued it, or another \
                 model has it, or its deployment is gone. Send the items of the earlier responses in `input`.",
            ),
        }
    }
}
