//! Parameters of QUIC connections. quinn's own let one stream fill 1.25 MB per round trip, take 100 streams, and let an
//! idle connection die after 30 s.

use std::{sync::Arc, time::Duration};

use model::Congestion;
use quinn::{
    IdleTimeout, TransportConfig, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
};

use super::{
    ALPN,
    datagrams::{RECEIVE_BUFFER, SEND_BUFFER},
};
use crate::{congestion, limits};

/// Bytes of one stream that may wait for their reader: 335 Mbit/s over a path of 100 ms. quinn cannot let windows grow by
/// themselves, so this is also what a reader that stands still keeps.
const STREAM_WINDOW: u32 = 4 << 20;
/// Bytes of one session that may wait for their readers, as many as a session over the mux may hold: 64 streams may stand
/// still with full windows before others suffer.
pub(super) const SESSION_WINDOW: u32 = 256 << 20;
/// Before the peer is known: a `hello` and its packets' overhead, four times over.
const SESSION_WINDOW_BEFORE_WELCOME: u32 = 64 << 10;
/// Bytes written but not acknowledged: what a path of 1 Gbit/s and 100 ms holds.
const SEND_WINDOW: u64 = 12 << 20;
/// Handshakes that wait to be looked at. Each holds a packet or two.
const MAX_INCOMING: usize = 1024;
/// Bytes kept for one such handshake, and for all of them.
const INCOMING_BUFFER: u64 = 16 << 10;
const INCOMING_BUFFER_TOTAL: u64 = 8 << 20;

/// The agent's side. `tls` brings roots and, where wanted, a client certificate.
pub fn client_config(
    mut tls: rustls::ClientConfig,
    congestion: Congestion,
) -> Result<quinn::ClientConfig, rustls::Error> {
    tls.alpn_protocols = vec![ALPN.into()];
    // A hello in early data could be replayed (RFC 9001, section 9.2).
    tls.enable_early_data = false;
    let crypto = QuicClientConfig::try_from(tls).map_err(unfit)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    // The edge has proved its name: its streams and their bytes are welcome from the start.
    config.transport_config(transport(limits::PEER_STREAMS, SESSION_WINDOW, congestion));
    Ok(config)
}

/// The edge's side. `tls` brings the certificates of the edge's own names.
pub fn server_config(
    mut tls: rustls::ServerConfig,
    congestion: Congestion,
) -> Result<quinn::ServerConfig, rustls::Error> {
    tls.alpn_protocols = vec![ALPN.into()];
    tls.max_early_data_size = 0;
    let crypto = QuicServerConfig::try_from(tls).map_err(unfit)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport(
            limits::PEER_STREAMS_BEFORE_WELCOME,
            SESSION_WINDOW_BEFORE_WELCOME,
            congestion,
        ))
        .migration(true)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    Ok(config)
}

fn transport(
    peer_streams: u32,
    session_window: u32,
    congestion: Congestion,
) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(peer_streams.into())
        .max_concurrent_uni_streams(0_u32.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(session_window.into())
        .send_window(SEND_WINDOW)
        .congestion_controller_factory(congestion::of_quic(congestion))
        .keep_alive_interval(Some(limits::KEEPALIVE))
        .max_idle_timeout(Some(idle(limits::IDLE)))
        .datagram_receive_buffer_size(Some(RECEIVE_BUFFER))
        .datagram_send_buffer_size(SEND_BUFFER)
        .enable_segmentation_offload(true);
    Arc::new(config)
}

fn idle(after: Duration) -> IdleTimeout {
    let millis = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    VarInt::from_u32(millis).into()
}

fn unfit(error: NoInitialCipherSuite) -> rustls::Error {
    rustls::Error::General(error.to_string())
}
