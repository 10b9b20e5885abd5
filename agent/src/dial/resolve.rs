//! Names to addresses. `localhost` and every name below it are this machine without asking anyone (RFC 6761, section
//! 6.3): a resolver that does not know that would make development depend on it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// Addresses of one name that are tried; more would only prolong a failure.
const MAX_ADDRESSES: usize = 8;

pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    if is_local(host) {
        return Ok(vec![
            (Ipv4Addr::LOCALHOST, port).into(),
            (Ipv6Addr::LOCALHOST, port).into(),
        ]);
    }
    let found = interleave(tokio::net::lookup_host((host, port)).await?);
    if found.is_empty() {
        let message = format!("{host} has no address");
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    Ok(found)
}

fn is_local(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The families by turns, the resolver's first choice first (RFC 8305, section 4).
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = Vec::new();
    for address in addresses {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    let first_is_v6 = seen.first().is_some_and(SocketAddr::is_ipv6);
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for address in seen {
        let family = if address.is_ipv6() == first_is_v6 {
            &mut ours
        } else {
            &mut others
        };
        family.push(address);
    }
    let turns = ours.len().max(others.len());
    (0..turns)
        .flat_map(|turn| [ours.get(turn), others.get(turn)])
        .flatten()
        .copied()
        .take(MAX_ADDRESSES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_under_localhost_are_this_machine() {
        for host in ["localhost", "a.b.LOCALHOST", "x.localhost."] {
            let found = resolve(host, 80).await.unwrap();
            assert!(found.iter().all(|a| a.ip().is_loopback()), "{host}");
            assert_eq!(found.len(), 2);
        }
        assert!(!is_local("notlocalhost") && !is_local("localhost.example"));
    }

    #[test]
    fn families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "[::1]:1", "1.1.1.1:1", "[::3]:1"];
        let found = interleave(addresses.iter().map(|a| a.parse().unwrap()));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }
}
