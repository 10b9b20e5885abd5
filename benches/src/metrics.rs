//! What is measured on each row.

use crate::load::Shape;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// Visitors of one shape, so many at once
    Visits(Shape, usize),
    /// The memory of an idle stream
    Idle,
    /// The memory of an idle agent
    Agents,
    /// An agent's start to the first answer
    First,
}

/// In the order of measurement.
pub(crate) const ALL: [Metric; 11] = [
    metric("down1", What::Visits(Shape::Down, 1)),
    metric("up1", What::Visits(Shape::Up, 1)),
    metric("down16", What::Visits(Shape::Down, 16)),
    metric("up16", What::Visits(Shape::Up, 16)),
    metric("requests1", What::Visits(Shape::Requests, 1)),
    metric("requests64", What::Visits(Shape::Requests, 64)),
    metric("connections1", What::Visits(Shape::Connections, 1)),
    metric("connections32", What::Visits(Shape::Connections, 32)),
    metric("idle", What::Idle),
    metric("agents", What::Agents),
    metric("first", What::First),
];

const fn metric(name: &'static str, what: What) -> Metric {
    Metric { name, what }
}
