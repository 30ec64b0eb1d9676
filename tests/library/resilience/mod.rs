//! What can be hidden is hidden, and what is down gets no fuel: the whole tree in this process, in front of upstreams
//! that follow a script, under paused time. Gaps and clocks are exact here, and an hour takes a moment.

mod world;

mod clocks;
mod contagion;
mod failover;
mod heartbeats;
mod panics;
mod random;
mod storms;
mod words;
