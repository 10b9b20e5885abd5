//! Tokens that somebody put together by hand.

use super::*;

fn refused(token: &str, key: &SigningKey) -> TokenError {
    verify(token, &set(key), &expect(), NOW).unwrap_err()
}

/// Signs parts that are JSON by intention only.
fn forge_text(key: &SigningKey, header: &str, payload: &str) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    sign(key, message)
}

fn sign(key: &SigningKey, message: String) -> String {
    let encoding = EncodingKey::from_ed_der(&key.to_pkcs8());
    let signature = crypto::sign(message.as_bytes(), &encoding, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

/// `text`, an object, with another member at its end.
fn with_member(text: &Value, member: &str) -> String {
    format!("{},{member}}}", text.to_string().trim_end_matches('}'))
}

#[test]
fn a_changed_payload_or_signature_is_refused() {
    let key = key();
    let token = key.sign(&claims()).unwrap().expose().to_owned();
    let [head, _, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let mut greedy = payload();
    greedy["exp"] = json!(4_000_000_000_u64);
    let changed = format!(
        "{head}.{}.{signature}",
        URL_SAFE_NO_PAD.encode(greedy.to_string())
    );
    assert_eq!(refused(&changed, &key), TokenError::Signature);

    let message = token.rsplit_once('.').unwrap().0;
    let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
    let short = &signature[..signature.len() - 2];
    let padded = format!("{signature}==");
    for signature in ["", "!", short, &padded, &zeros] {
        assert_eq!(
            refused(&format!("{message}.{signature}"), &key),
            TokenError::Signature,
            "{signature}"
        );
    }
}

#[test]
fn nothing_that_a_forged_payload_says_is_looked_at() {
    let key = key();
    let mut expired = payload();
    expired["exp"] = json!(1);
    for payload in [expired.to_string(), "not even JSON".into()] {
        let forged = forge_text(&super::key(), &header().to_string(), &payload);
        assert_eq!(refused(&forged, &key), TokenError::Signature);
    }
}

#[test]
fn members_that_come_twice_are_refused() {
    let key = key();
    for member in [r#""alg":"EdDSA""#, r#""kid":"kid_1""#, r#""typ":"at+jwt""#] {
        let token = forge_text(
            &key,
            &with_member(&header(), member),
            &payload().to_string(),
        );
        assert_eq!(refused(&token, &key), NOT_JOSE, "{member}");
    }
    for member in [
        r#""exp":4000000000"#,
        r#""aud":"x""#,
        r#""authorization_details":[]"#,
    ] {
        let token = forge_text(
            &key,
            &header().to_string(),
            &with_member(&payload(), member),
        );
        assert!(
            matches!(refused(&token, &key), TokenError::Claims(_)),
            "{member}"
        );
    }
}

#[test]
fn unknown_members_change_nothing() {
    let key = key();
    let header = with_member(
        &header(),
        r#""jwk":{"kty":"oct","k":"AA"},"jku":"https://evil.example","b64":true"#,
    );
    let payload = with_member(&payload(), r#""scope":"*","admin":true"#);
    let token = forge_text(&key, &header, &payload);
    assert_eq!(verify(&token, &set(&key), &expect(), NOW), Ok(claims()));
}

#[test]
fn what_has_not_the_form_of_a_token_is_refused() {
    let key = key();
    let whole = key.sign(&claims()).unwrap().expose().to_owned();
    for text in [
        "",
        ".",
        "..",
        "a",
        "a.b",
        "a.b.c",
        "....",
        "é.é.é",
        &whole[..30],
    ] {
        assert!(
            matches!(refused(text, &key), TokenError::Malformed(_)),
            "{text}"
        );
    }
    for header in [
        "",
        "[]",
        "null",
        "7",
        "{",
        r#"{"alg":{}}"#,
        r#"{"alg":"EdDSA"} x"#,
        "\u{0}",
    ] {
        let token = forge_text(&key, header, &payload().to_string());
        assert_eq!(refused(&token, &key), NOT_JOSE, "{header:?}");
    }
    for payload in ["", "[]", "null", "{}", "{", &"[".repeat(5000)] {
        let token = forge_text(&key, &header().to_string(), payload);
        assert!(
            matches!(refused(&token, &key), TokenError::Claims(_)),
            "{payload:.9}"
        );
    }
    let four = sign(&key, whole.rsplit_once('.').unwrap().0.to_owned() + ".e30");
    assert_eq!(
        refused(&four, &key),
        TokenError::Malformed("a part is not base64url")
    );
}

#[test]
fn a_header_without_its_members_is_refused() {
    let key = key();
    for (member, error) in [
        ("typ", TokenError::Type),
        ("alg", TokenError::Algorithm),
        ("kid", TokenError::Malformed("its header has no kid")),
    ] {
        let mut header = header();
        header.as_object_mut().unwrap().remove(member);
        assert_eq!(refused(&forge(&key, &header, &payload()), &key), error);
    }
}

#[test]
fn a_payload_without_its_members_is_refused() {
    let key = key();
    for member in [
        "iss",
        "aud",
        "sub",
        "account",
        "client_id",
        "jti",
        "grant",
        "iat",
        "nbf",
        "exp",
        "session_exp",
    ] {
        let mut payload = payload();
        payload.as_object_mut().unwrap().remove(member);
        let error = refused(&forge(&key, &header(), &payload), &key);
        assert!(matches!(error, TokenError::Claims(_)), "{member}: {error}");
    }
}

#[test]
fn each_time_counts_by_itself() {
    let key = key();
    let future = NOW.plus(LEEWAY).as_secs() + 1;
    for (member, value, error) in [
        ("nbf", future, TokenError::NotYetValid),
        ("iat", future, TokenError::NotYetValid),
        ("exp", NOW.as_secs(), TokenError::Expired),
        ("exp", 0, TokenError::Expired),
    ] {
        let mut payload = payload();
        payload[member] = json!(value);
        assert_eq!(
            refused(&forge(&key, &header(), &payload), &key),
            error,
            "{member} {value}"
        );
    }
    for value in [
        json!(-1),
        json!(1.5),
        json!("1800000000"),
        json!(1e300),
        Value::Null,
    ] {
        let mut payload = payload();
        payload["exp"] = value.clone();
        let error = refused(&forge(&key, &header(), &payload), &key);
        assert!(matches!(error, TokenError::Claims(_)), "{value}: {error}");
    }
}

#[test]
fn a_grant_that_cannot_be_read_is_no_smaller_grant() {
    let key = key();
    for (member, value) in [
        ("identifier", json!("*.*.example")),
        ("identifier", json!("port:0")),
        ("identifier", json!("127.0.0.1")),
        ("claim", json!("")),
        ("claim", Value::Null),
        ("kinds", json!("http")),
    ] {
        let mut payload = payload();
        payload["authorization_details"][0][member] = value;
        let error = refused(&forge(&key, &header(), &payload), &key);
        assert!(matches!(error, TokenError::Claims(_)), "{member}: {error}");
    }
}

#[test]
fn actions_and_kinds_of_the_future_grant_nothing() {
    let key = key();
    for (member, value) in [("actions", json!(["look"])), ("kinds", json!(["smtp"]))] {
        let mut payload = payload();
        payload["authorization_details"][0][member] = value;
        let read = verify(
            &forge(&key, &header(), &payload),
            &set(&key),
            &expect(),
            NOW,
        )
        .unwrap();
        assert_eq!(read.grant.endpoints, [], "{member}");
    }
}

proptest! {
    #[test]
    fn any_claims_are_read_back(
        endpoints in prop::collection::vec((any_name(), any_kind(), "[a-z0-9_]{1,30}"), 0..12),
        regions in prop::collection::vec("[a-z0-9-]{1,8}", 0..4),
        streams in any::<Option<u32>>(),
        confirmation in prop::option::of("[A-Za-z0-9_-]{43}"),
        revision in any::<u64>(),
    ) {
        let granted = |(name, kind, claim): (String, Kind, String)| GrantedEndpoint {
            claim: claim.parse().unwrap(),
            name: name.parse().unwrap(),
            kind,
        };
        let mut wanted = claims();
        wanted.grant.endpoints = endpoints.into_iter().map(granted).collect();
        wanted.grant.regions = regions.iter().map(|region| region.parse().unwrap()).collect();
        wanted.grant.limits.streams = streams;
        wanted.confirmation = confirmation;
        wanted.revision = Revision(revision);
        let key = key();
        let token = key.sign(&wanted).unwrap();
        prop_assert_eq!(verify(token.expose(), &set(&key), &expect(), NOW), Ok(wanted));
    }

    #[test]
    fn no_signed_garbage_panics(header in ".{0,60}", payload in ".{0,200}") {
        let key = key();
        let _ = refused(&forge_text(&key, &header, &payload), &key);
    }
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(\\*\\.)?[a-z]{1,9}\\.example",
        (1_u16..).prop_map(|port| format!("port:{port}"))
    ]
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Http),
        Just(Kind::Tls),
        Just(Kind::Tcp),
        Just(Kind::Udp)
    ]
}
