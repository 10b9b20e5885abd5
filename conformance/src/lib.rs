//! Does an edge, or an agent, do what `docs/protocol.md` says? Asked from outside, case by case.
//!
//! Whoever wrote the peer: nothing is known of it but its address and a token. The kit plays the other side, by hand where
//! that side has to misbehave, and the visitor or the origin. [`edge::Edge`] is the edge under test; a [`Case`] asks one
//! question about it and names the section that answers.

pub mod agent;
mod case;
pub mod edge;
mod exchange;
pub mod frame;
mod head;
mod report;

pub use self::{
    case::{Binding, Case, Finding, Outcome, PATIENCE},
    report::{Line, Report, Result},
};
