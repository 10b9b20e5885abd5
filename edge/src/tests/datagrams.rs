//! `udp` endpoints: datagrams in frames of their own and on streams, and agents that make up frames.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use model::{Endpoint, Kind, Sharing};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpStream, UdpSocket},
};
use tunnel::{
    Stream, TransportKind,
    datagram::{self, DatagramReader, Frames},
    message::{EdgeMessage, Hello},
};

use super::{
    agent::{ALL, Agent, connect},
    bed::{Bed, PATIENCE, within},
};
use crate::ConnectionEnd;

/// The edge's one port, for datagrams.
async fn claim(bed: &Bed) -> Endpoint {
    let name = format!("port:{}", bed.port);
    bed.claim(&name, Kind::Udp, Sharing::Exclusive).await
}

async fn join(bed: &Bed, kind: TransportKind, datagrams: bool) -> Agent {
    let port = claim(bed).await;
    let hello = Hello {
        datagrams,
        ..bed.hello(&[&port]).await
    };
    let agent = Agent::join(bed, kind, hello).await.unwrap();
    if agent.welcome.datagrams {
        agent.transport.agree_on_datagrams();
    }
    agent
}

async fn visitor(bed: &Bed) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket
        .connect((Ipv4Addr::LOCALHOST, bed.port))
        .await
        .unwrap();
    socket
}

async fn heard(visitor: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; datagram::MAX];
    let length = within(visitor.recv(&mut buffer)).await.unwrap();
    buffer[..length].to_vec()
}

/// A flow that the agent has not answered yet, at the agent.
struct Flow {
    reader: DatagramReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    frames: Option<Frames>,
}

impl Flow {
    async fn next(agent: &Agent) -> Self {
        let (head, stream) = agent.stream().await;
        assert!(head.datagrams);
        let frames = agent.transport.frames(&stream);
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: DatagramReader::new(reader),
            writer,
            frames,
        }
    }

    async fn on_stream(&mut self) -> Vec<u8> {
        within(self.reader.next()).await.unwrap().unwrap()
    }

    async fn answer(&mut self) {
        self.writer.write_all(&[0]).await.unwrap();
        self.writer.flush().await.unwrap();
    }
}

#[tokio::test]
async fn frames_are_for_agents_over_quic_that_asked_for_them() {
    for kind in ALL {
        for asked in [false, true] {
            let bed = Bed::start().await;
            let agent = join(&bed, kind, asked).await;
            let expected = asked && kind == TransportKind::Quic;
            assert_eq!(agent.welcome.datagrams, expected, "{kind} {asked}");
            let visitor = visitor(&bed).await;
            visitor.send(b"one").await.unwrap();
            let mut flow = Flow::next(&agent).await;
            assert_eq!(flow.on_stream().await, b"one", "the agent may not know");
            flow.answer().await;
            datagram::write(&mut flow.writer, b"first").await.unwrap();
            assert_eq!(heard(&visitor).await, b"first");
            visitor.send(b"two").await.unwrap();
            match flow.frames.as_mut().filter(|_| expected) {
                Some(frames) => {
                    let next = within(frames.receiver.next()).await;
                    assert_eq!(next.as_deref(), Some(&b"two"[..]));
                    assert!(frames.sender.send(b"second"));
                    assert_eq!(heard(&visitor).await, b"second");
                }
                None => assert_eq!(flow.on_stream().await, b"two"),
            }
            let large = vec![9; 9000];
            visitor.send(&large).await.unwrap();
            assert_eq!(flow.on_stream().await, large, "whatever fits no frame");
        }
    }
}

#[tokio::test]
async fn a_frame_that_overtakes_the_status_waits_for_it() {
    let bed = Bed::start().await;
    let agent = join(&bed, TransportKind::Quic, true).await;
    let visitor = visitor(&bed).await;
    visitor.send(b"one").await.unwrap();
    let mut flow = Flow::next(&agent).await;
    let frames = flow.frames.take().unwrap();
    assert!(frames.sender.send(b"early"));
    // So that it has come when the edge hears of more.
    visitor.send(b"two").await.unwrap();
    assert_eq!(flow.on_stream().await, b"one");
    assert_eq!(flow.on_stream().await, b"two");
    let none = visitor.try_recv(&mut [0; 9]).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::WouldBlock, "nobody has accepted it");
    flow.answer().await;
    assert_eq!(heard(&visitor).await, b"early");
}

