//! What a copy needs of its two sides: bytes, and a way to end them that cannot be taken for an end.

use std::task::{Context, Poll};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;
use tunnel::Side as End;

pub(crate) trait Side: AsyncRead + AsyncWrite + Unpin {
    /// Ends both directions in a way that the peer sees as an abort. Dropping is the caller's.
    fn abort(&mut self);
}

/// The visitor's side, which reads and writes by itself: it knows the buffers of the session.
pub(crate) trait Visitor: Side {
    /// Reads from `origin`, a socket, as much as may be sent; 0 at its end. `look` sees what came.
    fn poll_fill<O: Side>(
        &mut self,
        cx: &mut Context<'_>,
        origin: &mut O,
        look: impl FnOnce(&[u8]),
    ) -> Poll<Result<usize, End>>;

    /// Writes to `origin` what has come; 0 at the end.
    fn poll_drain<O: Side>(
        &mut self,
        cx: &mut Context<'_>,
        origin: &mut O,
    ) -> Poll<Result<usize, End>>;
}

impl Side for TcpStream {
    /// A zero linger time makes the kernel send RST instead of FIN when the socket is dropped.
    fn abort(&mut self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(%error, "the origin will see an end instead of a reset");
        }
    }
}

impl Side for TlsStream<TcpStream> {
    /// Without close_notify, and with RST below.
    fn abort(&mut self) {
        self.get_mut().0.abort();
    }
}

impl Side for UnixStream {
    /// A unix socket has no reset of its own: its peer sees one (ECONNRESET) if it had sent bytes that were not read,
    /// and an end otherwise.
    fn abort(&mut self) {}
}
