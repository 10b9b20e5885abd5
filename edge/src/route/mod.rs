//! From a name or port to the session that serves it.

pub(crate) mod facts;
mod reserved;
mod router;

pub(crate) use self::{
    facts::{Facts, Follow},
    router::{Claimed, Place, Router},
};
