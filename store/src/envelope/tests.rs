use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::{kek::forbidden_to, *};
use crate::layout;

fn envelope() -> Envelope {
    Envelope::new(KeyEncryptionKey::random().unwrap(), Vec::new())
}

fn other_key() -> Key {
    layout::signing_key(&"kid_1".parse().unwrap())
}

#[test]
fn opens_what_it_sealed_and_only_under_its_own_name() {
    let envelope = envelope();
    let sealed = envelope.seal(&layout::dev_ca(), b"secret").unwrap();
    assert!(!sealed.bytes().windows(6).any(|w| w == b"secret"));
    let plain = envelope.open(&layout::dev_ca(), sealed.bytes()).unwrap();
    assert_eq!(&**plain, b"secret");
    let moved = envelope.open(&other_key(), sealed.bytes());
    assert_eq!(moved.unwrap_err(), EnvelopeError::Refused);
}

#[test]
fn any_changed_or_missing_byte_is_noticed() {
    let envelope = envelope();
    let sealed = envelope.seal(&layout::dev_ca(), b"secret").unwrap();
    for at in 0..sealed.bytes().len() {
        let mut changed = sealed.bytes().to_vec();
        changed[at] ^= 1;
        assert!(envelope.open(&layout::dev_ca(), &changed).is_err(), "{at}");
        let cut = &sealed.bytes()[..at];
        assert!(envelope.open(&layout::dev_ca(), cut).is_err(), "{at}");
    }
}

#[test]
fn the_same_value_is_never_sealed_the_same_way() {
    let envelope = envelope();
    let one = envelope.seal(&layout::dev_ca(), b"secret").unwrap();
    assert_ne!(one, envelope.seal(&layout::dev_ca(), b"secret").unwrap());
}

#[test]
fn rewrapping_leaves_the_data_and_the_old_key_useless() {
    let folder = tempfile::tempdir().unwrap();
    let old = || KeyEncryptionKey::load_or_create_file(&folder.path().join("old")).unwrap();
    let new = || KeyEncryptionKey::load_or_create_file(&folder.path().join("new")).unwrap();
    let key = layout::dev_ca();
    let before = Envelope::new(old(), Vec::new())
        .seal(&key, b"secret")
        .unwrap();
    let both = Envelope::new(new(), vec![old()]);
    assert_eq!(&**both.open(&key, before.bytes()).unwrap(), b"secret");
    let after = both.rewrap(&key, before.bytes()).unwrap().unwrap();
    assert_eq!(both.rewrap(&key, after.bytes()).unwrap(), None);
    let (was, is) = (
        SealedParts::decode(before.bytes()).unwrap(),
        SealedParts::decode(after.bytes()).unwrap(),
    );
    assert_eq!((was.data, was.nonce), (is.data, is.nonce));
    let only_new = Envelope::new(new(), Vec::new());
    assert_eq!(&**only_new.open(&key, after.bytes()).unwrap(), b"secret");
    assert_eq!(
        only_new.open(&key, before.bytes()).unwrap_err(),
        EnvelopeError::UnknownKey(old().id())
    );
    assert!(both.rewrap(&other_key(), before.bytes()).is_err());
}

#[test]
fn a_key_file_is_made_once_and_only_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek");
    let made = KeyEncryptionKey::load_or_create_file(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = KeyEncryptionKey::load_or_create_file(&path).unwrap();
    assert_eq!(made.id(), again.id());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    for loose in [0o644, 0o660, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(loose)).unwrap();
        let refused = KeyEncryptionKey::load_or_create_file(&path);
        assert!(matches!(refused, Err(KekError::Mode(_))), "{loose:o}");
    }
    let [of_root, of_others] = [0, 1000].map(|owner| forbidden_to(owner) & 0o640);
    assert_eq!((of_root, of_others), (0, 0o040));
}

#[test]
fn what_is_no_key_is_refused_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (at, text) in ["", "c2hvcnQ=", "not base64!", &"A".repeat(400)]
        .iter()
        .enumerate()
    {
        assert!(matches!(
            KeyEncryptionKey::from_env(text),
            Err(KekError::Malformed)
        ));
        let path = folder.path().join(at.to_string());
        private_file_with(&path, text);
        let loaded = KeyEncryptionKey::load_or_create_file(&path);
        assert!(matches!(loaded, Err(KekError::Malformed)));
    }
    let key = KeyEncryptionKey::from_env(&format!("{}=\n", "A".repeat(43))).unwrap();
    assert_eq!(
        format!("{key:?}"),
        format!("KeyEncryptionKey({})", key.id())
    );
    let at_folder = KeyEncryptionKey::load_or_create_file(folder.path());
    assert!(matches!(at_folder, Err(KekError::NotAFile(_))));
}

fn private_file_with(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

proptest! {
    #[test]
    fn decoding_anything_is_an_error_or_what_was_encoded(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in any::<bool>()) {
        let mut bytes = bytes;
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = VERSION;
        }
        if let Ok(parts) = SealedParts::decode(&bytes) {
            prop_assert_eq!(&format::encode(&parts.wrap, parts.nonce, parts.data)[..], &bytes[..]);
        }
    }
}
