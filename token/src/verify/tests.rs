use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use model::{Grant, GrantedEndpoint, Kind, Revision};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{PublicKey, SigningKey};

const NOT_JOSE: TokenError = TokenError::Malformed("its header is not a JOSE header");
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

pub(crate) fn claims() -> Claims {
    let endpoint = GrantedEndpoint {
        claim: "clm_0123456789abcdefghjkmnpq".parse().unwrap(),
        name: "brave-little-otter.eu.tunnels.example.com".parse().unwrap(),
        kind: Kind::Http,
    };
    Claims {
        issuer: "https://provider.example".into(),
        audience: "https://provider.example/edge".into(),
        subject: "agt_0123456789abcdefghjkmnpq".parse().unwrap(),
        account: "acc_0123456789abcdefghjkmnpq".parse().unwrap(),
        client: "adit".into(),
        id: "tok_0123456789abcdefghjkmnpq".parse().unwrap(),
        grant_id: "grt_0123456789abcdefghjkmnpq".parse().unwrap(),
        grant: Grant {
            endpoints: vec![endpoint],
            ..Grant::default()
        },
        issued: NOW,
        not_before: NOW,
        expires: NOW.plus(Duration::from_secs(600)),
        session_expires: NOW.plus(Duration::from_secs(12 * 3600)),
        revision: Revision(77),
        confirmation: None,
    }
}

fn expect() -> Expect {
    Expect {
        issuer: claims().issuer,
        audience: claims().audience,
    }
}

fn key() -> SigningKey {
    SigningKey::generate("kid_1".parse().unwrap()).unwrap()
}

fn set(key: &SigningKey) -> KeySet {
    [key.public().clone()].into_iter().collect()
}

/// A token with any header and payload, signed with `key` as EdDSA.
fn forge(key: &SigningKey, header: &Value, payload: &Value) -> String {
    let message = message(header, payload);
    let encoding = EncodingKey::from_ed_der(&key.to_pkcs8());
    format!(
        "{message}.{}",
        crypto::sign(message.as_bytes(), &encoding, Algorithm::EdDSA).unwrap()
    )
}

fn message(header: &Value, payload: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(payload))
}

fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "kid_1"})
}

fn payload() -> Value {
    serde_json::to_value(Payload::from(&claims())).unwrap()
}

#[test]
fn what_is_signed_is_read_back() {
    let key = key();
    let token = key.sign(&claims()).unwrap();
    assert_eq!(
        verify(token.expose(), &set(&key), &expect(), NOW),
        Ok(claims())
    );
    assert!(!format!("{token:?} {key:?}").contains(token.expose()));
}

#[test]
fn a_token_for_one_endpoint_fits_an_ssh_password() {
    let token = key().sign(&claims()).unwrap();
    assert!(
        token.expose().len() < 1000,
        "{} characters",
        token.expose().len()
    );
}

#[test]
fn times_bound_it() {
    let key = key();
    let token = key.sign(&claims()).unwrap();
    let at = |now| verify(token.expose(), &set(&key), &expect(), now).map(|_| ());
    assert_eq!(at(claims().expires.minus(Duration::from_secs(1))), Ok(()));
    assert_eq!(at(claims().expires), Err(TokenError::Expired));
    assert_eq!(at(NOW.minus(LEEWAY)), Ok(()));
    assert_eq!(
        at(NOW.minus(LEEWAY + Duration::from_secs(1))),
        Err(TokenError::NotYetValid)
    );
}

