//! stub
/// stub
#[derive(Debug)]
pub enum Error {}
