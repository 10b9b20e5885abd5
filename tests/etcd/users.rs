//! etcd's own users: the roles that docs/operations.md gives, and tokens that expire.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use store::{Etcd, EtcdConfig, EtcdUser, Prefix, Range, Root, Store, StoreError, Transaction};
use tests::{EtcdCluster, EtcdOptions, program, root_of_repository, run};
use zeroize::Zeroizing;

use crate::{PATIENCE, at_last, connect, done, elsewhere, put, watched::Watched};

const PASSWORD: &str = "a long word";
const TTL: Duration = Duration::from_secs(60);

/// The commands of the documentation, as they stand there; only passwords are given instead of asked for.
fn set_up_users(etcd: &mut EtcdCluster) {
    let text = fs::read_to_string(root_of_repository().join("docs/operations.md")).unwrap();
    let section = text.split("**Users.**").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let commands = block
        .lines()
        .filter_map(|line| line.strip_prefix("etcdctl "));
    for command in commands {
        let words: Vec<_> = command
            .split('#')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        match words[..] {
            ["user", "add", name] => etcd.control(&["user", "add", &format!("{name}:{PASSWORD}")]),
            _ => etcd.control(&words),
        };
    }
    etcd.control.push(format!("--user=root:{PASSWORD}"));
}

fn as_user(etcd: &EtcdCluster, name: &str, password: &str) -> Arc<Etcd> {
    let mut config = EtcdConfig::new(etcd.endpoints());
    config.user = Some(EtcdUser {
        name: name.into(),
        password: Zeroizing::new(password.into()),
    });
    connect(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_give_what_is_needed_and_no_more() {
    let mut etcd = EtcdCluster::start(1);
    set_up_users(&mut etcd);
    let control_plane = as_user(&etcd, "adit-control-plane", PASSWORD);
    let edge = as_user(&etcd, "adit-edge-ams1", PASSWORD);
    done(
        &control_plane,
        Transaction::new().put(elsewhere(), "private"),
    )
    .await;
    put(&control_plane, "fra1", "1").await;

    let watched = Watched::start(&edge).await;
    let lease = edge.grant_lease(TTL).await.unwrap();
    let placed = Transaction::new()
        .put_leased(crate::key("ams1"), "1", lease)
        .put_leased(
            "public/placement/ams1/ses_1".parse::<store::Key>().unwrap(),
            "1",
            lease,
        );
    done(&edge, placed).await;
    edge.keep_alive(lease).await.unwrap();
    // Progress past what it may not see.
    let private = done(
        &control_plane,
        Transaction::new().put(elsewhere(), "private"),
    )
    .await;
    assert!(watched.replica.reached(private, PATIENCE).await);
    assert_eq!(watched.rows().len(), 2);

    for path in [
        "public/edge/fra1",
        "public/placement/fra1/ses_1",
        "account/acc_1/profile",
    ] {
        let key: store::Key = path.parse().unwrap();
        let refused = edge.commit(Transaction::new().put(key, "taken over")).await;
        assert!(
            matches!(refused, Err(StoreError::Refused(_))),
            "{path}: {refused:?}"
        );
    }
    for root in [Root::Account, Root::Secret] {
        let folder = Prefix::from(root);
        let read = edge.read(&Range::from(&folder), None, 1).await;
        assert!(matches!(read, Err(StoreError::Refused(_))), "{read:?}");
        let watch = edge.watch(&folder, private).await;
        assert!(matches!(watch, Err(StoreError::Refused(_))), "{watch:?}");
    }
    edge.revoke_lease(lease).await.unwrap();
    watched.agrees_with(&control_plane).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_is_told_so() {
    let mut etcd = EtcdCluster::start(1);
    let early = as_user(&etcd, "adit-control-plane", PASSWORD).reach().await;
    assert!(
        matches!(&early, Err(StoreError::Refused(text)) if text.contains("auth enable")),
        "{early:?}"
    );
    set_up_users(&mut etcd);
    let wrong = as_user(&etcd, "adit-control-plane", "another word")
        .reach()
        .await;
    assert!(
        matches!(&wrong, Err(StoreError::Refused(text)) if text.contains("password")),
        "{wrong:?}"
    );
    let nobody = connect(EtcdConfig::new(etcd.endpoints()));
    let read = nobody.read(&Range::from(&elsewhere()), None, 1).await;
    assert!(
        matches!(&read, Err(StoreError::Refused(text)) if text.contains("password")),
        "{read:?}"
    );
}

/// JWTs end when their time is over, however much they are used.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_expire_are_renewed_by_every_kind_of_call() {
    let keys = tempfile::tempdir().unwrap();
    let path = |name: &str| keys.path().join(name).display().to_string();
    let private = ["genrsa", "-out", &path("key"), "2048"];
    assert!(run(program("openssl").args(private)).status.success());
    let public = ["rsa", "-in", &path("key"), "-pubout", "-out", &path("pub")];
    assert!(run(program("openssl").args(public)).status.success());
    let jwt = format!(
        "--auth-token=jwt,pub-key={},priv-key={},sign-method=RS256,ttl=1s",
        path("pub"),
        path("key")
    );
    let options = EtcdOptions {
        arguments: vec![jwt],
        ..EtcdOptions::default()
    };
    let mut etcd = EtcdCluster::start_with(1, &options);
    set_up_users(&mut etcd);
    let folder = crate::prefix();

    let kinds = BTreeSet::from(["read", "commit", "watch", "lease"]);
    let expired = kinds.into_iter().map(|kind| {
        let store = as_user(&etcd, "adit-control-plane", PASSWORD);
        let folder = folder.clone();
        async move {
            let begin = put(&store, kind, "1").await;
            at_last(kind, || async {
                match kind {
                    "read" => drop(store.read(&Range::from(&folder), None, 1).await.unwrap()),
                    "commit" => {
                        put(&store, kind, "1").await;
                    }
                    "watch" => drop(store.watch(&folder, begin).await.unwrap()),
                    _ => {
                        store.grant_lease(TTL).await.unwrap();
                    }
                }
                (store.counters().auth_renewals >= 2).then_some(())
            })
            .await;
            assert_eq!(store.counters().connects, 1, "{kind}");
        }
    });
    futures_util::future::join_all(expired).await;
}
