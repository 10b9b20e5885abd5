use std::{net::Ipv4Addr, sync::Arc};

use model::Congestion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    Stream, Transport,
    quic::{QuicTransport, client_config, connect, server_config},
    tls_for_tests::{NAME, tls},
};

struct Pair {
    edge: QuicTransport,
    agent: QuicTransport,
    _ground: (quinn::Endpoint, quinn::Endpoint),
}

async fn pair(agent_takes_frames: bool) -> Pair {
    let (tls, here) = (tls(), (Ipv4Addr::LOCALHOST, 0).into());
    let config = server_config(tls.server, Congestion::System).unwrap();
    let server = quinn::Endpoint::server(config, here).unwrap();
    let client = quinn::Endpoint::client(here).unwrap();
    let mut config = client_config(tls.client, Congestion::System).unwrap();
    if !agent_takes_frames {
        let mut transport = quinn::TransportConfig::default();
        transport.datagram_receive_buffer_size(None);
        config.transport_config(Arc::new(transport));
    }
    let address = server.local_addr().unwrap();
    let (agent, edge) = tokio::join!(connect(&client, address, NAME, config), async {
        QuicTransport::new(server.accept().await.unwrap().await.unwrap())
    });
    let pair = Pair {
        edge,
        agent: agent.unwrap(),
        _ground: (server, client),
    };
    pair.edge.agree_on_datagrams();
    pair.agent.agree_on_datagrams();
    pair
}

impl Pair {
    /// Both ends of a flow, its stream open on both sides.
    async fn flow(&self) -> (Stream, Frames, Stream, Frames) {
        let mut at_edge = self.edge.open().await.unwrap();
        let edge = self.edge.frames(&at_edge).unwrap();
        at_edge.write_all(b"h").await.unwrap();
        let mut at_agent = self.agent.accept().await.unwrap();
        assert_eq!(at_agent.read_u8().await.unwrap(), b'h');
        let agent = self.agent.frames(&at_agent).unwrap();
        (at_edge, edge, at_agent, agent)
    }
}

#[tokio::test]
async fn frames_reach_their_flow_in_both_directions() {
    let pair = pair(true).await;
    let mut flows = Vec::new();
    for _ in 0..70 {
        flows.push(pair.flow().await);
    }
    for (n, (_, edge, _, agent)) in flows.iter_mut().enumerate() {
        for datagram in [vec![], vec![n as u8; 1000]] {
            assert!(edge.sender.send(&datagram));
            assert_eq!(agent.receiver.next().await, Some(datagram.clone()));
            assert!(agent.sender.send(&datagram));
            assert_eq!(edge.receiver.next().await, Some(datagram));
        }
    }
    drop(flows);
    assert!(pair.edge.flows.lock().is_empty() && pair.agent.flows.lock().is_empty());
}

#[tokio::test]
async fn what_is_too_long_for_the_path_is_for_the_stream() {
    let pair = pair(true).await;
    let (_stream, edge, _other, mut agent) = pair.flow().await;
    let longest = pair.edge.connection.max_datagram_size().unwrap() - 1;
    for length in [longest + 1, 9000, usize::from(u16::MAX)] {
        assert!(!edge.sender.send(&vec![1; length]), "{length}");
    }
    assert!(edge.sender.send(&vec![1; longest]));
    assert_eq!(agent.receiver.next().await, Some(vec![1; longest]));
}

#[tokio::test]
async fn a_peer_that_takes_no_frames_is_sent_none() {
    let pair = pair(false).await;
    let (_stream, edge, _other, agent) = pair.flow().await;
    assert!(!edge.sender.send(b"x") && !agent.sender.send(b"x"));
}

#[tokio::test]
async fn there_are_no_frames_before_both_have_said_so_or_without_quic() {
    let pair = pair(true).await;
    pair.edge.flows.agreed.store(false, Relaxed);
    let stream = pair.edge.open().await.unwrap();
    assert!(pair.edge.frames(&stream).is_none());
}

/// Nothing runs beside the test before it waits, so the path takes nothing meanwhile.
#[tokio::test]
async fn after_frames_have_filled_the_path_as_many_bytes_take_the_stream() {
    let pair = pair(true).await;
    let (_stream, edge, _other, mut agent) = pair.flow().await;
    let datagram = [7; 1000];
    let mut sent = 0;
    while edge.sender.send(&datagram) {
        sent += 1;
        assert!(sent * datagram.len() <= SEND_BUFFER, "there is a bound");
    }
    assert!(sent > 64, "{sent}");
    for _ in 0..sent {
        agent.receiver.next().await;
        if agent.receiver.waiting.is_empty() {
            break;
        }
    }
    let on_stream = (0..).take_while(|_| !edge.sender.send(&datagram)).count();
    assert_eq!(on_stream, SEND_BUFFER.div_ceil(datagram.len()));
}

#[tokio::test]
async fn what_waits_is_bounded_by_its_flow_and_by_all_bytes() {
    let flows = Flows::new();
    let pair = pair(true).await;
    let mut frames: Vec<_> = (0..20)
        .map(|flow| flows.begin(flow, &pair.edge.connection))
        .collect();
    for flow in 0..20 {
        let frame = frame::encode(flow, &[0; 1400]).unwrap();
        for _ in 0..FRAME_QUEUE + 10 {
            flows.take(&frame);
        }
    }
    assert_eq!(frames[0].receiver.waiting.len(), FRAME_QUEUE);
    let waiting: usize = frames.iter().map(|f| f.receiver.waiting.len()).sum();
    assert_eq!(waiting, FRAME_BYTES / 1400, "all flows share the room");
    frames.clear();
    assert_eq!(flows.room.available_permits(), FRAME_BYTES);
}

/// A peer that makes up flows, numbers and lengths.
#[tokio::test]
async fn frames_for_nobody_are_dropped_and_counted_and_answered_with_nothing() {
    let pair = pair(true).await;
    let (_stream, edge, _other, mut agent) = pair.flow().await;
    let count = || bounds::hits().find(|(name, _)| *name == "stray_datagrams");
    let before = count().unwrap().1;
    let hostile: [&[u8]; 7] = [
        b"",
        &[0x40],
        &[0xff; 7],
        &[0xff; 8],
        &[0xff; 600],
        &[0x3f, 1, 2],
        &[0xc0, 0, 0],
    ];
    for _ in 0..30 {
        for frame in hostile {
            let frame = bytes::Bytes::copy_from_slice(frame);
            pair.edge
                .connection
                .send_datagram_wait(frame)
                .await
                .unwrap();
        }
    }
    assert!(edge.sender.send(b"still there"));
    assert_eq!(
        agent.receiver.next().await.as_deref(),
        Some(&b"still there"[..])
    );
    assert!(count().unwrap().1 >= before + 210);
    assert!(pair.agent.flows.lock().len() == 1);
    assert_eq!(pair.agent.connection.stats().frame_tx.datagram, 0);
}
