//! Backup files (`store::backup`): what is read is whole, in order, and written back the same.

use bolero::check;
use store::backup::{self, Writer};

use crate::{ITERATIONS, recipe::Recipe};

const KEYS: [(&str, &[u8]); 3] = [
    ("account/acc_1/profile", b"{}"),
    ("audit/000000000001-0000000000000000", b"{\"time\":1}"),
    ("public/endpoint/host/a.example", b"\x00\xff"),
];

fn whole() -> Vec<u8> {
    let header = serde_json::json!({
        "adit-backup": 1, "schema": 1, "revision": 9, "issuer": "https://a.example", "created": 1,
    });
    let header = serde_json::from_value(header).unwrap();
    let (mut writer, mut bytes) = Writer::start(&header).unwrap();
    for (key, value) in KEYS {
        bytes.extend(writer.entry(&key.parse().unwrap(), value).unwrap());
    }
    bytes.extend(writer.finish().unwrap());
    bytes
}

#[test]
fn backup() {
    let seeds = [whole(), Vec::new(), b"{\"adit-backup\":1}\n".to_vec()];
    assert!(backup::read(seeds[0].as_slice()).is_ok());
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let bytes = recipe.bytes(&seeds);
            let Ok(read) = backup::read(bytes.as_slice()) else {
                return;
            };
            assert!(
                read.entries.windows(2).all(|pair| pair[0].0 < pair[1].0),
                "the keys rise"
            );
            let (mut writer, mut again) = Writer::start(&read.header).unwrap();
            for (key, value) in &read.entries {
                again.extend(writer.entry(key, value).unwrap());
            }
            again.extend(writer.finish().unwrap());
            // Spaces may differ; what is said may not.
            let twice = backup::read(again.as_slice()).unwrap();
            assert!(twice.entries == read.entries && twice.header == read.header);
        });
}
