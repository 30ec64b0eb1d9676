//! stub
/// stub
#[derive(Debug)]
pub struct Flight;
impl crate::Hear for Flight {
    fn end(self, _: &crate::Ending) {}
}
