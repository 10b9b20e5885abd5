use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::*;

impl Side for DuplexStream {
    fn abort(&mut self) {}
}

/// Takes the place of a tunnel stream: an abort is seen by the other end as an error. What one end has given and the other has
/// not taken waits here.
struct Near<S> {
    io: S,
    to_send: Vec<u8>,
    to_read: Vec<u8>,
}

impl<S> Near<S> {
    const fn new(io: S) -> Self {
        Self {
            io,
            to_send: Vec::new(),
            to_read: Vec::new(),
        }
    }
}

fn poll_put<W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    bytes: &mut Vec<u8>,
    to: &mut W,
) -> Poll<io::Result<usize>> {
    let mut moved = 0;
    while !bytes.is_empty() {
        match Pin::new(&mut *to).poll_write(cx, bytes)? {
            Poll::Ready(taken) => drop(bytes.drain(..taken)),
            Poll::Pending if moved == 0 => return Poll::Pending,
            Poll::Pending => break,
        }
        moved += 1;
    }
    Poll::Ready(Ok(moved))
}

fn poll_get<R: AsyncRead + Unpin>(cx: &mut Context<'_>, from: &mut R) -> Poll<io::Result<Vec<u8>>> {
    let mut space = [0; 4096];
    let mut buffer = ReadBuf::new(&mut space);
    ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().to_vec()))
}

impl<S: Side> Visitor for Near<S> {
    fn poll_fill<O: Side>(
        &mut self,
        cx: &mut Context<'_>,
        origin: &mut O,
        look: impl FnOnce(&[u8]),
    ) -> Poll<Result<usize, End>> {
        ready!(poll_put(cx, &mut self.to_send, &mut self.io)).map_err(End::Stream)?;
        if !self.to_send.is_empty() {
            return Poll::Pending;
        }
        self.to_send = ready!(poll_get(cx, origin)).map_err(End::Other)?;
        look(&self.to_send);
        let came = self.to_send.len();
        let _ = poll_put(cx, &mut self.to_send, &mut self.io).map_err(End::Stream)?;
        Poll::Ready(Ok(came))
    }

    fn poll_drain<O: Side>(
        &mut self,
        cx: &mut Context<'_>,
        origin: &mut O,
    ) -> Poll<Result<usize, End>> {
        if self.to_read.is_empty() {
            self.to_read = ready!(poll_get(cx, &mut self.io)).map_err(End::Stream)?;
            if self.to_read.is_empty() {
                return Poll::Ready(Ok(0));
            }
        }
        poll_put(cx, &mut self.to_read, origin).map_err(End::Other)
    }
}

impl<S: Side> Side for Near<S> {
    fn abort(&mut self) {
        self.io.abort();
    }
}

impl<S: Side> AsyncRead for Near<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: Side> AsyncWrite for Near<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(poll_put(cx, &mut this.to_send, &mut this.io))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.to_send.is_empty() {
            ready!(poll_put(cx, &mut this.to_send, &mut this.io))?;
        }
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

/// A visitor and an origin with a copy between them, all over TCP, where ends and resets are what they are.
struct Between {
    visitor: TcpStream,
    origin: TcpStream,
    copying: tokio::task::JoinHandle<Result<(), CopyError>>,
}

async fn between() -> Between {
    let (visitor, near) = tcp_pair().await;
    let (mut far, origin) = tcp_pair().await;
    let mut near = Near::new(near);
    let copying = tokio::spawn(async move { copy(&mut near, &mut far, |_| ()).await });
    Between {
        visitor,
        origin,
        copying,
    }
}

async fn read_all(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.map(|_| all)
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    for visitor_first in [true, false] {
        let mut b = between().await;
        let (first, second) = match visitor_first {
            true => (&mut b.visitor, &mut b.origin),
            false => (&mut b.origin, &mut b.visitor),
        };
        first.write_all(b"first").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(read_all(second).await.unwrap(), b"first");
        second.write_all(b"the answer after the end").await.unwrap();
        second.shutdown().await.unwrap();
        assert_eq!(read_all(first).await.unwrap(), b"the answer after the end");
        b.copying.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_abort_of_either_side_is_an_abort_for_the_other() {
    let mut b = between().await;
    b.origin.write_all(b"half of a bo").await.unwrap();
    let mut got = [0; 12];
    b.visitor.read_exact(&mut got).await.unwrap();
    b.origin.set_zero_linger().unwrap();
    drop(b.origin);
    let error = read_all(&mut b.visitor).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(
        b.copying.await.unwrap(),
        Err(CopyError::Origin(_))
    ));

    let mut b = between().await;
    b.visitor.set_zero_linger().unwrap();
    drop(b.visitor);
    let error = read_all(&mut b.origin).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(
        b.copying.await.unwrap(),
        Err(CopyError::Visitor(_))
    ));
}

#[tokio::test]
async fn an_abort_during_an_upload_is_no_clean_end() {
    let mut b = between().await;
    b.origin.write_all(b"413").await.unwrap();
    // Unread bytes make the kernel reset the connection on close.
    b.visitor.write_all(b"an upload").await.unwrap();
    b.origin.readable().await.unwrap();
    drop(b.origin);
    let mut answer = [0; 3];
    b.visitor.read_exact(&mut answer).await.unwrap();
    let upload = async {
        loop {
            if b.visitor.write_all(&[0; 4096]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    upload.await;
    assert!(matches!(
        b.copying.await.unwrap(),
        Err(CopyError::Origin(_))
    ));
}

#[tokio::test]
async fn large_bodies_arrive_whole_and_are_looked_at() {
    let (mut visitor, near) = tcp_pair().await;
    let (mut far, mut origin) = tcp_pair().await;
    let body: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let sent = body.clone();
    let serving = tokio::spawn(async move {
        origin.write_all(&sent).await.unwrap();
        origin.shutdown().await.unwrap();
        origin.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let mut near = Near::new(near);
    let copying = tokio::spawn(async move {
        let mut looked = Vec::new();
        let copied = copy(&mut near, &mut far, |piece| looked.extend_from_slice(piece)).await;
        copied.map(|()| looked)
    });
    assert!(read_all(&mut visitor).await.unwrap() == body);
    visitor.shutdown().await.unwrap();
    assert!(copying.await.unwrap().unwrap() == body);
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_a_half_closed_stream_may_not_be_silent_for_ever() {
    let (mut visitor, near) = tokio::io::duplex(64);
    let (mut far, mut origin) = tokio::io::duplex(64);
    let mut near = Near::new(near);
    let copying = copy(&mut near, &mut far, |_| ());
    let visit = async {
        tokio::time::sleep(HALF_CLOSED_SILENCE * 20).await;
        visitor.shutdown().await.unwrap();
        assert_eq!(origin.read(&mut [0; 8]).await.unwrap(), 0);
        tokio::time::sleep(HALF_CLOSED_SILENCE / 2).await;
        origin.write_all(b"still here").await.unwrap();
        let mut got = [0; 10];
        visitor.read_exact(&mut got).await.unwrap();
        Instant::now()
    };
    let (result, spoke) = tokio::join!(copying, visit);
    assert!(matches!(result, Err(CopyError::Silent)));
    assert_eq!(spoke.elapsed().as_secs(), HALF_CLOSED_SILENCE.as_secs());
}
