use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::tests::ca::Ca;

#[derive(Debug)]
struct Counting {
    ca: Ca,
    asked: AtomicUsize,
    fails: bool,
}

#[async_trait]
impl CertificateSource for Counting {
    async fn certificate(&self, name: &HostPattern) -> Result<Arc<CertifiedKey>, CertificateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        if self.fails {
            return Err(CertificateError {
                name: name.clone(),
                reason: "none".into(),
            });
        }
        Ok(self.ca.issue(name))
    }
}

fn certificates(fails: bool) -> (Arc<Counting>, Certificates) {
    let source = Arc::new(Counting {
        ca: Ca::new(),
        asked: AtomicUsize::new(0),
        fails,
    });
    let certificates = Certificates::new(source.clone(), Metrics::default()).unwrap();
    (source, certificates)
}

fn wanted(name: &str, claim: &str) -> Wanted {
    Wanted {
        name: name.parse().unwrap(),
        claim: claim.parse().ok(),
        speaks: Speaks::Http,
    }
}

#[tokio::test(start_paused = true)]
async fn many_visitors_ask_once() {
    let (source, certificates) = certificates(false);
    let ask = || certificates.config(wanted("a.example", "clm_1"));
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
    three.unwrap();
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    tokio::time::advance(CERTIFICATE_FRESH).await;
    ask().await.unwrap();
    assert_eq!(source.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_claim_never_gets_the_old_one_s_key() {
    let (source, certificates) = certificates(false);
    certificates
        .config(wanted("a.example", "clm_1"))
        .await
        .unwrap();
    certificates
        .config(wanted("a.example", "clm_2"))
        .await
        .unwrap();
    assert_eq!(source.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_for_a_moment_only() {
    let (source, certificates) = certificates(true);
    for _ in 0..3 {
        certificates
            .config(wanted("a.example", "clm_1"))
            .await
            .unwrap_err();
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    tokio::time::advance(CERTIFICATE_RETRY).await;
    certificates
        .config(wanted("a.example", "clm_1"))
        .await
        .unwrap_err();
    assert_eq!(source.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_kept_ones_is_bounded() {
    let (_, certificates) = certificates(true);
    for n in 0..=CERTIFICATES {
        let name = format!("n{n}.example");
        certificates
            .config(wanted(&name, "clm_1"))
            .await
            .unwrap_err();
    }
    assert!(certificates.kept.lock().unwrap().len() <= CERTIFICATES);
    assert_eq!(certificates.metrics.hits(Hit::Certificates), 1);
}
