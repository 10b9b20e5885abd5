//! A snapshot of public facts (`store`): what lies on a disk that may have failed.

use bolero::check;
use model::{Revision, UnixTime};
use store::{Entry, Snapshot};

use crate::{ITERATIONS, recipe::Recipe};

fn seeds() -> Vec<Vec<u8>> {
    let entry = |key: &str, value: &'static [u8]| Entry {
        key: key.parse().unwrap(),
        value: value.into(),
        created: Revision(3),
        modified: Revision(5),
        lease: None,
    };
    let snapshot = |entries| Snapshot {
        revision: Revision(9),
        taken: UnixTime::from_secs(1),
        about: serde_json::json!({"issuer": "https://adit.example"}),
        entries,
    };
    let full = vec![
        entry("public/edge/ams1", b"{}"),
        entry("public/jwks/kid_1", b"\xff\x00"),
    ];
    vec![
        snapshot(Vec::new()).encode().unwrap(),
        snapshot(full).encode().unwrap(),
    ]
}

#[test]
fn snapshot() {
    let seeds = seeds();
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let bytes = recipe.bytes(&seeds);
            // The checksum leaves what was written and nothing else.
            if let Ok(read) = Snapshot::decode(&bytes) {
                assert_eq!(Snapshot::decode(&read.encode().unwrap()).unwrap(), read);
                assert!(
                    seeds
                        .iter()
                        .any(|seed| { Snapshot::decode(seed).is_ok_and(|whole| whole == read) })
                );
            }
        });
}
