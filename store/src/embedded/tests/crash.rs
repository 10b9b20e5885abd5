//! A power cut in memory: only what was synced is there afterwards, and everything acknowledged is.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use futures_util::future::join_all;
use redb::StorageBackend;

use super::*;
use crate::{Value, layout};

/// A disk with a write cache: `sync_data` moves everything to `safe`, a power cut loses the rest.
#[derive(Clone, Debug, Default)]
struct CachedDisk(Arc<Disks>);

#[derive(Debug, Default)]
struct Disks {
    cached: Mutex<Vec<u8>>,
    safe: Mutex<Vec<u8>>,
    dead: AtomicBool,
}

impl CachedDisk {
    /// The disk after the power came back. The one before writes nothing any more.
    fn cut_power(&self) -> Self {
        self.0.dead.store(true, SeqCst);
        let safe = self.0.safe.lock().unwrap().clone();
        Self(Arc::new(Disks {
            cached: Mutex::new(safe.clone()),
            safe: Mutex::new(safe),
            dead: AtomicBool::new(false),
        }))
    }

    fn alive(&self) -> io::Result<()> {
        match self.0.dead.load(SeqCst) {
            true => Err(io::Error::other("the power is out")),
            false => Ok(()),
        }
    }
}

impl StorageBackend for CachedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.cached.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = offset as usize;
        out.copy_from_slice(&self.0.cached.lock().unwrap()[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.alive()?;
        self.0.cached.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.alive()?;
        let cached = self.0.cached.lock().unwrap().clone();
        *self.0.safe.lock().unwrap() = cached;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.alive()?;
        let at = offset as usize;
        self.0.cached.lock().unwrap()[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    let mut disk = CachedDisk::default();
    let mut expected = 0;
    for round in 0..4 {
        let store = Embedded::over(disk.clone(), Options::default()).unwrap();
        let (found, revision) = crate::list::<u64>(&store, &layout::edges()).await.unwrap();
        assert_eq!(found.len(), expected, "round {round}");
        assert!(revision.0 >= expected as u64);
        let put = |at: usize| {
            let key = layout::edge(&format!("{round}-{at}").parse().unwrap());
            store.commit(Transaction::new().put(key, Value::json(&at).unwrap()))
        };
        let acknowledged = join_all((0..50).map(put)).await;
        assert!(
            acknowledged
                .iter()
                .all(|commit| matches!(commit, Ok(Commit::Done(_))))
        );
        expected += acknowledged.len();
        disk = disk.cut_power();
        // Without power nothing is acknowledged.
        assert!(matches!(
            put(1000).await,
            Err(StoreError::Unknown(_) | StoreError::Unavailable(_))
        ));
    }
}
