//! Tokens that are bound to a key: only who holds it gets in, and only on the connection that it proves it for.

use model::{Endpoint, Kind, Sharing};
use token::{Binding, ProofKey};
use tokio::io::{ReadHalf, WriteHalf};
use tunnel::{
    Code, ControlReader, ControlWriter, Exporter, Secret, Stream, TransportKind,
    message::{AgentMessage, EdgeMessage, Hello},
};

use super::{
    agent::{ALL, Connected, connect},
    bed::{Bed, EDGE, hello, within},
};

struct Line {
    connected: Connected,
    reader: ControlReader<ReadHalf<Stream>>,
    writer: ControlWriter<WriteHalf<Stream>>,
}

impl Line {
    async fn open(bed: &Bed, kind: TransportKind) -> Self {
        let connected = connect(bed, kind).await;
        let (read, write) = tokio::io::split(connected.transport.open().await.unwrap());
        Self {
            connected,
            reader: ControlReader::new(read),
            writer: ControlWriter::new(write),
        }
    }

    async fn say(&mut self, message: AgentMessage) -> EdgeMessage {
        self.writer.send(&message).await.unwrap();
        within(self.reader.next()).await.unwrap().unwrap()
    }

    fn exporter(&self) -> Exporter {
        self.connected.transport.exporter().unwrap()
    }
}

/// A token that is bound to `key`.
async fn bound(bed: &Bed, host: &Endpoint, key: &ProofKey) -> Secret {
    let mut claims = bed.claims(&[host]).await;
    claims.confirmation = Some(key.thumbprint());
    bed.sign(&claims)
}

fn prove(key: &ProofKey, token: &Secret, binding: Binding<'_>) -> Secret {
    key.prove(token.expose(), binding).unwrap().into()
}

fn with_proof(token: &Secret, proof: Secret) -> AgentMessage {
    AgentMessage::Hello(Hello {
        proof: Some(proof),
        ..hello(token.clone())
    })
}

fn refused(answer: &EdgeMessage) -> Code {
    match answer {
        EdgeMessage::Error(error) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_proof_counts_on_its_own_connection_only() {
    let bed = Bed::start().await;
    let host = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let (key, thief) = (ProofKey::generate().unwrap(), ProofKey::generate().unwrap());
    let token = bound(&bed, &host, &key).await;
    let mut first = Line::open(&bed, TransportKind::Quic).await;
    let proof = prove(&key, &token, Binding::Exporter(&first.exporter()));
    let answer = first.say(with_proof(&token, proof.clone())).await;
    assert!(matches!(answer, EdgeMessage::Welcome(_)), "{answer:?}");
    // The whole hello, said again by somebody who got hold of it.
    let mut second = Line::open(&bed, TransportKind::Quic).await;
    assert_eq!(
        refused(&second.say(with_proof(&token, proof)).await),
        Code::Auth
    );
    let mut third = Line::open(&bed, TransportKind::Quic).await;
    let own = prove(&thief, &token, Binding::Exporter(&third.exporter()));
    assert_eq!(
        refused(&third.say(with_proof(&token, own)).await),
        Code::Auth
    );
}

#[tokio::test]
async fn who_cannot_read_the_exporter_answers_a_nonce() {
    for kind in ALL {
        let bed = Bed::start().await;
        let host = bed
            .claim("a.localhost", Kind::Http, Sharing::Exclusive)
            .await;
        let (key, thief) = (ProofKey::generate().unwrap(), ProofKey::generate().unwrap());
        let token = bound(&bed, &host, &key).await;
        let cases: [(&ProofKey, &str, Option<Code>); 3] = [
            (&key, EDGE, None),
            (&thief, EDGE, Some(Code::Auth)),
            // Somebody in between asked for the proof under a name of their own.
            (&key, "evil.example", Some(Code::Auth)),
        ];
        for (key, edge, code) in cases {
            let mut line = Line::open(&bed, kind).await;
            let answer = line.say(AgentMessage::Hello(hello(token.clone()))).await;
            let EdgeMessage::Challenge { nonce } = answer else {
                panic!("no challenge: {answer:?}")
            };
            let nonce = Binding::Nonce {
                nonce: &nonce,
                edge,
            };
            let proof = prove(key, &token, nonce);
            let answer = line.say(AgentMessage::Proof { proof }).await;
            match code {
                None => assert!(matches!(answer, EdgeMessage::Welcome(_)), "{answer:?}"),
                Some(code) => assert_eq!(refused(&answer), code, "{kind} {edge}"),
            }
        }
    }
}

#[tokio::test]
async fn a_session_is_not_renewed_with_a_token_of_another_key() {
    let bed = Bed::start().await;
    let host = bed
        .claim("a.localhost", Kind::Http, Sharing::Exclusive)
        .await;
    let (key, other) = (ProofKey::generate().unwrap(), ProofKey::generate().unwrap());
    let token = bound(&bed, &host, &key).await;
    let mut line = Line::open(&bed, TransportKind::Quic).await;
    let proof = prove(&key, &token, Binding::Exporter(&line.exporter()));
    line.say(with_proof(&token, proof)).await;
    let token = bound(&bed, &host, &key).await;
    let answer = line.say(AgentMessage::Token { token }).await;
    assert!(matches!(answer, EdgeMessage::Welcome(_)), "{answer:?}");
    let token = bound(&bed, &host, &other).await;
    let answer = line.say(AgentMessage::Token { token }).await;
    assert_eq!(refused(&answer), Code::Auth);
}
