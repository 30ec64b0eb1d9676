//! The logs: a line for each request ([`AccessLog`]), and the form of the lines of events ([`EventFormat`]).

mod access;
mod event;
mod line;
mod time;
mod writer;

pub(crate) use self::{
    access::AccessLog, event::EventFormat, line::LogFormat, time::Millis, writer::LogWriter,
};
