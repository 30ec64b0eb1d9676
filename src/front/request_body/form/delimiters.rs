//! The search for the delimiters of a form: [`Delimiters`].

use memchr::memmem::Finder;

use crate::error::InvalidRequest;

/// The largest number of delimiters. A part takes more memory than its bytes in the body.
const MOST: usize = 257;

/// The delimiters found in the frames so far.
#[derive(Debug)]
pub(super) struct Delimiters {
    /// The end of a line, and a delimiter.
    finder: Finder<'static>,
    /// The end of the frames so far, shorter than what is searched for.
    tail: Vec<u8>,
    /// The number of bytes so far.
    length: usize,
    /// The offset of each delimiter, without the end of the line before it.
    found: Vec<usize>,
}

impl Delimiters {
    /// Returns a search for the delimiters of a boundary.
    pub(super) fn new(boundary: &str) -> Self {
        let finder = Finder::new(format!("\r\n--{boundary}").as_bytes()).into_owned();
        // The first delimiter may be the first line of the body.
        Self { finder, tail: b"\r\n".to_vec(), length: 0, found: Vec::new() }
    }

    /// Searches the next frame.
    pub(super) fn scan(&mut self, frame: &[u8]) {
        let reach = self.finder.needle().len() - 1;
        let kept = self.tail.len();
        self.tail.extend_from_slice(&frame[..reach.min(frame.len())]);
        // Those that begin before the frame, and then those within it.
        let across = self.finder.find_iter(&self.tail).map(|at| self.length + at + 2 - kept);
        let within = self.finder.find_iter(frame).map(|at| self.length + at + 2);
        let room = MOST + 1 - self.found.len();
        self.found.extend(across.chain(within).take(room));
        self.length += frame.len();
        if frame.len() >= reach {
            self.tail.clear();
            self.tail.extend_from_slice(&frame[frame.len() - reach..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(reach));
        }
    }

    /// Returns the offsets of all delimiters.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if there are too many.
    pub(super) fn end(self) -> Result<Vec<usize>, InvalidRequest> {
        if self.found.len() > MOST {
            return Err(InvalidRequest::form("it has more than 256 parts"));
        }
        Ok(self.found)
    }
}
