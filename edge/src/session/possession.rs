//! Does the agent hold the key that its token is bound to? Over our own TLS the hello answers that at once; elsewhere the
//! edge asks with a nonce.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use token::{Binding, Claims, check_proof};
use tokio::time::timeout;
use tunnel::{
    Code, Transport,
    limits::HELLO_WITHIN,
    message::{AgentMessage, EdgeMessage},
};

use super::{
    admit::Refusal,
    open::{Desk, Greeted},
};
use crate::metrics::Hit;

/// Checks the hello's proof, or asks for one. A token that is bound to nothing needs none.
pub(super) async fn check(
    desk: &Desk,
    transport: &dyn Transport,
    greeted: &mut Greeted,
    claims: &Claims,
) -> Result<(), Refusal> {
    let Some(key) = &claims.confirmation else {
        return Ok(());
    };
    let token = greeted.hello.token.clone();
    let held = |proof: &str, binding| check_proof(proof, key, token.expose(), binding);
    if let (Some(proof), Some(exporter)) = (&greeted.hello.proof, transport.exporter()) {
        return held(proof.expose(), Binding::Exporter(&exporter))
            .map_err(|error| Refusal::new(Code::Auth, error.to_string()));
    }
    let nonce = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    let proof = challenge(desk, greeted, &nonce).await?;
    // The name that the agent came by is one of ours, or the nonce was asked for by somebody else.
    let ours = desk.names.iter().map(|edge| Binding::Nonce {
        nonce: &nonce,
        edge: edge.as_str(),
    });
    let mut last = None;
    for binding in ours {
        match held(&proof, binding) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    let reason = last.map_or_else(String::new, |error| error.to_string());
    Err(Refusal::new(Code::Auth, reason))
}

async fn challenge(desk: &Desk, greeted: &mut Greeted, nonce: &str) -> Result<String, Refusal> {
    let challenge = EdgeMessage::Challenge {
        nonce: nonce.into(),
    };
    let asking = async {
        greeted.writer.send(&challenge).await?;
        greeted.reader.next::<AgentMessage>().await
    };
    match timeout(HELLO_WITHIN, asking).await {
        Ok(Ok(Some(AgentMessage::Proof { proof }))) => Ok(proof.expose().to_owned()),
        Ok(Ok(_)) => Err(Refusal::new(
            Code::Auth,
            "the token is bound to a key: a challenge is answered with a proof",
        )),
        Ok(Err(error)) => Err(Refusal::new(Code::Protocol, error.to_string())),
        Err(_) => {
            desk.metrics.hit(Hit::HelloTime);
            Err(Refusal::new(
                Code::Idle,
                "a challenge is answered within five seconds",
            ))
        }
    }
}
