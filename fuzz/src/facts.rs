//! Keys, facts and sealed values (`store`).

use bolero::check;
use bytes::Bytes;
use model::Revision;
use store::{Entry, Envelope, Fact, FactKey, Key, KeyEncryptionKey, Prefix, Range, SealedParts};

use crate::{ITERATIONS, recipe::Recipe};

const KEYS: [&str; 12] = [
    "public/edge/e1",
    "public/placement/e1/s1",
    "public/endpoint/host/api.alice.example",
    "public/endpoint/host/*.alice.example",
    "public/endpoint/port/44001",
    "public/jwks/kid_1",
    "public/revocation/token/tok_1",
    "public/revocation/grant/grt_1",
    "public/revocation/claim/clm_1",
    "public/revocation/account/acc_1",
    "account/acc_1/profile",
    "secret/signing-key/kid_1",
];

const FOLDERS: [&str; 4] = [
    "public/",
    "public/endpoint/",
    "public/placement/e1/",
    "account/acc_1/",
];

/// A key and what stands there, on two lines.
const ENTRIES: [&str; 8] = [
    "public/edge/e1\n{\"id\":\"e1\",\"region\":\"local\",\"url\":\"https://x\",\"draining\":false,\"started\":1}",
    "public/placement/e1/s1\n{\"edge\":\"e1\",\"session\":\"s1\",\"agent\":\"a1\",\"endpoints\":[\"c1\"],\"transport\":\"quic\",\"since\":1}",
    "public/endpoint/host/a.example\n{\"claim\":\"c1\",\"account\":\"acc_1\",\"name\":\"a.example\",\"kind\":\"http\",\"created\":1}",
    "public/endpoint/host/*.a.example\n{\"claim\":\"c1\",\"account\":\"acc_1\",\"name\":\"*.a.example\",\"kind\":\"tls\",\"regions\":[\"eu\"],\"created\":1}",
    "public/endpoint/port/44001\n{\"claim\":\"c1\",\"account\":\"acc_1\",\"name\":\"port:44001\",\"kind\":\"tcp\",\"sharing\":\"replicas\",\"created\":1}",
    "public/jwks/kid_1\n{\"kty\":\"OKP\",\"kid\":\"kid_1\",\"x\":\"AAAA\"}",
    "public/revocation/grant/grt_1\n{\"what\":\"grant\",\"id\":\"grt_1\",\"at\":1,\"until\":2}",
    "public/revocation/claim/clm_1\n{\"what\":\"claim\",\"id\":\"clm_1\",\"at\":1,\"until\":2}",
];

#[test]
fn key() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Recipe)>()
        .for_each(|(one, other)| {
            let text = one.text(&KEYS);
            let Ok(key) = text.parse::<Key>() else { return };
            assert!(key.as_str() == text && text.len() <= store::MAX_KEY);
            assert!(
                text.starts_with(key.root().as_str())
                    && key.segments().all(|part| !part.is_empty())
            );
            if let Ok(name) = FactKey::parse(&key) {
                assert_eq!(name.key(), key, "a fact has one key");
            }
            let Ok(prefix) = other.text(&FOLDERS).parse::<Prefix>() else {
                return;
            };
            let range = Range::from(&prefix);
            let (first, end) = range.bounds();
            assert_eq!(
                range.contains(&key),
                *first <= *key.as_str() && *key.as_str() < *end,
                "{key} {prefix:?}"
            );
        });
}

#[test]
fn fact() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let text = recipe.text(&ENTRIES);
            let (key, value) = text.split_once('\n').unwrap_or((&text, ""));
            let Ok(key) = key.parse::<Key>() else {
                return;
            };
            let value = Bytes::from(value.to_owned());
            let (created, modified) = (Revision(1), Revision(2));
            let entry = Entry {
                key,
                value,
                created,
                modified,
                lease: None,
            };
            if let Ok(fact) = Fact::parse(&entry) {
                assert_eq!(
                    fact.name().key(),
                    entry.key,
                    "a fact stands under its own key"
                );
            }
        });
}

/// A sealed value opens unchanged, at its own key, or not at all.
#[test]
fn envelope() {
    let kek = KeyEncryptionKey::from_env("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let envelope = Envelope::new(kek, Vec::new());
    let key: Key = KEYS[11].parse().unwrap();
    let other: Key = "secret/dev-ca".parse().unwrap();
    let sealed = envelope.seal(&key, b"a secret").unwrap().bytes().to_vec();
    let seeds = [sealed.clone(), Vec::new(), vec![1; 8]];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let bytes = recipe.bytes(&seeds);
            let parts = SealedParts::decode(&bytes);
            assert!(envelope.open(&other, &bytes).is_err());
            match envelope.open(&key, &bytes) {
                Ok(plain) => assert!(parts.is_ok() && bytes == sealed && *plain == b"a secret"),
                Err(_) => assert_ne!(bytes, sealed),
            }
            let _ = envelope.rewrap(&key, &bytes);
        });
}

#[test]
fn key_encryption_key() {
    let seeds = ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", " AAEC\n"];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let _ = KeyEncryptionKey::from_env(&recipe.text(&seeds));
        });
}
