//! What the protocol's code counts for the whole process, whichever side of a session it is.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry::Unit};

use super::figures::{Figures, whole};

#[derive(Debug)]
pub(super) struct Tunnel;

impl Collector for Tunnel {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut figures = Figures::new(encoder, "tunnel");
        figures.bounds_hit(::tunnel::bounds::hits())?;
        let budget = ::tunnel::upgrade::budget();
        figures.gauge(
            "mux_memory",
            "Memory that the streams of all sessions over TCP take of their budget",
            Some(&Unit::Bytes),
            whole(budget.used()),
        )?;
        figures.gauge(
            "mux_memory_limit",
            "The budget",
            Some(&Unit::Bytes),
            whole(budget.limit()),
        )
    }
}
