//! What follows a handshake: records in both directions, and the few messages that TLS itself still has to say. Pure.

use std::ops::Range;

use rustls::{
    client::ClientConnectionData, kernel::KernelConnection, server::ServerConnectionData,
};

use super::{
    Fault, TlsError,
    key::{HEADER, KEY_LIMIT, MAX_CONTENT, OVERHEAD, Opener, Sealer, sealed_length},
};

/// Types of content (RFC 8446, section 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CONTENT: u8 = 23;

/// Messages that may follow the handshake (RFC 8446, section 4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
const MESSAGE_HEADER: usize = 4;

/// Alerts that are no errors (RFC 8446, section 6).
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// Bytes of one message: what a ticket can have at most. A message in parts is kept until it is whole.
const MAX_MESSAGE: usize = 128 * 1024;
/// Records in a row that carry no content. Servers send a few tickets, one each; whoever sends more wants our time.
const MAX_SILENT: u32 = 32;

pub(super) struct Records {
    sealer: Sealer,
    opener: Opener,
    kernel: Kernel,
    /// The start of a message that a record cut in two.
    partial: Vec<u8>,
    silent: u32,
    /// Our answer to a key update is among what is to be written.
    answering: bool,
    ended: bool,
    key_limit: u64,
}

/// Where the next keys come from.
pub(super) enum Kernel {
    Client(KernelConnection<ClientConnectionData>),
    Server(KernelConnection<ServerConnectionData>),
}

/// Sealed records on their way out. The bytes beyond `filled` are of no meaning; they are kept so that nothing has to be
/// cleared twice.
#[derive(Default)]
pub(super) struct Sealed {
    bytes: Vec<u8>,
    filled: usize,
    written: usize,
}

impl Records {
    pub(super) const fn new(sealer: Sealer, opener: Opener, kernel: Kernel) -> Self {
        Self {
            sealer,
            opener,
            kernel,
            partial: Vec::new(),
            silent: 0,
            answering: false,
            ended: false,
            key_limit: KEY_LIMIT,
        }
    }

    /// The peer has said that it sends no more.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }

    /// Whether an answer to the peer waits to be written.
    pub(super) const fn answers(&self) -> bool {
        self.answering
    }

    #[cfg(test)]
    pub(super) const fn limit_keys(&mut self, records: u64) {
        self.key_limit = records;
    }

    #[cfg(test)]
    pub(super) fn ask_for_new_keys(&mut self, out: &mut Sealed) -> Result<(), TlsError> {
        self.update_keys(out, 1)
    }

    /// Opens the whole records at the start of `bytes`. Gives how many bytes those are, and adds to `found` where their
    /// content stands.
    pub(super) fn open(
        &mut self,
        bytes: &mut [u8],
        found: &mut Vec<Range<usize>>,
        out: &mut Sealed,
    ) -> Result<usize, TlsError> {
        let mut at = 0;
        while !self.ended
            && let Some((header, rest)) = bytes[at..].split_first_chunk_mut::<HEADER>()
        {
            let length = sealed_length(*header)?;
            let Some(sealed) = rest.get_mut(..length) else {
                break;
            };
            let opened = self.opener.open(*header, sealed)?;
            let start = at + HEADER;
            at = start + length;
            let content = start..start + opened.length;
            if opened.kind == CONTENT && self.partial.is_empty() {
                if !content.is_empty() {
                    self.silent = 0;
                    found.push(content);
                    continue;
                }
            } else {
                self.message(opened.kind, &bytes[content], out)?;
            }
            self.silent += 1;
            if self.silent > MAX_SILENT {
                return Err(Fault::Flood.into());
            }
        }
        Ok(at)
    }

    /// Seals all of `content`.
    pub(super) fn seal(&mut self, content: &[u8], out: &mut Sealed) -> Result<(), TlsError> {
        for piece in content.chunks(MAX_CONTENT) {
            if self.sealer.used() + 1 >= self.key_limit {
                self.update_keys(out, 0)?;
            }
            self.put(CONTENT, piece, out)?;
        }
        Ok(())
    }

    /// The last record of this direction.
    pub(super) fn seal_end(&mut self, out: &mut Sealed) -> Result<(), TlsError> {
        self.put(ALERT, &[WARNING, CLOSE_NOTIFY], out)
    }

