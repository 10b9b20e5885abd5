//! A peer made of frames, for what no honest implementation sends.

use std::{task::Waker, time::Instant};

use tokio::io::ReadBuf;

use super::super::{
    Config, Role,
    frame::{Flags, HEADER, Header, Kind},
    session::Session,
};

pub(super) const SYN: Flags = Flags::SYN;
pub(super) const NONE: Flags = Flags::NONE;

pub(super) struct Raw {
    pub(super) session: Session,
    pub(super) now: Instant,
}

impl Raw {
    /// Speaks, as a client, to a server that takes `streams`.
    pub(super) fn new(streams: u32) -> Self {
        let now = Instant::now();
        let config = Config {
            max_peer_streams: streams,
            ..Config::default()
        };
        Self {
            session: Session::new(Role::Server, config, now),
            now,
        }
    }

    pub(super) fn send(&mut self, kind: Kind, flags: Flags, stream: u32, length: u32) {
        let header = Header {
            kind,
            flags,
            stream,
            length,
        };
        self.session.receive(&header.encode(), self.now);
    }

    pub(super) fn data(&mut self, flags: Flags, stream: u32, body: &[u8]) {
        self.send(Kind::Data, flags, stream, body.len() as u32);
        self.session.receive(body, self.now);
    }

    /// The frames that it answers, without their bodies.
    pub(super) fn answers(&mut self) -> Vec<Header> {
        let mut bytes = Vec::new();
        self.session.take_output(&mut bytes);
        let (mut rest, mut headers) = (&bytes[..], Vec::new());
        while let Some((head, more)) = rest.split_first_chunk::<HEADER>() {
            let header = Header::decode(head).unwrap();
            let body = if header.kind == Kind::Data {
                header.length as usize
            } else {
                0
            };
            headers.push(header);
            rest = &more[body..];
        }
        headers
    }

    pub(super) fn read(&mut self, id: u32, most: usize) -> usize {
        let mut space = vec![0; most];
        let mut to = ReadBuf::new(&mut space);
        let _ = self.session.poll_read(id, &mut to, Waker::noop(), self.now);
        to.filled().len()
    }
}
