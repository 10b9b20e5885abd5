//! kill -9 at any moment: what was acknowledged is there, and the store opens again.
//!
//! The test starts this same program as a child that commits without end and writes down each acknowledgement.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this file is a test"
)]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::future::join_all;
use store::{Commit, Embedded, Store, StoreError, Transaction, Value, layout};

const PATH: &str = "STORE_KILL_TEST_PATH";
const WRITERS: usize = 8;
const ROUNDS: usize = 5;
/// Acknowledgements to see before the kill; each round at another point of the writer's work.
const BEFORE_KILL: usize = 150;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut acknowledged = HashMap::new();
    for round in 0..ROUNDS {
        let mut child = spawn(&path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: String| {
            if let Some((writer, step)) = parse(&line) {
                acknowledged.insert(writer, step);
            }
        };
        for _ in 0..BEFORE_KILL + round * 7 {
            note(lines.next().expect("the child stopped early").unwrap());
        }
        assert!(matches!(
            Embedded::open(&path).await,
            Err(StoreError::Locked(_))
        ));
        child.kill().unwrap();
        child.wait().unwrap();
        // What stood in the pipe was acknowledged too. The last line may be cut off.
        lines.map_while(Result::ok).for_each(note);
        check(&path, &acknowledged).await;
    }
    assert_eq!(acknowledged.len(), WRITERS);
}

async fn check(path: &Path, acknowledged: &HashMap<usize, u64>) {
    let store = Embedded::open(path).await.unwrap();
    for (writer, step) in acknowledged {
        let key = key(*writer);
        let (found, _) = store::get::<u64>(&store, &key).await.unwrap().unwrap();
        assert!(
            found >= *step,
            "{key}: {step} was acknowledged, {found} is there"
        );
    }
    let leased = store::get::<u64>(&store, &layout::edge(&"leased".parse().unwrap())).await;
    assert_eq!(leased, Ok(None), "leases end with the process");
    store.close().await;
}

fn spawn(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "commits_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// `ack WRITER STEP;`. The end mark tells a whole line from one cut off.
fn parse(line: &str) -> Option<(usize, u64)> {
    let mut words = line.strip_prefix("ack ")?.strip_suffix(';')?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn key(writer: usize) -> store::Key {
    layout::edge(&format!("w{writer}").parse().unwrap())
}

#[tokio::test]
#[ignore = "runs as the child of the other test, which kills it"]
async fn commits_until_killed() {
    let path = std::env::var_os(PATH).expect("started by the other test");
    let store = Embedded::open(path).await.unwrap();
    let lease = store.grant_lease(Duration::from_secs(3600)).await.unwrap();
    let leased =
        Transaction::new().put_leased(layout::edge(&"leased".parse().unwrap()), "1", lease);
    assert!(matches!(store.commit(leased).await, Ok(Commit::Done(_))));
    join_all((0..WRITERS).map(|writer| write(&store, writer))).await;
}

async fn write(store: &Embedded, writer: usize) {
    let found = store::get::<u64>(store, &key(writer)).await.unwrap();
    let mut step = found.map_or(0, |(step, _)| step);
    // Ends by the kill; the bound is for a parent that died.
    while step < 1_000_000 {
        step += 1;
        let put = Transaction::new().put(key(writer), Value::json(&step).unwrap());
        assert!(matches!(store.commit(put).await, Ok(Commit::Done(_))));
        let line = format!("\nack {writer} {step};\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}
