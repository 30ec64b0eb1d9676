//! The stories of the meters.
