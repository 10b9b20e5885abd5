//! One real etcd, and how much it had to do.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    problem::{Doing, Outcome},
    process::Process,
    rows::{free_port, loopback},
    scale::figures::{self, Figures},
};

/// What is counted, and how it is called here.
const COUNTED: [(&str, &str); 6] = [
    ("commits", "etcd_server_proposals_applied_total"),
    ("fsyncs", "etcd_disk_wal_fsync_duration_seconds_count"),
    ("puts", "etcd_mvcc_put_total"),
    ("ranges", "etcd_mvcc_range_total"),
    ("leases granted", "etcd_debugging_lease_granted_total"),
    ("leases renewed", "etcd_debugging_lease_renewed_total"),
];
/// What is there.
const HELD: [(&str, &str); 3] = [
    ("bytes", "etcd_mvcc_db_total_size_in_bytes"),
    ("bytes in use", "etcd_mvcc_db_total_size_in_use_in_bytes"),
    ("watchers", "etcd_debugging_mvcc_watcher_total"),
];
const STARTS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) struct Etcd {
    process: Process,
    client: SocketAddr,
}

impl Etcd {
    pub(super) fn start(directory: &Path) -> Outcome<Self> {
        let (client, peer) = (loopback(free_port()?), loopback(free_port()?));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(directory.join("etcd.data"));
        for (flag, value) in [
            ("--listen-client-urls", format!("http://{client}")),
            ("--advertise-client-urls", format!("http://{client}")),
            ("--listen-peer-urls", format!("http://{peer}")),
            ("--initial-advertise-peer-urls", format!("http://{peer}")),
            ("--initial-cluster", format!("default=http://{peer}")),
            ("--auto-compaction-mode", "revision".into()),
            ("--auto-compaction-retention", "10000".into()),
        ] {
            command.args([flag, &value]);
        }
        let process = Process::start(&mut command, directory, "etcd")?;
        let etcd = Self { process, client };
        etcd.wait()?;
        Ok(etcd)
    }

    fn wait(&self) -> Outcome<()> {
        let begun = Instant::now();
        loop {
            let leads = figures::read(self.client)
                .map(|figures| figures::sum(&figures, "etcd_server_has_leader"));
            match leads {
                Ok(leads) if leads > 0.0 => return Ok(()),
                result if begun.elapsed() > STARTS_WITHIN => {
                    return result.map(drop).doing("etcd does not start");
                }
                _ => thread::sleep(LOOK_EVERY),
            }
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.client)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn figures(&self) -> Outcome<Figures> {
        figures::read(self.client)
    }
}

/// What was counted between two looks, and what was there at the second one.
pub(in crate::scale) fn load(before: &Figures, after: &Figures) -> BTreeMap<String, f64> {
    let counted = COUNTED.iter().map(|(what, name)| {
        let count = figures::sum(after, name) - figures::sum(before, name);
        ((*what).to_owned(), count)
    });
    let held = HELD
        .iter()
        .map(|(what, name)| ((*what).to_owned(), figures::sum(after, name)));
    counted.chain(held).collect()
}
