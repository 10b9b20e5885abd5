//! Carries the datagrams of one visitor between the edge and a server that speaks UDP, from a socket of his own: the server
//! tells visitors apart by port. Towards the edge they go in frames of their own, or on the flow's stream.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
};
use tunnel::datagram::{self, DatagramReader, FrameReceiver, FrameSender, Frames, Silence};

mod paths;

use paths::Path;
pub use paths::datagrams_carried;

use crate::{
    bounds::{self, Bound},
    dial,
    origin::Address,
    status::Counters,
};

/// A flow in which nothing has come or gone for so long is over: longer than at the edge, which has the visitor's word.
const FLOW_SILENCE: Duration = Duration::from_secs(150);

/// A socket towards the first address of the server. Whether anybody listens there cannot be told before something is sent.
pub(crate) async fn connect(address: &Address) -> io::Result<UdpSocket> {
    let found = dial::resolve(&address.host, address.port).await?;
    let Some(server) = found.first() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let socket = UdpSocket::bind(dial::unspecified_like(*server)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// What a flow has besides its stream.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// Goes in front of each of the visitor's datagrams, as servers that take the PROXY protocol over UDP want it.
    pub(crate) before: Vec<u8>,
    pub(crate) frames: Option<Frames>,
    /// Of what goes in frames; the stream counts its own bytes.
    pub(crate) counters: Arc<Counters>,
}

/// Until the edge ends the flow, the server refuses it, or it is silent.
pub(crate) async fn carry<S>(stream: &mut S, server: &UdpSocket, terms: Terms) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Terms {
        before,
        frames,
        counters,
    } = terms;
    let (reader, mut writer) = tokio::io::split(stream);
    let silence = Silence::new(FLOW_SILENCE);
    let (sender, receiver) = match frames {
        Some(frames) => (Some(frames.sender), Some(frames.receiver)),
        None => (None, None),
    };
    let up = async {
        let mut visitor = Visitor {
            stream: DatagramReader::new(reader),
            frames: receiver,
            counters: &counters,
        };
        while let Some(datagram) = visitor.next().await? {
            silence.broken();
            let sent = if before.is_empty() {
                server.send(&datagram).await
            } else {
                server.send(&[&before[..], &datagram].concat()).await
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(error);
                }
                // Too long for the path, or no room for it: UDP loses datagrams, and the next one may arrive.
                Err(error) => {
                    bounds::hit(Bound::Datagram);
                    tracing::debug!(%error, "a datagram could not be sent");
                }
                Ok(_) => {}
            }
        }
        Ok(())
    };
    let edge = Edge {
        stream: &mut writer,
        frames: sender,
        counters: &counters,
    };
    let down = receive(server, edge, &silence);
    tokio::select! {
        result = up => result?,
        result = down => result?,
        () = silence.lasted() => bounds::hit(Bound::FlowSilence),
    }
    writer.shutdown().await
}

/// What comes from the visitor, by either path.
struct Visitor<'a, R> {
    stream: DatagramReader<R>,
    frames: Option<FrameReceiver>,
    counters: &'a Counters,
}

impl<R: AsyncRead + Unpin> Visitor<'_, R> {
    /// None when the edge has ended the flow.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        tokio::select! {
            next = self.stream.next() => {
                let next = next?;
                if next.is_some() {
                    paths::count(Path::UpStream);
                }
                Ok(next)
            }
            Some(datagram) = FrameReceiver::next_of(&mut self.frames) => {
                self.counters.received(datagram.len());
                paths::count(Path::UpFrame);
                Ok(Some(datagram))
            }
        }
    }
}

/// The way back.
struct Edge<'a, W> {
    stream: &'a mut W,
    frames: Option<FrameSender>,
    counters: &'a Counters,
}

impl<W: AsyncWrite + Unpin> Edge<'_, W> {
    async fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let frames = self.frames.as_ref();
        if frames.is_some_and(|frames| frames.send(datagram)) {
            self.counters.sent(datagram.len());
            paths::count(Path::DownFrame);
            return Ok(());
        }
        paths::count(Path::DownStream);
        datagram::write(self.stream, datagram).await
    }
}

/// From the server to the edge; it has no end of its own.
async fn receive<W: AsyncWrite + Unpin>(
    server: &UdpSocket,
    mut edge: Edge<'_, W>,
    silence: &Silence,
) -> io::Result<()> {
    let mut buffer = vec![0; datagram::MAX];
    loop {
        let length = server.recv(&mut buffer).await?;
        silence.broken();
        edge.send(&buffer[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    async fn server() -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let towards = connect(&Address::new("127.0.0.1", port)).await.unwrap();
        (server, towards)
    }

    #[tokio::test]
    async fn datagrams_cross_whole_and_the_end_of_the_stream_is_the_end() {
        let (server, towards) = server().await;
        let (mut near, mut far) = duplex(200_000);
        let carrying =
            tokio::spawn(async move { carry(&mut far, &towards, Terms::default()).await });
        let sizes = [0, 1, 1200, 65_507];
        for size in sizes {
            datagram::write(&mut near, &vec![7; size]).await.unwrap();
        }
        let mut buffer = vec![0; datagram::MAX];
        for size in sizes {
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(length, size);
            server.send_to(&buffer[..length], from).await.unwrap();
        }
        let (reader, mut writer) = tokio::io::split(near);
        let mut reader = DatagramReader::new(reader);
        for size in sizes {
            assert_eq!(reader.next().await.unwrap().unwrap().len(), size);
        }
        writer.shutdown().await.unwrap();
        assert_eq!(reader.next().await.unwrap(), None);
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_ends_the_flow_as_refused() {
        let (server, towards) = server().await;
        drop(server);
        let (mut near, mut far) = duplex(1000);
        let carrying =
            tokio::spawn(async move { carry(&mut far, &towards, Terms::default()).await });
        datagram::write(&mut near, b"anybody?").await.unwrap();
        let error = carrying.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_flow_ends() {
        let (_server, towards) = server().await;
        let (mut near, mut far) = duplex(1000);
        let carrying =
            tokio::spawn(async move { carry(&mut far, &towards, Terms::default()).await });
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        carrying.await.unwrap().unwrap();
    }
}
