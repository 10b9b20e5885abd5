//! What a copy needs of its two sides: bytes, and a way to end them that cannot be taken for an end.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

pub(crate) trait Side: AsyncRead + AsyncWrite + Unpin {
    /// Ends both directions in a way that the peer sees as an abort. Dropping is the caller's.
    fn abort(&mut self);
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
