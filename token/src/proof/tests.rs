use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "a.b.c";
const HERE: Binding<'_> = Binding::Exporter(&[7; 32]);
const NONCE: Binding<'_> = Binding::Nonce {
    nonce: "n",
    edge: "edge.example",
};

fn proof(key: &ProofKey, binding: Binding<'_>) -> String {
    key.prove(TOKEN, binding).unwrap()
}

/// With another header or payload, signed by the same key.
fn forged(key: &ProofKey, header: serde_json::Value, payload: serde_json::Value) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(payload));
    let signing = EncodingKey::from_ed_der(&key.pkcs8);
    let signature = crypto::sign(message.as_bytes(), &signing, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_proof_holds_for_its_key_token_and_connection_alone() {
    let (key, other) = (ProofKey::generate().unwrap(), ProofKey::generate().unwrap());
    let bound = key.thumbprint();
    assert!(is_thumbprint(&bound) && bound != other.thumbprint());
    for binding in [HERE, NONCE] {
        let proof = proof(&key, binding);
        assert!(proof.len() < MAX_PROOF_LEN / 2);
        assert_eq!(check_proof(&proof, &bound, TOKEN, binding), Ok(()));
        let wrong = check_proof(&proof, &other.thumbprint(), TOKEN, binding);
        assert_eq!(wrong, Err(ProofError::Key));
        let wrong = check_proof(&proof, &bound, "a.b.d", binding);
        assert_eq!(wrong, Err(ProofError::Token));
        for elsewhere in [
            Binding::Exporter(&[8; 32]),
            Binding::Nonce {
                nonce: "m",
                edge: "edge.example",
            },
            Binding::Nonce {
                nonce: "n",
                edge: "evil.example",
            },
        ] {
            let wrong = check_proof(&proof, &bound, TOKEN, elsewhere);
            assert_eq!(wrong, Err(ProofError::Connection));
        }
    }
    let of_the_connection = proof(&key, HERE);
    let wrong = check_proof(&of_the_connection, &bound, TOKEN, NONCE);
    assert_eq!(wrong, Err(ProofError::Connection));
}

#[test]
fn a_key_of_somebody_else_in_the_header_does_not_help() {
    let (key, thief) = (ProofKey::generate().unwrap(), ProofKey::generate().unwrap());
    let payload = serde_json::to_value(Payload::new(TOKEN, HERE)).unwrap();
    // The thief names the right key, and signs with the own one.
    let header = serde_json::json!({"typ": TYPE, "alg": "EdDSA", "jwk": key.jwk});
    let proof = forged(&thief, header, payload.clone());
    let checked = check_proof(&proof, &key.thumbprint(), TOKEN, HERE);
    assert_eq!(checked, Err(ProofError::Signature));
    for header in [
        serde_json::json!({"typ": "at+jwt", "alg": "EdDSA", "jwk": key.jwk}),
        serde_json::json!({"typ": TYPE, "alg": "none", "jwk": key.jwk}),
        serde_json::json!({"typ": TYPE, "alg": "HS256", "jwk": key.jwk}),
        serde_json::json!({"typ": TYPE, "alg": "EdDSA"}),
    ] {
        let proof = forged(&key, header.clone(), payload.clone());
        let checked = check_proof(&proof, &key.thumbprint(), TOKEN, HERE);
        assert!(matches!(checked, Err(ProofError::Malformed(_))), "{header}");
    }
}

#[test]
fn a_proof_of_both_bindings_at_once_is_none() {
    let key = ProofKey::generate().unwrap();
    let header = serde_json::json!({"typ": TYPE, "alg": "EdDSA", "jwk": key.jwk});
    let mut payload = Payload::new(TOKEN, HERE);
    payload.nonce = Some("n".into());
    let proof = forged(&key, header, serde_json::to_value(payload).unwrap());
    let checked = check_proof(&proof, &key.thumbprint(), TOKEN, HERE);
    assert_eq!(checked, Err(ProofError::Connection));
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    let jwk = Jwk {
        crv: "Ed25519".into(),
        kty: "OKP".into(),
        x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
        y: None,
    };
    // Appendix A.3.
    let expected = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    assert_eq!(jwk.thumbprint(), expected);
}

#[test]
fn a_browser_proves_with_p_256() {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = Jwk {
        crv: "P-256".into(),
        kty: "EC".into(),
        x: URL_SAFE_NO_PAD.encode(x),
        y: Some(URL_SAFE_NO_PAD.encode(y)),
    };
    let header = serde_json::json!({"typ": TYPE, "alg": "ES256", "jwk": jwk});
    let payload = serde_json::to_string(&Payload::new(TOKEN, NONCE)).unwrap();
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = pair.sign(&random, message.as_bytes()).unwrap();
    let proof = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    let checked = check_proof(&proof, &jwk.thumbprint(), TOKEN, NONCE);
    assert_eq!(checked, Ok(()));
}

proptest! {
    #[test]
    fn nothing_else_is_a_proof(text in "[ -~]{0,200}", at: usize, byte: u8) {
        let key = ProofKey::generate().unwrap();
        let bound = key.thumbprint();
        prop_assert!(check_proof(&text, &bound, TOKEN, HERE).is_err());
        let right = proof(&key, HERE);
        let mut bytes = right.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes)
            && changed != right
        {
            prop_assert!(check_proof(&changed, &bound, TOKEN, HERE).is_err());
        }
    }
}
