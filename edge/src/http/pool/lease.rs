//! The use of a connection by one request, until its answer is over.

use std::sync::{Arc, Weak};

use super::{Shelf, h1::IdleH1, link::Link};

/// Dropped before [`Lease::finish`], it means that the request was given up.
pub(in crate::http) struct Lease {
    link: Arc<Link>,
    kind: Kind,
}

enum Kind {
    /// Back on the shelf when the answer is over.
    Kept(IdleH1, Weak<Shelf>),
    /// On the shelf all the time.
    Shared,
    /// For this one request.
    Single,
    Finished,
}

impl Lease {
    pub(super) fn shared(link: Arc<Link>) -> Self {
        Self {
            link,
            kind: Kind::Shared,
        }
    }

    pub(super) fn single(link: Arc<Link>) -> Self {
        Self {
            link,
            kind: Kind::Single,
        }
    }

    /// The answer has begun, and the connection may be used again after it.
    pub(super) fn kept(mut self, connection: IdleH1, shelf: Weak<Shelf>) -> Self {
        self.kind = Kind::Kept(connection, shelf);
        self
    }

    /// The answer is over and nothing of it is missing.
    pub(in crate::http) fn finish(mut self) {
        let kind = std::mem::replace(&mut self.kind, Kind::Finished);
        self.link.end();
        if let Kind::Kept(connection, shelf) = kind
            && let Some(shelf) = shelf.upgrade()
        {
            shelf.keep(connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.kind {
            Kind::Finished => {}
            // hyper resets the one HTTP/2 stream; the connection is for the others too.
            Kind::Shared => self.link.end(),
            Kind::Kept(..) | Kind::Single => self.link.give_up(),
        }
    }
}
