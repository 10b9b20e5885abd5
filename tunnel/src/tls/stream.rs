//! A connection whose handshake is done, as bytes for HTTP and as buffers for the mux.

use std::{
    fmt, io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    TlsError,
    key::MAX_CONTENT,
    record::{Records, Sealed},
};
use crate::{
    mux::{Intake, Wire},
    transport::Exporter,
};

/// Content that is sealed before the first of it is written: what one write should carry.
const AT_ONCE: usize = 16 * MAX_CONTENT;

/// TLS 1.3 over `S`.
pub struct TlsStream<S> {
    io: S,
    records: Box<Records>,
    intake: Intake,
    /// Opened, and not taken by anyone yet; the last one first.
    unread: Vec<Bytes>,
    found: Vec<Range<usize>>,
    out: Sealed,
    /// Our end is among what was sealed.
    said_end: bool,
    exporter: Exporter,
}

impl<S> TlsStream<S> {
    pub(super) fn new(
        io: S,
        records: Records,
        incoming: BytesMut,
        mut unread: Vec<Bytes>,
        exporter: Exporter,
    ) -> Self {
        unread.reverse();
        Self {
            io,
            records: Box::new(records),
            intake: Intake::new(incoming),
            unread,
            found: Vec::new(),
            out: Sealed::default(),
            said_end: false,
            exporter,
        }
    }

    /// The connection below.
    pub const fn get_ref(&self) -> &S {
        &self.io
    }

    /// The connection's `tls-exporter` (RFC 9266).
    pub const fn exporter(&self) -> Exporter {
        self.exporter
    }

    /// Puts back what was read and not used.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.unread.push(bytes);
        }
    }

    #[cfg(test)]
    pub(super) fn records(&mut self) -> (&mut Records, &mut Sealed) {
        (&mut self.records, &mut self.out)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, self.out.rest()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.out.wrote(written),
            }
        }
        self.records.wrote_all();
        Poll::Ready(Ok(()))
    }

    /// Opens what has come.
    fn open(&mut self, pieces: &mut Vec<Bytes>) -> Result<(), TlsError> {
        let incoming = self.intake.bytes();
        if incoming.is_empty() {
            return Ok(());
        }
        let whole = self
            .records
            .open(incoming, &mut self.found, &mut self.out)?;
        let opened = self.intake.take(whole);
        pieces.extend(self.found.drain(..).map(|range| opened.slice(range)));
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for TlsStream<S> {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &mut Vec<Bytes>,
    ) -> Poll<io::Result<bool>> {
        pieces.extend(self.unread.drain(..).rev());
        loop {
            if let Err(error) = self.open(pieces) {
                self.records.seal_fault(&error, &mut self.out);
                // As far as the socket takes it: the connection is lost either way.
                let _ = self.poll_write_out(cx);
                return Poll::Ready(Err(error.into()));
            }
            if self.records.answers() {
                // An answer to the peer's key update: nobody may write for hours. Reading does not wait for it.
                let _ = self.poll_write_out(cx)?;
            }
            if !pieces.is_empty() {
                return Poll::Ready(Ok(true));
            }
            if self.records.ended() {
                return Poll::Ready(Ok(false));
            }
            if ready!(self.intake.poll_read(cx, &mut self.io))? == 0 {
                // Without the peer's word this is no end but a cut.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write_out(cx))?;
            let rest = &bytes[*sent..];
            if rest.is_empty() {
                return Pin::new(&mut self.io).poll_flush(cx);
            }
            let part = &rest[..rest.len().min(AT_ONCE)];
            self.records.seal(part, &mut self.out)?;
            *sent += part.len();
        }
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said_end {
            self.records.seal_end(&mut self.out)?;
            self.said_end = true;
        }
        ready!(self.poll_write_out(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn trim(&mut self) {
        self.intake.trim();
        self.out.trim();
        self.found = Vec::new();
        self.unread.shrink_to_fit();
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.unread.is_empty() {
            let mut pieces = Vec::new();
            if !ready!(self.poll_receive(cx, &mut pieces))? {
                return Poll::Ready(Ok(()));
            }
            pieces.reverse();
            self.unread = pieces;
        }
        if let Some(piece) = self.unread.last_mut() {
            let taken = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..taken]);
            piece.advance(taken);
            if piece.is_empty() {
                self.unread.pop();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_out(cx))?;
        let this = &mut *self;
        let part = &bytes[..bytes.len().min(MAX_CONTENT)];
        this.records.seal(part, &mut this.out)?;
        // What does not leave now leaves with the next write or the flush.
        let _ = this.poll_write_out(cx)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_hang_up(cx)
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    /// Without keys and without content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("ended", &self.records.ended())
            .finish_non_exhaustive()
    }
}