    /// Tells the peer what it did, where it did something.
    pub(super) fn seal_fault(&mut self, error: &TlsError, out: &mut Sealed) {
        if let TlsError::Broken(fault) = error {
            // Without a key that works there is nothing to be told.
            let _ = self.put(ALERT, &[FATAL, fault.alert()], out);
        }
    }

    /// All that was sealed is written.
    pub(super) const fn wrote_all(&mut self) {
        self.answering = false;
    }

    pub(super) fn put(
        &mut self,
        kind: u8,
        content: &[u8],
        out: &mut Sealed,
    ) -> Result<(), TlsError> {
        let space = out.space(content.len() + OVERHEAD);
        self.sealer.seal(kind, content, space)
    }

    fn message(&mut self, kind: u8, content: &[u8], out: &mut Sealed) -> Result<(), TlsError> {
        match kind {
            HANDSHAKE => self.handshake(content, out),
            ALERT if self.partial.is_empty() => self.alert(content),
            _ => Err(Fault::Unexpected.into()),
        }
    }

    fn alert(&mut self, content: &[u8]) -> Result<(), TlsError> {
        match *content {
            [_, CLOSE_NOTIFY] => self.ended = true,
            [_, USER_CANCELED] => {}
            [_, alert] => return Err(TlsError::Alert(alert)),
            _ => return Err(Fault::Unreadable.into()),
        }
        Ok(())
    }

    fn handshake(&mut self, content: &[u8], out: &mut Sealed) -> Result<(), TlsError> {
        if content.is_empty() {
            return Err(Fault::Unexpected.into());
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(content);
        let mut rest = &bytes[..];
        while let Some((header, more)) = rest.split_first_chunk::<MESSAGE_HEADER>() {
            let [kind, a, b, c] = *header;
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
            if length > MAX_MESSAGE {
                return Err(Fault::TooLong.into());
            }
            let Some((body, more)) = more.split_at_checked(length) else {
                break;
            };
            match kind {
                // The next record has another key, so nothing may follow in this one (RFC 8446, section 5.1).
                KEY_UPDATE if more.is_empty() => self.on_key_update(body, out)?,
                NEW_SESSION_TICKET => self.on_ticket(body)?,
                _ => return Err(Fault::Unexpected.into()),
            }
            rest = more;
        }
        self.partial = rest.to_vec();
        Ok(())
    }

    fn on_ticket(&mut self, body: &[u8]) -> Result<(), TlsError> {
        match &mut self.kernel {
            Kernel::Client(kernel) => {
                let kept = kernel.handle_new_session_ticket(body);
                kept.map_err(|_| Fault::Unreadable.into())
            }
            Kernel::Server(_) => Err(Fault::Unexpected.into()),
        }
    }

    fn on_key_update(&mut self, body: &[u8], out: &mut Sealed) -> Result<(), TlsError> {
        let asked = match *body {
            [asked @ (0 | 1)] => asked == 1,
            _ => return Err(Fault::Unreadable.into()),
        };
        let (sequence, secrets) = match &mut self.kernel {
            Kernel::Client(kernel) => kernel.update_rx_secret()?,
            Kernel::Server(kernel) => kernel.update_rx_secret()?,
        };
        self.opener = Opener::new(sequence, &secrets)?;
        // One answer is enough for all that were asked before it left (RFC 8446, section 4.6.3).
        if asked && !self.answering {
            self.answering = true;
            self.update_keys(out, 0)?;
        }
        Ok(())
    }

    fn update_keys(&mut self, out: &mut Sealed, ask: u8) -> Result<(), TlsError> {
        self.put(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, ask], out)?;
        let (sequence, secrets) = match &mut self.kernel {
            Kernel::Client(kernel) => kernel.update_tx_secret()?,
            Kernel::Server(kernel) => kernel.update_tx_secret()?,
        };
        self.sealer = Sealer::new(sequence, &secrets)?;
        Ok(())
    }
}

impl Sealed {
    /// What is still to be written.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..self.filled]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written == self.filled
    }

    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.is_empty() {
            (self.written, self.filled) = (0, 0);
        }
    }

    /// Gives memory back that nothing is in.
    pub(super) fn trim(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    #[cfg(test)]
    pub(super) fn change(&mut self, at: usize, bits: u8) {
        self.bytes[self.written + at] ^= bits;
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.space(bytes.len()).copy_from_slice(bytes);
    }

    fn space(&mut self, length: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += length;
        if self.bytes.len() < self.filled {
            self.bytes.resize(self.filled, 0);
        }
        &mut self.bytes[start..self.filled]
    }
}