#[test]
fn each_forgery_is_refused_for_its_own_reason() {
    let key = key();
    let with = |header: Value, payload: Value| {
        verify(&forge(&key, &header, &payload), &set(&key), &expect(), NOW)
            .map(|_| ())
            .unwrap_err()
    };
    let changed = |mut base: Value, member: &str, value: Value| {
        base[member] = value;
        base
    };
    let headers = [
        ("typ", json!("JWT"), TokenError::Type),
        ("alg", json!("ES256"), TokenError::Algorithm),
        ("alg", json!("none"), TokenError::Algorithm),
        (
            "kid",
            json!("kid_2"),
            TokenError::UnknownKey("kid_2".parse().unwrap()),
        ),
        (
            "kid",
            Value::Null,
            TokenError::Malformed("its header has no kid"),
        ),
        ("kid", json!("a/b"), NOT_JOSE),
        ("kid", json!(7), NOT_JOSE),
        ("typ", Value::Null, NOT_JOSE),
        ("alg", json!("EdDSA "), TokenError::Algorithm),
        ("alg", json!("eddsa"), TokenError::Algorithm),
        ("crit", json!(["exp"]), TokenError::Critical),
        ("crit", json!([]), TokenError::Critical),
        ("crit", Value::Null, TokenError::Critical),
    ];
    for (member, value, error) in headers {
        assert_eq!(with(changed(header(), member, value), payload()), error);
    }
    let payloads = [
        (
            "iss",
            json!("https://elsewhere.example"),
            TokenError::Issuer,
        ),
        (
            "aud",
            json!("https://provider.example"),
            TokenError::Audience,
        ),
        ("aud", json!(["a", "b"]), TokenError::Audience),
    ];
    for (member, value, error) in payloads {
        assert_eq!(with(header(), changed(payload(), member, value)), error);
    }
    for (member, value) in [
        ("exp", json!("soon")),
        ("sub", json!("a b")),
        ("session_exp", json!(1)),
    ] {
        assert!(
            matches!(
                with(header(), changed(payload(), member, value)),
                TokenError::Claims(_)
            ),
            "{member}"
        );
    }
}

#[test]
fn none_and_a_public_key_as_hmac_secret_are_refused() {
    let key = key();
    let unsigned = message(
        &json!({"typ": "at+jwt", "alg": "none", "kid": "kid_1"}),
        &payload(),
    );
    let result = verify(&format!("{unsigned}."), &set(&key), &expect(), NOW);
    assert_eq!(result, Err(TokenError::Algorithm));
    let confused = message(
        &json!({"typ": "at+jwt", "alg": "HS256", "kid": "kid_1"}),
        &payload(),
    );
    let hmac = EncodingKey::from_secret(key.public().bytes());
    let signature = crypto::sign(confused.as_bytes(), &hmac, Algorithm::HS256).unwrap();
    let result = verify(
        &format!("{confused}.{signature}"),
        &set(&key),
        &expect(),
        NOW,
    );
    assert_eq!(result, Err(TokenError::Algorithm));
}

#[test]
fn several_audiences_may_hold_ours_and_other_details_are_left_alone() {
    let key = key();
    let mut payload = payload();
    payload["aud"] = json!(["x", claims().audience]);
    payload["authorization_details"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "payment", "amount": 7}));
    let token = forge(&key, &header(), &payload);
    assert_eq!(verify(&token, &set(&key), &expect(), NOW), Ok(claims()));
}

#[test]
fn another_providers_key_of_the_same_name_is_refused() {
    let token = key().sign(&claims()).unwrap();
    assert_eq!(
        verify(token.expose(), &set(&key()), &expect(), NOW),
        Err(TokenError::Signature)
    );
}

#[test]
fn a_jwk_must_be_one_of_ours() {
    let good = serde_json::to_value(key().public()).unwrap();
    assert!(serde_json::from_value::<PublicKey>(good.clone()).is_ok());
    for (member, value) in [
        ("kty", "EC"),
        ("crv", "P-256"),
        ("alg", "ES256"),
        ("use", "enc"),
        ("x", "AAAA"),
        ("x", "?"),
    ] {
        let mut bad = good.clone();
        bad[member] = json!(value);
        assert!(
            serde_json::from_value::<PublicKey>(bad).is_err(),
            "{member}"
        );
    }
}

#[test]
fn an_oversized_token_is_neither_made_nor_read() {
    let key = key();
    let mut many = claims();
    many.grant.endpoints = vec![many.grant.endpoints[0].clone(); 100];
    assert!(matches!(key.sign(&many), Err(crate::SignError::TooLong(_))));
    assert_eq!(
        verify(&"a".repeat(MAX_TOKEN_LEN + 1), &set(&key), &expect(), NOW),
        Err(TokenError::TooLong)
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,300}") {
        let _ = verify(&text, &KeySet::default(), &expect(), NOW);
    }

    #[test]
    fn no_changed_character_passes(at in 0_usize..900, to in "[A-Za-z0-9_-]") {
        let key = key();
        let token = key.sign(&claims()).unwrap().expose().to_owned();
        let at = at % token.len();
        let mut changed = token.clone();
        changed.replace_range(at..=at, &to);
        // Base64 can spell the last bits in several ways; the decoder refuses all but one.
        prop_assume!(changed != token);
        prop_assert!(verify(&changed, &set(&key), &expect(), NOW).is_err());
    }
}

mod hostile;
