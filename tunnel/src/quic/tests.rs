use std::{net::Ipv4Addr, sync::Arc};

use futures_util::FutureExt;
use model::Congestion;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::{
    tls_for_tests::{NAME, tls},
    transport::suite::{Pair, suite},
};

suite!(pair);

async fn pair() -> Pair {
    let tls = tls();
    let here = (Ipv4Addr::LOCALHOST, 0).into();
    let server =
        quinn::Endpoint::server(server_config(tls.server, Congestion::System).unwrap(), here)
            .unwrap();
    let client = quinn::Endpoint::client(here).unwrap();
    let config = client_config(tls.client, Congestion::System).unwrap();
    let address = server.local_addr().unwrap();
    let (agent, edge) = tokio::join!(connect(&client, address, NAME, config), async {
        let connection = server.accept().await.unwrap().await.unwrap();
        assert_eq!(protocol(&connection).as_deref(), Some(ALPN));
        QuicTransport::new(connection)
    });
    Pair {
        agent: Arc::new(agent.unwrap()),
        edge: Arc::new(edge),
        _ground: Box::new((server, client)),
    }
}

#[tokio::test]
async fn a_reason_is_told_and_made_fit_for_logs() {
    let pair = pair().await;
    pair.edge.close(Code::Revoked, "the owner\n revoked it");
    let seen = pair.agent.closed().await;
    let expected = TransportError::Closed {
        code: Code::Revoked,
        reason: "the owner revoked it".into(),
    };
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_stranger_fills_little_memory() {
    let pair = pair().await;
    let mut control = pair.agent.open().await.unwrap();
    let mut taken = 0;
    while let Some(n) = control.write(&[0; 4096]).now_or_never() {
        taken += n.unwrap();
    }
    assert_eq!(taken, 64 << 10);
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let mut tls = tls();
    tls.server.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls.server).unwrap();
    let here = (Ipv4Addr::LOCALHOST, 0).into();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let server = quinn::Endpoint::server(config, here).unwrap();
    let client = quinn::Endpoint::client(here).unwrap();
    let config = client_config(tls.client, Congestion::System).unwrap();
    let (agent, _) = tokio::join!(
        connect(&client, server.local_addr().unwrap(), NAME, config),
        async { server.accept().await.unwrap().await }
    );
    assert!(agent.is_err());
}
