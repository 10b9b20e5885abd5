use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// Writes a certificate for `names` and answers with its key's file.
fn write(dir: &Path, file: &str, names: &[&str]) -> CertificateFiles {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let files = CertificateFiles {
        certificate: dir.join(format!("{file}.pem")),
        key: dir.join(format!("{file}.key")),
    };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

async fn shown(source: &FileCertificates, name: &str) -> Option<Vec<u8>> {
    let key = source.certificate(&name.parse().unwrap()).await.ok()?;
    Some(key.cert[0].to_vec())
}

fn der(files: &CertificateFiles) -> Vec<u8> {
    ReadCertificate::read(files).unwrap().key.cert[0].to_vec()
}

#[tokio::test]
async fn exact_comes_before_wildcard_whatever_the_order() {
    let dir = TempDir::new().unwrap();
    let wild = write(dir.path(), "wild", &["*.t.example", "t.example"]);
    let exact = write(dir.path(), "exact", &["shop.t.example"]);
    let source =
        FileCertificates::load(vec![wild.clone(), exact.clone()], &mut Registry::default())
            .unwrap();
    assert_eq!(shown(&source, "shop.t.example").await, Some(der(&exact)));
    assert_eq!(shown(&source, "other.t.example").await, Some(der(&wild)));
    assert_eq!(shown(&source, "*.t.example").await, Some(der(&wild)));
    for uncovered in ["a.b.t.example", "*.shop.t.example", "example"] {
        assert_eq!(shown(&source, uncovered).await, None, "{uncovered}");
    }
}

#[tokio::test]
async fn a_broken_new_file_leaves_the_old_certificate_and_is_counted() {
    let dir = TempDir::new().unwrap();
    let files = write(dir.path(), "a", &["a.example"]);
    let first = der(&files);
    let source = FileCertificates::load(vec![files.clone()], &mut Registry::default()).unwrap();
    let asked = Arc::new(Notify::new());
    let following = tokio::spawn(source.clone().follow(asked.clone()));

    // The key of another certificate, as seen between two writes of a renewing program.
    let other = write(dir.path(), "b", &["a.example"]);
    std::fs::copy(&other.key, &files.key).unwrap();
    asked.notify_one();
    while source.failures.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(&source, "a.example").await, Some(first));
    assert_eq!(source.version(), 0);

    std::fs::copy(&other.certificate, &files.certificate).unwrap();
    asked.notify_one();
    source.changed(0).await;
    assert_eq!(shown(&source, "a.example").await, Some(der(&other)));
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn files_that_change_are_read_again_without_being_asked() {
    let dir = TempDir::new().unwrap();
    let files = write(dir.path(), "a", &["a.example"]);
    let source = FileCertificates::load(vec![files.clone()], &mut Registry::default()).unwrap();
    let following = tokio::spawn(source.clone().follow(Arc::default()));
    tokio::time::sleep(LOOK * 2).await;
    assert_eq!(source.version(), 0, "nothing has changed");
    write(dir.path(), "a", &["a.example", "b.example"]);
    source.changed(0).await;
    assert!(shown(&source, "b.example").await.is_some());
    following.abort();
}

#[test]
fn what_cannot_be_used_is_said_with_the_file_that_is_to_blame() {
    let dir = TempDir::new().unwrap();
    let (a, b) = (
        write(dir.path(), "a", &["a.example"]),
        write(dir.path(), "b", &["b.example"]),
    );
    let mixed = CertificateFiles {
        key: b.key.clone(),
        ..a.clone()
    };
    let swapped = CertificateFiles {
        certificate: a.key.clone(),
        key: a.certificate.clone(),
    };
    let missing = CertificateFiles {
        key: dir.path().join("none"),
        ..a.clone()
    };
    for (files, blamed, why) in [
        (mixed, &b.key, "it is not the key of"),
        (swapped, &a.key, "no certificate"),
        (missing, &dir.path().join("none"), "No such file"),
    ] {
        let error = ReadCertificate::read(&files).unwrap_err();
        assert_eq!(&error.path, blamed);
        assert!(error.reason.contains(why), "{error}");
    }
}
