//! Carries the datagrams of one visitor between a stream and a server that speaks UDP, from a socket of his own: the server
//! tells visitors apart by port.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
};
use tunnel::datagram::{self, DatagramReader, Silence};

use crate::{
    bounds::{self, Bound},
    dial,
    origin::Address,
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

/// Until the edge ends the flow, the server refuses it, or it is silent. `before` goes in front of each of the visitor's
/// datagrams, as servers that take the PROXY protocol over UDP want it.
pub(crate) async fn carry<S>(stream: &mut S, server: &UdpSocket, before: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let silence = Silence::new(FLOW_SILENCE);
    let up = async {
        let mut reader = DatagramReader::new(reader);
        while let Some(datagram) = reader.next().await? {
            silence.broken();
            let sent = if before.is_empty() {
                server.send(&datagram).await
            } else {
                server.send(&[before, &datagram].concat()).await
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
    let down = receive(server, &mut writer, &silence);
    tokio::select! {
        result = up => result?,
        result = down => result?,
        () = silence.lasted() => bounds::hit(Bound::FlowSilence),
    }
    writer.shutdown().await
}

/// From the server to the edge; it has no end of its own.
async fn receive<W: AsyncWrite + Unpin>(
    server: &UdpSocket,
    writer: &mut W,
    silence: &Silence,
) -> io::Result<()> {
    let mut buffer = vec![0; datagram::MAX];
    loop {
        let length = server.recv(&mut buffer).await?;
        silence.broken();
        datagram::write(writer, &buffer[..length]).await?;
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
        let carrying = tokio::spawn(async move { carry(&mut far, &towards, b"").await });
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
        let carrying = tokio::spawn(async move { carry(&mut far, &towards, b"").await });
        datagram::write(&mut near, b"anybody?").await.unwrap();
        let error = carrying.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_flow_ends() {
        let (_server, towards) = server().await;
        let (mut near, mut far) = duplex(1000);
        let carrying = tokio::spawn(async move { carry(&mut far, &towards, b"").await });
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        carrying.await.unwrap().unwrap();
    }
}
