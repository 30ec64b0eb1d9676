//! stub
/// stub
#[derive(Debug)]
pub struct Watch;
impl crate::Hear for Watch {
    fn end(self, _: &crate::Ending) {}
}
