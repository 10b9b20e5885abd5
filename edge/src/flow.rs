//! Carries the datagrams of one visitor over a stream of a session, until nothing has come from him for a while: nobody says
//! goodbye in UDP.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{io::AsyncWriteExt, net::UdpSocket};
use tunnel::datagram::{self, DatagramReader, Silence};

use crate::{
    bounds::{FLOW_FIRST_SILENCE, FLOW_SILENCE},
    connection::Visitor,
    flows::Begun,
    http::Copied,
    metrics::Metrics,
    session::OriginStream,
};

/// A flow, and what is known of its visitor.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) flow: Begun,
    pub(crate) visitor: Visitor,
}

/// Payloads that were carried.
#[derive(Debug, Default)]
struct Bytes {
    up: AtomicU64,
    down: AtomicU64,
}

/// Until the flow is silent, or either side ends it.
pub(crate) async fn carry(
    carried: &mut Carried,
    origin: OriginStream,
    metrics: &Metrics,
) -> (Copied, io::Result<()>) {
    let (reader, mut writer) = tokio::io::split(origin);
    // Only what comes from the visitor breaks it: an address that somebody invented must not be sent to for long.
    let (silence, bytes) = (Silence::new(FLOW_FIRST_SILENCE), Bytes::default());
    let datagrams = &mut carried.flow.datagrams;
    let up = async {
        // The table holds the other end for as long as the flow is there.
        let mut came = 0_u64;
        while let Some(waiting) = datagrams.recv().await {
            silence.broken();
            came += 1;
            if came == 2 {
                silence.may_last(FLOW_SILENCE);
            }
            datagram::write(&mut writer, &waiting.bytes).await?;
            bytes.up.fetch_add(waiting.bytes.len() as u64, Relaxed);
        }
        Ok(())
    };
    let (socket, visitor) = (&carried.socket, carried.visitor.peer);
    let down = async {
        let mut reader = DatagramReader::new(reader);
        while let Some(payload) = reader.next().await? {
            match socket.send_to(&payload, visitor).await {
                Ok(sent) => _ = bytes.down.fetch_add(sent as u64, Relaxed),
                // Too long for the path, or the visitor has gone: the next one may arrive.
                Err(error) => {
                    metrics.datagrams_failed.inc();
                    tracing::debug!(%visitor, %error, "a datagram could not be sent");
                }
            }
        }
        Ok(())
    };
    let result = tokio::select! {
        result = up => result,
        result = down => result,
        () = silence.lasted() => Ok(()),
    };
    if result.is_ok() {
        // The agent lets go of its socket.
        let _ = writer.shutdown().await;
    }
    let copied = Copied {
        from_left: bytes.up.load(Relaxed),
        from_right: bytes.down.load(Relaxed),
    };
    (copied, result)
}
