//! Our TLS against rustls's own, on either end, and against whoever stands in between.

use std::sync::Arc;

use proptest::prelude::*;
use rustls::{CipherSuite, SupportedCipherSuite, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::tls_for_tests::{NAME, Tls, tls};

const MIB: usize = 1 << 20;

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).unwrap()
}

/// Configurations that agree on `suite`.
fn tls_with(suite: SupportedCipherSuite) -> Tls {
    let mut tls = tls();
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![suite];
    tls.client = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(tls.roots.clone())
        .with_no_client_auth();
    tls
}

fn suites() -> Vec<SupportedCipherSuite> {
    let all = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter().copied();
    let suites: Vec<_> = all.filter(|suite| suite.tls13().is_some()).collect();
    assert_eq!(suites.len(), 3);
    suites
}

type Ours = TlsStream<DuplexStream>;

async fn our_client(tls: &Tls) -> (Ours, tokio_rustls::server::TlsStream<DuplexStream>) {
    let (near, far) = duplex(MIB);
    let acceptor = TlsAcceptor::from(Arc::new(tls.server.clone()));
    let (ours, theirs) = tokio::join!(connect(&tls.client, name(), near), acceptor.accept(far));
    (ours.unwrap(), theirs.unwrap())
}

async fn our_server(tls: &Tls) -> (Ours, tokio_rustls::client::TlsStream<DuplexStream>) {
    let (near, far) = duplex(MIB);
    let connector = TlsConnector::from(Arc::new(tls.client.clone()));
    let (ours, theirs) = tokio::join!(
        accept(&tls.server, &[], near),
        connector.connect(name(), far)
    );
    (ours.unwrap(), theirs.unwrap())
}

async fn both_ours(tls: &Tls) -> (Ours, Ours) {
    let (near, far) = duplex(MIB);
    let (client, server) = tokio::join!(
        connect(&tls.client, name(), near),
        accept(&tls.server, &[], far)
    );
    (client.unwrap(), server.unwrap())
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// `length` bytes from one to the other and back.
async fn there_and_back<A, B>(a: &mut A, b: &mut B, length: usize)
where
    A: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    B: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let sent = bytes(length);
    let mut there = vec![0; length];
    let writing = async {
        a.write_all(&sent).await.unwrap();
        a.flush().await.unwrap();
    };
    tokio::join!(writing, async { b.read_exact(&mut there).await.unwrap() });
    assert!(there == sent, "changed on its way");
    let mut back = vec![0; length];
    let writing = async {
        b.write_all(&there).await.unwrap();
        b.flush().await.unwrap();
    };
    tokio::join!(writing, async { a.read_exact(&mut back).await.unwrap() });
    assert!(back == sent, "changed on its way back");
}

/// Ends `a`, which `b` sees as an end, and the other way round.
async fn end<A, B>(mut a: A, mut b: B)
where
    A: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    B: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    a.shutdown().await.unwrap();
    assert_eq!(b.read(&mut [0; 8]).await.unwrap(), 0);
    b.write_all(b"last").await.unwrap();
    b.shutdown().await.unwrap();
    let mut last = Vec::new();
    a.read_to_end(&mut last).await.unwrap();
    assert_eq!(last, b"last");
}

#[tokio::test]
async fn both_ends_agree_with_rustls_in_every_suite() {
    for suite in suites() {
        let tls = tls_with(suite);
        for length in [1, 16 * 1024, 16 * 1024 + 1, 3 * MIB] {
            let (mut ours, mut theirs) = our_client(&tls).await;
            assert_eq!(
                theirs.get_ref().1.negotiated_cipher_suite(),
                Some(suite),
                "{suite:?}"
            );
            there_and_back(&mut ours, &mut theirs, length).await;
            end(ours, theirs).await;
            let (mut ours, mut theirs) = our_server(&tls).await;
            there_and_back(&mut ours, &mut theirs, length).await;
            end(theirs, ours).await;
            let (mut client, mut server) = both_ours(&tls).await;
            there_and_back(&mut client, &mut server, length).await;
            end(client, server).await;
        }
    }
}

#[tokio::test]
async fn keys_change_in_both_directions() {
    for suite in suites() {
        let tls = tls_with(suite);
        let (mut ours, mut theirs) = our_client(&tls).await;
        // Ours change after every few records; theirs when we ask, and once because they want to.
        ours.records().0.limit_keys(3);
        there_and_back(&mut ours, &mut theirs, MIB).await;
        for _ in 0..3 {
            let (records, out) = ours.records();
            records.ask_for_new_keys(out).unwrap();
            there_and_back(&mut ours, &mut theirs, MIB).await;
        }
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        there_and_back(&mut ours, &mut theirs, MIB).await;
        end(ours, theirs).await;

        let (mut ours, mut theirs) = our_server(&tls).await;
        ours.records().0.limit_keys(3);
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        there_and_back(&mut ours, &mut theirs, MIB).await;
        end(ours, theirs).await;
    }
}

