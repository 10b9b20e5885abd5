//! Carries the datagrams of one visitor between the edge and a server that speaks UDP, from a socket of his own: the server
//! tells visitors apart by port. Towards the edge they go in frames of their own, or on the flow's stream.

use std::{io, sync::Arc, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tunnel::datagram::{self, DatagramReader, FrameReceiver, FrameSender, Frames, Silence};

mod paths;
mod server;

use paths::Path;
pub use paths::datagrams_carried;
pub(crate) use server::Server;

use crate::{
    bounds::{self, Bound},
    status::Counters,
};

/// A flow in which nothing has come or gone for so long is over: longer than at the edge, which has the visitor's word.
const FLOW_SILENCE: Duration = Duration::from_secs(150);

/// What a flow has besides its stream.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) frames: Option<Frames>,
    /// Of what goes in frames; the stream counts its own bytes.
    pub(crate) counters: Arc<Counters>,
}

/// Until the edge ends the flow, the server refuses it at each of its addresses, or it is silent.
pub(crate) async fn carry<S>(stream: &mut S, mut server: Server, terms: Terms) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Terms { frames, counters } = terms;
    let (reader, mut writer) = tokio::io::split(stream);
    let (sender, receiver) = match frames {
        Some(frames) => (Some(frames.sender), Some(frames.receiver)),
        None => (None, None),
    };
    let mut visitor = Visitor {
        stream: DatagramReader::new(reader),
        frames: receiver,
        counters: &counters,
    };
    let mut edge = Edge {
        stream: &mut writer,
        frames: sender,
        counters: &counters,
    };
    let silence = Silence::new(FLOW_SILENCE);
    let mut last = None;
    loop {
        // Side by side: what goes one way does not wait for the other one.
        let at_this_address = tokio::select! {
            result = up(&mut visitor, &server, &mut last, &silence) => result,
            result = down(&server, &mut edge, &silence) => result,
            () = silence.lasted() => {
                bounds::hit(Bound::FlowSilence);
                Ok(())
            }
        };
        match at_this_address {
            Ok(()) => break,
            Err(error) => server.elsewhere(error, last.as_deref()).await?,
        }
    }
    writer.shutdown().await
}

/// From the visitor to the server, until the edge ends the flow. Keeps in `last` what may have to be sent elsewhere.
async fn up<R: AsyncRead + Unpin>(
    visitor: &mut Visitor<'_, R>,
    server: &Server,
    last: &mut Option<Vec<u8>>,
    silence: &Silence,
) -> io::Result<()> {
    while let Some(datagram) = visitor.next().await? {
        silence.broken();
        let datagram = last.insert(datagram);
        server.send(datagram).await?;
        if server.is_settled() {
            *last = None;
        }
    }
    Ok(())
}

/// From the server to the edge; it has no end of its own.
async fn down<W: AsyncWrite + Unpin>(
    server: &Server,
    edge: &mut Edge<'_, W>,
    silence: &Silence,
) -> io::Result<()> {
    loop {
        let datagram = server.receive().await?;
        silence.broken();
        edge.send(&datagram).await?;
    }
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, duplex},
        net::UdpSocket,
    };

    use super::*;
    use crate::origin::Address;

    async fn server() -> (UdpSocket, Server) {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let towards = Server::connect(&Address::new("127.0.0.1", port)).await;
        let towards = towards.unwrap();
        (server, towards)
    }

    #[tokio::test]
    async fn datagrams_cross_whole_and_the_end_of_the_stream_is_the_end() {
        let (server, towards) = server().await;
        let (mut near, mut far) = duplex(200_000);
        let carrying =
            tokio::spawn(async move { carry(&mut far, towards, Terms::default()).await });
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
            tokio::spawn(async move { carry(&mut far, towards, Terms::default()).await });
        datagram::write(&mut near, b"anybody?").await.unwrap();
        let error = carrying.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// As servers do that listen on `::1` alone.
    #[tokio::test]
    async fn a_server_at_another_address_of_its_name_is_found() {
        let server = UdpSocket::bind("[::1]:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let mut towards = Server::connect(&Address::new("localhost", port))
            .await
            .unwrap();
        towards.put_before_each(b"from: ".to_vec());
        let (mut near, mut far) = duplex(1000);
        let carrying =
            tokio::spawn(async move { carry(&mut far, towards, Terms::default()).await });
        datagram::write(&mut near, b"anybody?").await.unwrap();
        let mut buffer = [0; 100];
        for said in [&b"from: anybody?"[..], b"from: you"] {
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], said);
            server.send_to(b"me", from).await.unwrap();
            assert_eq!(near.read_u16().await.unwrap(), 2);
            assert_eq!(near.read_u16().await.unwrap(), 0x6d65);
            datagram::write(&mut near, b"you").await.unwrap();
        }
        drop(near);
        let _ = carrying.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_flow_ends() {
        let (_server, towards) = server().await;
        let (mut near, mut far) = duplex(1000);
        let carrying =
            tokio::spawn(async move { carry(&mut far, towards, Terms::default()).await });
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        carrying.await.unwrap().unwrap();
    }
}
