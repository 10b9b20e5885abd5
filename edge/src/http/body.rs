//! The bodies of a request and of its answer: one frame at a time, counted, never collected.

mod request;
mod response;

pub(super) use self::{request::RequestBody, response::ResponseBody};
