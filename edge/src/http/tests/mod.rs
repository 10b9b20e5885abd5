//! The proxy between real sockets: raw and hyper visitors on one side, raw and hyper origins on the other.

mod bed;
mod bodies;
mod continue_100;
mod exchange;
mod hostile;
mod pages;
mod pooling;
mod streams;
mod two;
mod upgrades;
