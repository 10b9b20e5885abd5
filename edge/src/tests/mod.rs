//! The whole edge on loopback, with agents of a few lines over both bindings and a store in memory.

pub(crate) mod agent;
mod balancers;
pub(crate) mod bed;
pub(crate) mod ca;
mod datagrams;
mod leaving;
mod names;
mod ports;
mod possession;
mod sessions;
mod single;
mod strangers;
mod trust;
mod websocket;
