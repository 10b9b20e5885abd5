//! Sections 3.1 and 3.3: many bytes, and datagrams.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Peer, session::Session, visitor::bound};
use crate::case::{Outcome, ensure, within};
use crate::exchange::exactly;

/// Many windows of a stream.
const BULK: usize = 4 << 20;

/// Both directions at once, neither of which may wait for the other.
pub(super) async fn bulk(peer: Peer) -> Outcome {
    peer.granted("tcp")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let visitor = peer.visit(&welcome).await?;
    let (mut from_origin, mut to_visitor) = tokio::io::split(session.accepted(&visitor).await?);
    let (mut from_visitor, mut to_origin) = visitor.into_split();
    let sent: Vec<u8> = (0..BULK).map(|at| (at % 251) as u8).collect();
    let up = async {
        to_origin.write_all(&sent).await?;
        to_origin.shutdown().await
    };
    let echo = async {
        tokio::io::copy(&mut from_origin, &mut to_visitor).await?;
        to_visitor.shutdown().await
    };
    let mut came = Vec::with_capacity(BULK);
    let down = from_visitor.read_to_end(&mut came);
    let moved = within("end of 4 MiB", async { tokio::try_join!(up, echo, down) });
    moved.await??;
    ensure!(
        came == sent,
        "{} bytes came back, and not those that were sent",
        came.len()
    );
    Ok(())
}

pub(super) async fn datagrams(peer: Peer) -> Outcome {
    peer.granted("udp")?;
    let (mut session, welcome) = Session::serve(&peer).await?;
    let visitor = peer.visit_udp(&welcome).await?;
    visitor.send(b"hi").await?;
    let (head, mut flow) = session.stream().await?;
    ensure!(head.datagrams, "the head of a flow has no transport DGRAM");
    let id = &bound(&welcome, "udp")?["id"];
    ensure!(
        head.bind().is_some_and(|bind| *id == bind),
        "bind {:?} instead of {id}",
        head.bind()
    );
    exactly(&mut flow, b"\0\x02hi").await?;
    visitor.send(b"").await?;
    visitor.send(b"there").await?;
    exactly(&mut flow, b"\0\0\0\x05there").await?;
    flow.write_all(b"\0\0\x02yo\0\0\0\x03you").await?;
    flow.flush().await?;
    for wanted in [&b"yo"[..], b"", b"you"] {
        let mut datagram = [0; 2048];
        let length = within("datagram", visitor.recv(&mut datagram)).await??;
        ensure!(
            datagram[..length] == *wanted,
            "{:02x?} instead of {wanted:02x?}",
            &datagram[..length]
        );
    }
    Ok(())
}
