//! Load balancers: who is asked for a header, and whose word it is.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tunnel::TransportKind;

use super::{
    agent::Agent,
    bed::{Bed, within},
};

const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 203.0.113.1 4000 443\r\n";
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xcb\0\x71\x01\x0f\xa0\x01\xbb";

async fn bed() -> (Bed, Agent) {
    let bed = Bed::start_with(|config| {
        config.proxy_protocol_from = vec!["127.0.0.2".parse().unwrap()];
    })
    .await;
    let port = bed.claim_port().await;
    let hello = bed.hello(&[&port]).await;
    let agent = Agent::join(&bed, TransportKind::Quic, hello).await.unwrap();
    // The port is open by then.
    drop(bed.visit_port().await);
    let (_, stream) = agent.stream().await;
    drop(stream);
    (bed, agent)
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    within(socket.connect(to)).await.unwrap()
}

#[tokio::test]
async fn a_balancer_tells_who_visits_by_either_version() {
    let (bed, agent) = bed().await;
    let port = (Ipv4Addr::LOCALHOST, bed.port).into();
    for header in [LINE, BINARY] {
        let mut balancer = connect(BALANCER, port).await;
        balancer.write_all(header).await.unwrap();
        balancer.write_all(b"ask").await.unwrap();
        let (head, mut stream) = agent.accept().await;
        assert_eq!(head.source, "192.0.2.1:4000".parse().unwrap());
        assert_eq!(head.destination, "203.0.113.1:443".parse().unwrap());
        let mut said = [0; 3];
        within(stream.read_exact(&mut said)).await.unwrap();
        assert_eq!(&said, b"ask", "and nothing of the header");
    }
    let lines = bed.log.lines(3).await;
    let of_balancer = lines
        .iter()
        .filter(|line| line.visitor.to_string() == "192.0.2.1");
    for line in of_balancer {
        assert_eq!(
            line.port,
            Some(bed.port),
            "the endpoint's, not the balancer's"
        );
    }
}

/// Looks whether the port is open, or speaks for itself.
#[tokio::test]
async fn a_balancer_may_come_on_its_own_behalf() {
    let (bed, agent) = bed().await;
    let port = (Ipv4Addr::LOCALHOST, bed.port).into();
    drop(connect(BALANCER, port).await);
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut balancer = connect(BALANCER, port).await;
        balancer.write_all(header).await.unwrap();
        let (head, _stream) = agent.accept().await;
        assert_eq!(head.source, balancer.local_addr().unwrap());
    }
}

#[tokio::test]
async fn a_balancer_without_a_header_is_closed_on_every_listener() {
    let (bed, agent) = bed().await;
    let port = (Ipv4Addr::LOCALHOST, bed.port).into();
    for listener in [port, bed.tls(), bed.addresses.http[0]] {
        for words in [
            &b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"[..],
            b"PROXY TCP4 x\r\n...",
        ] {
            let mut balancer = connect(BALANCER, listener).await;
            balancer.write_all(words).await.unwrap();
            let end = within(balancer.read(&mut [0])).await.unwrap_err();
            assert_eq!(end.kind(), ErrorKind::ConnectionReset);
        }
    }
    let mut silent = connect(BALANCER, port).await;
    let end = within(silent.read(&mut [0])).await.unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset, "after a while");
    let mut visitor = bed.visit_port().await;
    visitor.write_all(b"x").await.unwrap();
    let (head, _stream) = agent.accept().await;
    assert_eq!(
        head.source,
        visitor.local_addr().unwrap(),
        "nobody before him came through"
    );
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let (bed, agent) = bed().await;
    let port = (Ipv4Addr::LOCALHOST, bed.port).into();
    let mut liar = connect(Ipv4Addr::new(127, 0, 0, 3), port).await;
    liar.write_all(LINE).await.unwrap();
    let (head, mut stream) = agent.accept().await;
    assert_eq!(head.source, liar.local_addr().unwrap());
    let mut said = vec![0; LINE.len()];
    within(stream.read_exact(&mut said)).await.unwrap();
    assert_eq!(said, LINE, "what he says is for the origin");
}
