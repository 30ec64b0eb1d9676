//! Tests of the answer bodies as a whole. Those of one part stand in its own file.

mod clocks;
mod merge;
mod settle;
mod truth;
