//! Fuzz targets: one for each parser that reads what a stranger wrote.
//!
//! Each is a `#[test]` that runs [`ITERATIONS`] random inputs on the stable toolchain, so that `cargo test` finds what is easy to
//! find; `BOLERO_RANDOM_ITERATIONS` makes it longer, `BOLERO_RANDOM_SEED` repeats a failure, and `cargo bolero test TARGET`
//! runs it under a fuzzer that sees the code's branches. Most inputs are valid ones with a few edits ([`recipe::Recipe`]): pure
//! noise does not come far into a parser of JSON.

#[cfg(test)]
mod backups;
#[cfg(test)]
mod certificate;
#[cfg(test)]
mod client_hello;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod control;
#[cfg(test)]
mod datagrams;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod heads;
#[cfg(test)]
mod mux;
#[cfg(test)]
mod names;
#[cfg(test)]
mod origins;
#[cfg(test)]
mod recipe;
#[cfg(test)]
mod single;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod websocket;

/// For targets that take microseconds: all of them together stay within a few seconds of a debug build.
#[cfg(test)]
const ITERATIONS: usize = 20_000;
/// For targets that start a runtime or ask for a signature each time.
#[cfg(test)]
const SLOW_ITERATIONS: usize = 4000;
