//! What a watcher meets that was away, or that meets much at once.

use store::{EtcdConfig, Range, Store, Transaction};
use tests::EtcdCluster;

use crate::{connect, done, key, over, prefix, put, watched::Watched, wire::Wire};

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_while_etcd_compacted_hears_the_difference() {
    let etcd = EtcdCluster::start(1);
    let writer = over(&etcd);
    // More than one page.
    for at in 0..6 {
        let some = (0..100).fold(Transaction::new(), |all, of| {
            all.put(key(&format!("old-{at}-{of}")), "1")
        });
        done(&writer, some).await;
    }
    put(&writer, "changes", "1").await;
    put(&writer, "goes", "1").await;
    let wire = Wire::to(&etcd.endpoints()[0]).await;
    let reader = connect(EtcdConfig::new([wire.endpoint()]));
    let watched = Watched::start(&reader).await;
    assert_eq!(
        (watched.told(), watched.replica.relists()),
        (vec!["reset".into()], 0)
    );

    wire.cut();
    done(&writer, Transaction::new().delete(key("goes"))).await;
    put(&writer, "changes", "2").await;
    put(&writer, "changes", "3").await;
    put(&writer, "comes", "1").await;
    etcd.compact();
    wire.mend();

    watched.agrees_with(&writer).await;
    assert_eq!(watched.replica.relists(), 1);
    let mut told = watched.told();
    // The last may be in the list or come after it.
    told.sort_unstable();
    assert_eq!(told, ["+changes 3", "+comes 1", "+last seen?", "-goes"]);
    assert!(reader.counters().compacted >= 1 && reader.counters().connects >= 2);
}

/// What a member sends at once to a watch that begins in the past is more than it sends in one message.
#[tokio::test(flavor = "multi_thread")]
async fn much_at_once_comes_in_fragments_and_whole() {
    let etcd = EtcdCluster::start(1);
    let store = over(&etcd);
    let begin = put(&store, "first", "1").await;
    let mut revisions = Vec::new();
    for step in 0..4 {
        let value = vec![b'0' + step; 8000];
        let large = (0..125).fold(Transaction::new(), |all, at| {
            all.put(key(&format!("large-{at:03}")), value.clone())
        });
        revisions.push(done(&store, large).await);
    }
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    for revision in revisions {
        let batch = loop {
            let batch = watch.next().await.unwrap();
            if !batch.events.is_empty() {
                break batch;
            }
        };
        assert_eq!((batch.revision, batch.events.len()), (revision, 125));
    }
    assert!(store.counters().fragments > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_too_large_comes_in_smaller_ones() {
    let etcd = EtcdCluster::start(1);
    let store = over(&etcd);
    for at in 0..36 {
        let large = Transaction::new().put(key(&format!("{at:02}")), vec![b'x'; 1_000_000]);
        done(&store, large).await;
    }
    let (entries, _) = store::entries(&*store, &prefix()).await.unwrap();
    assert_eq!(entries.len(), 36);
    assert!(store.counters().pages_shrunk > 0);
}

/// Somebody else writes under our prefix what can be no key of ours.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_none_of_ours_are_passed_over() {
    let etcd = EtcdCluster::start(1);
    let store = over(&etcd);
    for name in ["a!", "b!", "c!", "d!"] {
        etcd.control(&["put", &format!("/adit/public/edge/{name}"), "x"]);
    }
    let begin = put(&store, "b", "1").await;
    put(&store, "e", "1").await;
    let page = store.read(&Range::from(&prefix()), None, 1).await.unwrap();
    assert_eq!(
        (page.entries[0].key.clone(), page.next.is_some()),
        (key("b"), true)
    );
    let (entries, _) = store::entries(&*store, &prefix()).await.unwrap();
    assert_eq!(entries.len(), 2);
    let mut watch = store.watch(&prefix(), begin).await.unwrap();
    etcd.control(&["put", "/adit/public/edge/f!", "x"]);
    let last = put(&store, "g", "1").await;
    let mut seen = Vec::new();
    loop {
        let batch = watch.next().await.unwrap();
        seen.extend(batch.events.iter().map(|event| event.key().clone()));
        if batch.revision >= last {
            break;
        }
    }
    assert_eq!(seen, [key("e"), key("g")]);
    assert!(store.counters().foreign_keys > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn defragmenting_disturbs_nobody() {
    let etcd = EtcdCluster::start(1);
    let store = over(&etcd);
    let watched = Watched::start(&store).await;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for at in 0..300 {
                put(&store, &format!("{}", at % 7), &at.to_string()).await;
            }
        })
    };
    while !writer.is_finished() {
        etcd.compact();
        etcd.control(&["defrag"]);
    }
    writer.await.unwrap();
    watched.agrees_with(&store).await;
}
