//! Tokens and keys (`token`).

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bolero::check;
use model::{Grant, GrantLimits, GrantedEndpoint, Kind, Revision, UnixTime};
use token::{
    Binding, Claims, Expect, KeySet, LEEWAY, MAX_TOKEN_LEN, ProofKey, PublicKey, SigningKey,
    check_proof, verify,
};

use crate::{ITERATIONS, SLOW_ITERATIONS, recipe::Recipe};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn claims() -> Claims {
    let granted = |name: &str, kind| GrantedEndpoint {
        claim: "clm_1".parse().unwrap(),
        name: name.parse().unwrap(),
        kind,
    };
    Claims {
        issuer: "https://p.example".into(),
        audience: "https://p.example/edge".into(),
        subject: "agt_1".parse().unwrap(),
        account: "acc_1".parse().unwrap(),
        client: "adit".into(),
        id: "tok_1".parse().unwrap(),
        grant_id: "grt_1".parse().unwrap(),
        grant: Grant {
            endpoints: vec![
                granted("*.a.example", Kind::Http),
                granted("port:44001", Kind::Tcp),
            ],
            regions: vec!["eu".parse().unwrap()],
            limits: GrantLimits {
                streams: Some(10),
                sessions: None,
            },
        },
        issued: NOW,
        not_before: NOW,
        expires: NOW.plus(Duration::from_secs(600)),
        session_expires: NOW.plus(Duration::from_secs(3600)),
        revision: Revision(7),
        confirmation: Some("abc".into()),
    }
}

fn expect() -> Expect {
    Expect {
        issuer: claims().issuer,
        audience: claims().audience,
    }
}

fn key() -> (SigningKey, KeySet) {
    let key = SigningKey::generate("kid_1".parse().unwrap()).unwrap();
    let keys = [key.public().clone()].into_iter().collect();
    (key, keys)
}

/// Nobody without the key makes a token, whatever they change.
#[test]
fn changed_token() {
    let (key, keys) = key();
    let whole = key.sign(&claims()).unwrap().expose().to_owned();
    let other = SigningKey::generate("kid_1".parse().unwrap())
        .unwrap()
        .sign(&claims())
        .unwrap();
    let parts: Vec<&str> = whole.split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"none","kid":"kid_1"}"#);
    let unsigned = format!("{none}.{}.", parts[1]);
    let seeds = [
        whole.as_str(),
        &unsigned,
        other.expose(),
        parts[0],
        parts[1],
        parts[2],
        "..",
        "",
    ];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let text = recipe.text(&seeds);
            match verify(&text, &keys, &expect(), NOW) {
                Ok(read) => assert!(text == whole && read == claims(), "{text}"),
                Err(_) => assert_ne!(text, whole),
            }
        });
}

/// Whatever the issuer signs is read or refused, and never beyond its times or for somebody else.
#[test]
fn signed_claims() {
    let (key, keys) = key();
    let pair = Ed25519KeyPair::from_pkcs8(&key.to_pkcs8()).unwrap();
    let token = key.sign(&claims()).unwrap();
    let decoded = |at: usize| {
        URL_SAFE_NO_PAD
            .decode(token.expose().split('.').nth(at).unwrap())
            .unwrap()
    };
    let (headers, payloads) = ([decoded(0)], [decoded(1)]);
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Option<Recipe>, Recipe)>()
        .for_each(|(header, payload)| {
            let header = header
                .as_ref()
                .map_or_else(|| headers[0].clone(), |recipe| recipe.bytes(&headers));
            let payload = payload.bytes(&payloads);
            let message = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header),
                URL_SAFE_NO_PAD.encode(payload)
            );
            let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
            let token = format!("{message}.{signature}");
            let Ok(read) = verify(&token, &keys, &expect(), NOW) else {
                return;
            };
            assert!(token.len() <= MAX_TOKEN_LEN);
            assert_eq!(
                (read.issuer.clone(), read.audience.clone()),
                (expect().issuer, expect().audience)
            );
            assert!(read.expires > NOW && read.session_expires >= read.expires);
            assert!(read.not_before <= NOW.plus(LEEWAY) && read.issued <= NOW.plus(LEEWAY));
            let again = key
                .sign(&read)
                .map(|token| verify(token.expose(), &keys, &expect(), NOW));
            assert!(
                again.is_err() || again == Ok(Ok(read)),
                "what was read can be signed and read again"
            );
        });
}

#[test]
fn jwk() {
    let (key, _) = key();
    let seeds = [serde_json::to_vec(key.public()).unwrap()];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let Ok(read) = serde_json::from_slice::<PublicKey>(&recipe.bytes(&seeds)) else {
                return;
            };
            let again = serde_json::to_value(&read).unwrap();
            assert_eq!(serde_json::from_value::<PublicKey>(again).unwrap(), read);
            // A key that is no point of the curve verifies nothing.
            let token = key.sign(&claims()).unwrap();
            let keys = [read.clone()].into_iter().collect();
            assert!(
                read == *key.public() || verify(token.expose(), &keys, &expect(), NOW).is_err()
            );
        });
}

#[test]
fn private_key() {
    let (key, _) = key();
    let seeds = [key.to_pkcs8().to_vec()];
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let Ok(read) = SigningKey::from_pkcs8("kid_1".parse().unwrap(), &recipe.bytes(&seeds))
            else {
                return;
            };
            let keys = [read.public().clone()].into_iter().collect();
            let token = read.sign(&claims()).unwrap();
            assert_eq!(verify(token.expose(), &keys, &expect(), NOW), Ok(claims()));
        });
}

/// Nobody without the key makes a proof, whatever they change.
#[test]
fn changed_proof() {
    let key = ProofKey::generate().unwrap();
    let here = Binding::Exporter(&[7; 32]);
    let whole = key.prove("a.b.c", here).unwrap();
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<(usize, u8, Vec<u8>)>()
        .for_each(|(at, byte, junk)| {
            let mut changed = whole.clone().into_bytes();
            let at = at % changed.len();
            changed[at] = *byte;
            let held = |text: &str| check_proof(text, &key.thumbprint(), "a.b.c", here);
            if let Ok(text) = std::str::from_utf8(&changed)
                && text != whole
            {
                assert!(held(text).is_err());
            }
            assert!(held(&String::from_utf8_lossy(junk)).is_err());
        });
}
