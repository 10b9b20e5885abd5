//! Which process holds a port, as far as /proc tells.

use std::{fs, net::SocketAddr, path::PathBuf};

/// The state of a listening TCP socket in /proc/net/tcp; UDP sockets that are bound have the other one.
const STATES: [&str; 2] = ["0A", "07"];

/// As in `nginx (process 812)`.
pub(crate) fn of(address: SocketAddr) -> Option<String> {
    let tables = ["tcp", "tcp6", "udp", "udp6"];
    tables.iter().find_map(|table| {
        let text = fs::read_to_string(format!("/proc/net/{table}")).ok()?;
        inodes(&text, address.port()).find_map(process_with)
    })
}

/// Sockets that are bound to `port` and wait for others.
fn inodes(table: &str, port: u16) -> impl Iterator<Item = u64> {
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let (_, bound) = local.rsplit_once(':')?;
        let matches = u16::from_str_radix(bound, 16).ok()? == port && STATES.contains(&state);
        matches.then(|| inode.parse().ok())?
    })
}

/// None where the process belongs to somebody else and this one may not look.
fn process_with(inode: u64) -> Option<String> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let files = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        if links.any(|link| link == wanted) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {pid})", name.trim()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000\n\
             1: 0100007F:01BB 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000\n";
        assert_eq!(inodes(table, 443).collect::<Vec<_>>(), [4711]);
        assert_eq!(inodes(table, 80).count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = of(listener.local_addr().unwrap()).unwrap();
        assert!(
            holder.ends_with(&format!("(process {})", std::process::id())),
            "{holder}"
        );
    }
}
