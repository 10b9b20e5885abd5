//! What strangers may cost.

use std::{net::Ipv4Addr, sync::Arc};

use model::Congestion;
use rustls::pki_types::ServerName;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::TlsConnector;
use tunnel::{Code, TransportError, quic};

use super::{
    agent::{ALL, connect},
    bed::{Bed, EDGE, within},
};

#[tokio::test]
async fn who_never_says_hello_is_cut_and_may_come_back() {
    let bed = Bed::start().await;
    let silent = async |kind| {
        let connected = connect(&bed, kind).await;
        match within(connected.transport.closed()).await {
            TransportError::Closed { code, .. } => assert_eq!(code, Code::Idle, "{kind}"),
            other => panic!("{other:?}"),
        }
    };
    tokio::join!(silent(ALL[0]), silent(ALL[1]), silent(ALL[2]));
}

#[tokio::test]
async fn strangers_of_one_address_are_bounded_and_make_room_when_they_leave() {
    let bed = Bed::start_with(|config| config.limits.strangers_per_address = 2).await;
    let first = connect(&bed, ALL[1]).await;
    let second = connect(&bed, ALL[0]).await;
    let stream = TcpStream::connect(bed.tls()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(bed.ca.client(&[b"http/1.1"])));
    let name = ServerName::try_from(EDGE).unwrap();
    assert!(within(connector.connect(name, stream)).await.is_err());
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let config = quic::client_config(bed.ca.client(&[]), Congestion::System).unwrap();
    assert!(
        within(quic::connect(&endpoint, bed.tls(), EDGE, config))
            .await
            .is_err()
    );
    for stranger in [first, second] {
        stranger.transport.close(Code::Ok, "");
    }
    within(async {
        loop {
            let config = quic::client_config(bed.ca.client(&[]), Congestion::System).unwrap();
            if quic::connect(&endpoint, bed.tls(), EDGE, config)
                .await
                .is_ok()
            {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn quic_shows_no_certificate_for_other_names() {
    let bed = Bed::start().await;
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let config = quic::client_config(bed.ca.client(&[]), Congestion::System).unwrap();
    let refused = within(quic::connect(&endpoint, bed.tls(), "b.localhost", config)).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn visitors_are_bounded_in_all() {
    let bed = Bed::start_with(|config| config.limits.visitors = 1).await;
    let mut first = TcpStream::connect(bed.tls()).await.unwrap();
    let mut second = TcpStream::connect(bed.tls()).await.unwrap();
    assert_eq!(
        within(second.read(&mut [0])).await.unwrap_or(0),
        0,
        "closed at once"
    );
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(50), first.read(&mut [0]))
            .await
            .is_err()
    );
}