/// Strangers and agents that flood the edge with frames cost it nothing, and others are served.
#[tokio::test]
async fn frames_for_no_flow_change_nothing() {
    let bed = Bed::start().await;
    let stranger = connect(&bed, TransportKind::Quic).await;
    stranger.transport.agree_on_datagrams();
    let stream = stranger.transport.open().await.unwrap();
    flood(&stranger.transport.frames(&stream).unwrap()).await;

    let agent = join(&bed, TransportKind::Quic, true).await;
    let gone = visitor(&bed).await;
    gone.send(b"one").await.unwrap();
    let Flow { frames, .. } = Flow::next(&agent).await;
    // The stream was dropped, and the flow is over with it.
    assert_eq!(bed.log.lines(1).await[0].end, ConnectionEnd::Aborted);
    flood(&frames.unwrap()).await;

    let visitor = visitor(&bed).await;
    visitor.send(b"two").await.unwrap();
    let mut flow = Flow::next(&agent).await;
    assert_eq!(flow.on_stream().await, b"two");
    flow.answer().await;
    datagram::write(&mut flow.writer, b"served").await.unwrap();
    assert_eq!(heard(&visitor).await, b"served");
}

async fn flood(frames: &Frames) {
    let mut sent = 0;
    for _ in 0..5000 {
        sent += u32::from(frames.sender.send(&[0xff; 1000]));
        tokio::task::yield_now().await;
    }
    assert!(sent > 100, "{sent}");
}

#[tokio::test]
async fn a_visitor_is_answered_from_the_address_that_he_asked() {
    let bed = Bed::start_with(|config| config.tcp_hosts = vec![Ipv4Addr::UNSPECIFIED.into()]).await;
    let agent = join(&bed, TransportKind::Quic, true).await;
    let visitor = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut buffer = [0; 9];
    let mut flows = Vec::new();
    // One socket, and a flow for each of the addresses.
    for last in 1..4 {
        let asked: SocketAddr = (Ipv4Addr::new(127, 0, 0, last), bed.port).into();
        visitor.send_to(b"ask", asked).await.unwrap();
        let (head, stream) = agent.stream().await;
        assert_eq!(head.source, visitor.local_addr().unwrap());
        assert_eq!(head.destination, asked);
        let (_, mut writer) = tokio::io::split(stream);
        writer.write_all(&[0]).await.unwrap();
        datagram::write(&mut writer, b"answer").await.unwrap();
        let (length, from) = within(visitor.recv_from(&mut buffer)).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"answer"[..], asked));
        flows.push(writer);
    }
}

#[tokio::test]
async fn those_who_talk_go_on_while_the_edge_leaves() {
    let mut bed = Bed::start_with(|config| config.limits.drain = 2 * PATIENCE).await;
    let mut agent = join(&bed, TransportKind::Quic, true).await;
    let (talks, falls_silent) = (visitor(&bed).await, visitor(&bed).await);
    let mut flows = Vec::new();
    for visitor in [&talks, &falls_silent] {
        visitor.send(b"one").await.unwrap();
        let mut flow = Flow::next(&agent).await;
        assert_eq!(flow.on_stream().await, b"one");
        flow.answer().await;
        datagram::write(&mut flow.writer, b"heard").await.unwrap();
        assert_eq!(heard(visitor).await, b"heard");
        flows.push(flow);
    }
    bed.stop.cancel();
    assert!(matches!(agent.hear().await, EdgeMessage::Drain(_)));
    // From then on the edge takes nobody new.
    within(async {
        while TcpStream::connect(bed.addresses.http[0]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut flow = flows.remove(0);
    let frames = flow.frames.as_mut().unwrap();
    let talking = async {
        loop {
            talks.send(b"still").await.unwrap();
            assert_eq!(within(frames.receiver.next()).await.unwrap(), b"still");
            assert!(frames.sender.send(b"here"));
            assert_eq!(heard(&talks).await, b"here");
            // Far below the silence that ends a flow.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let end = tokio::select! {
        end = within(flows[0].reader.next()) => end.unwrap(),
        () = talking => unreachable!(),
    };
    assert_eq!(end, None, "who is silent waits for no deadline");
    flow.writer.shutdown().await.unwrap();
    bed.stop().await;
}
