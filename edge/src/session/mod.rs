//! Sessions with agents: from `hello` to their end.
//!
//! [`admit`] decides, without I/O, what a token allows; [`table`] holds who serves what; [`open`] and [`control`] carry the
//! messages; [`handle`] and [`bound`] open streams.

mod admit;
mod bound;
mod control;
mod handle;
mod open;
mod origin_stream;
mod possession;
mod refresh;
mod single;
mod table;
mod urls;

pub(crate) use self::{
    bound::{Bound, Holding},
    open::{Desk, serve},
    origin_stream::OriginStream,
    single::Singles,
    table::Sessions,
    urls::Urls,
};
