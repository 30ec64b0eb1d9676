//! stub
/// stub
#[derive(Debug)]
pub struct Held;
impl crate::Hear for Held {
    fn end(self, _: &crate::Ending) {}
}