#[tokio::test]
async fn tickets_are_kept_and_used() {
    let tls = tls();
    for resumed in [false, true] {
        let (mut ours, mut theirs) = our_client(&tls).await;
        // Tickets come with the first bytes.
        there_and_back(&mut ours, &mut theirs, 10).await;
        let kind = theirs.get_ref().1.handshake_kind();
        let is_resumed = kind == Some(rustls::HandshakeKind::Resumed);
        assert_eq!(is_resumed, resumed, "{kind:?}");
    }
}

#[tokio::test]
async fn a_key_update_is_answered_though_nobody_writes() {
    let tls = tls();
    let (mut ours, mut asking) = both_ours(&tls).await;
    let (records, out) = asking.records();
    records.ask_for_new_keys(out).unwrap();
    asking.write_all(b"x").await.unwrap();
    asking.flush().await.unwrap();
    assert_eq!(ours.read_u8().await.unwrap(), b'x');
    let answered = async {
        // Only the answer to read, which is no content.
        let mut byte = [0];
        tokio::select! {
            biased;
            read = asking.read(&mut byte) => panic!("{read:?}"),
            () = tokio::task::yield_now() => {}
        }
    };
    answered.await;
    there_and_back(&mut ours, &mut asking, 100).await;
}

#[tokio::test]
async fn a_cut_is_no_end() {
    let tls = tls();
    let (mut ours, theirs) = our_client(&tls).await;
    // Drops the connection below without a word of TLS.
    drop(theirs);
    let error = ours.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn what_is_wrong_with_the_certificate_ends_the_handshake_on_both_sides() {
    let (mut tls, other) = (tls(), tls());
    tls.client = other.client;
    let (near, far) = duplex(MIB);
    let (client, server) = tokio::join!(
        connect(&tls.client, name(), near),
        accept(&tls.server, &[], far)
    );
    let error = client.unwrap_err().downcast::<TlsError>().unwrap();
    assert!(
        matches!(
            error,
            TlsError::Handshake(rustls::Error::InvalidCertificate(_))
        ),
        "{error}"
    );
    let error = server.unwrap_err().downcast::<TlsError>().unwrap();
    assert!(
        matches!(error, TlsError::Handshake(rustls::Error::AlertReceived(_))),
        "{error}"
    );
}

#[tokio::test]
async fn older_versions_are_refused() {
    let mut tls = tls();
    let (near, far) = duplex(MIB);
    tls.server =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(tls.server.cert_resolver.clone());
    tls.client =
        rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(tls.roots.clone())
            .with_no_client_auth();
    let (client, server) = tokio::join!(
        connect(&tls.client, name(), near),
        accept(&tls.server, &[], far)
    );
    for end in [client, server] {
        let error = end.unwrap_err().downcast::<TlsError>().unwrap();
        assert_eq!(error, TlsError::Version);
    }
}

/// Types and contents of records.
type Said<'a> = &'a [(u8, &'a [u8])];

/// What our end makes of bytes that come right behind the handshake: sealed with the peer's key, or as they are.
async fn answer(sealed: Said<'_>, plain: &[u8]) -> (std::io::Error, Option<Vec<u8>>) {
    let (mut peer, mut ours) = both_ours(&tls()).await;
    let (records, out) = peer.records();
    for (kind, content) in sealed {
        records.put(*kind, content, out).unwrap();
    }
    out.put(plain);
    peer.flush().await.unwrap();
    let error = ours.read(&mut [0; 8]).await.unwrap_err();
    drop(ours);
    // What we said about it.
    let error_there = peer.read(&mut [0; 8]).await.unwrap_err();
    let alert = match error_there.downcast::<TlsError>() {
        Ok(TlsError::Alert(alert)) => Some(vec![alert]),
        _ => None,
    };
    (error, alert)
}

#[tokio::test]
async fn what_tls_forbids_is_refused_with_an_alert() {
    let long = vec![0; 16 * 1024 + 1];
    let update_and_more = [24, 0, 0, 1, 0, 24, 0, 0, 1, 0];
    let silent: Vec<(u8, &[u8])> = vec![(23, b""); 40];
    let cases: &[(Said<'_>, Fault)] = &[
        (&[(22, &[24, 0, 0, 1, 2])], Fault::Unreadable),
        (&[(22, &[24, 0, 0, 2, 0, 0])], Fault::Unreadable),
        (&[(22, &update_and_more)], Fault::Unexpected),
        // A ticket from a client, a message of the handshake, the start of one with something else behind it.
        (&[(22, &[4, 0, 0, 0])], Fault::Unexpected),
        (&[(22, &[1, 0, 0, 0])], Fault::Unexpected),
        (&[(22, &[24, 0]), (23, b"x")], Fault::Unexpected),
        (&[(22, &[24, 0]), (21, &[1, 0])], Fault::Unexpected),
        (&[(22, &[24, 255, 255, 255])], Fault::TooLong),
        (&[(22, b"")], Fault::Unexpected),
        (&[(21, &[2])], Fault::Unreadable),
        (&[(20, &[1])], Fault::Unexpected),
        (&[(0, b"")], Fault::Unexpected),
        (&[(23, &long)], Fault::TooLong),
        (&silent, Fault::Flood),
    ];
    for (sealed, fault) in cases {
        let (error, alert) = answer(sealed, b"").await;
        let error = error.downcast::<TlsError>().unwrap();
        assert_eq!(error, TlsError::Broken(*fault), "{sealed:?}");
        assert_eq!(alert, Some(vec![fault.alert()]), "{sealed:?}");
    }
    let (error, _) = answer(&[(21, &[2, 40])], b"").await;
    assert_eq!(error.downcast::<TlsError>().unwrap(), TlsError::Alert(40));
    // In the clear: an alert that anybody could have sent, a change of ciphers that has lost its way, an empty record, one
    // that nobody may send.
    for (plain, fault) in [
        (&[21, 3, 3, 0, 2, 1, 0][..], Fault::Unexpected),
        (&[20, 3, 3, 0, 1, 1], Fault::Unexpected),
        (&[23, 3, 3, 0, 16], Fault::BadRecord),
        (&[23, 3, 3, 0x41, 1], Fault::TooLong),
    ] {
        let (error, _) = answer(&[], plain).await;
        assert_eq!(
            error.downcast::<TlsError>().unwrap(),
            TlsError::Broken(fault)
        );
    }
}

#[tokio::test]
async fn a_cancelled_peer_is_heard_and_what_follows_an_end_is_not() {
    let (mut peer, mut ours) = both_ours(&tls()).await;
    let (records, out) = peer.records();
    for (kind, content) in [
        (23, &b"before"[..]),
        (21, &[1, 90]),
        (21, &[1, 0]),
        (23, b"after"),
    ] {
        records.put(kind, content, out).unwrap();
    }
    peer.flush().await.unwrap();
    let mut read = Vec::new();
    ours.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"before");
}

#[test]
fn aes_128_comes_first_and_nothing_is_missing() {
    let (ours, theirs) = (provider(), aws_lc_rs::default_provider());
    assert_eq!(ours.cipher_suites.len(), theirs.cipher_suites.len());
    let first = ours.cipher_suites[0].suite();
    assert_eq!(first, CipherSuite::TLS13_AES_128_GCM_SHA256);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the bytes are cut on their way, and whatever else is said in between.
    #[test]
    fn content_comes_out_as_it_went_in(
        writes in prop::collection::vec((0..3_u8, 1..40_000_usize), 1..12),
        hole in 1..70_000_usize,
        limit in 2..20_u64,
    ) {
        runtime().block_on(async {
            let tls = tls();
            let (near, far) = duplex(hole);
            let (client, server) = tokio::join!(
                connect(&tls.client, name(), near),
                accept(&tls.server, &[], far)
            );
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            client.records().0.limit_keys(limit);
            let total: usize = writes.iter().map(|(_, length)| length).sum();
            let sent = bytes(total);
            let writing = async {
                let mut rest = &sent[..];
                for (what, length) in &writes {
                    let (part, more) = rest.split_at(*length);
                    if *what == 0 {
                        let (records, out) = client.records();
                        records.ask_for_new_keys(out).unwrap();
                    }
                    client.write_all(part).await.unwrap();
                    if *what == 1 {
                        client.flush().await.unwrap();
                    }
                    rest = more;
                }
                client.shutdown().await.unwrap();
            };
            let reading = async {
                let mut read = Vec::new();
                server.read_to_end(&mut read).await.unwrap();
                read
            };
            let ((), read) = tokio::join!(writing, reading);
            assert!(read == sent, "changed on its way");
        });
    }

    /// One changed bit, and nothing comes out from there on.
    #[test]
    fn nothing_is_released_that_was_changed(at in 0..3000_usize, bit in 0..8_u32) {
        runtime().block_on(async {
            let (mut peer, mut ours) = both_ours(&tls()).await;
            let (records, out) = peer.records();
            let content = bytes(700);
            (0..4).for_each(|_| records.seal(&content, out).unwrap());
            let whole = out.rest().len();
            let at = at % whole;
            out.change(at, 1 << bit);
            peer.flush().await.unwrap();
            drop(peer);
            let mut read = Vec::new();
            let result = ours.read_to_end(&mut read).await;
            assert!(result.is_err(), "a changed record was taken");
            let intact = at / (whole / 4);
            assert!(read.len() <= intact * content.len());
            assert!(read.chunks(content.len()).all(|chunk| chunk == content));
        });
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_channel_binding_is_what_rustls_derives() {
    let label = crate::transport::EXPORTER_LABEL;
    for suite in suites() {
        let tls = tls_with(suite);
        let (ours, theirs) = our_client(&tls).await;
        let exported = theirs
            .get_ref()
            .1
            .export_keying_material([0; 32], label, Some(b""));
        assert_eq!(exported.unwrap(), ours.exporter());
        let (ours, theirs) = our_server(&tls).await;
        let exported = theirs
            .get_ref()
            .1
            .export_keying_material([0; 32], label, None);
        assert_eq!(exported.unwrap(), ours.exporter());
        let (client, server) = both_ours(&tls).await;
        assert_eq!(client.exporter(), server.exporter());
        assert_ne!(client.exporter(), ours.exporter());
    }
}
