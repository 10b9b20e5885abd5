//! Several addresses, one connection: a new attempt every 250 ms or as soon as one fails, the first success wins
//! (RFC 8305, section 5). An origin that listens on `::1` alone, or a dead route, then costs no one a minute.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};

const DELAY: Duration = Duration::from_millis(250);

pub(super) async fn first<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut last_error = io::Error::from(io::ErrorKind::NotFound);
    loop {
        if let Some(address) = waiting.next() {
            running.push(connect(address));
        } else if running.is_empty() {
            return Err(last_error);
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(result) = running.next() => match result {
                Ok(connected) => return Ok(connected),
                Err(error) => last_error = worse(last_error, error),
            },
            () = tokio::time::sleep(DELAY), if more => {}
            else => return Err(last_error),
        }
    }
}

/// A refusal tells more than "unreachable", which a machine without IPv6 says of every IPv6 address.
fn worse(old: io::Error, new: io::Error) -> io::Error {
    if old.kind() == io::ErrorKind::ConnectionRefused {
        old
    } else {
        new
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|p| ([127, 0, 0, 1], p).into()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_costs_a_quarter_second() {
        let start = Instant::now();
        let connect = async |a: SocketAddr| match a.port() {
            1 => std::future::pending().await,
            port => Ok(port),
        };
        assert_eq!(first(addresses(3), connect).await.unwrap(), 2);
        assert_eq!(start.elapsed(), DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_address_costs_nothing_and_refusal_is_what_is_told() {
        let tried = Mutex::new(Vec::new());
        let connect = async |a: SocketAddr| {
            tried.lock().unwrap().push(a.port());
            Err::<(), _>(io::Error::from(match a.port() {
                1 => io::ErrorKind::ConnectionRefused,
                _ => io::ErrorKind::NetworkUnreachable,
            }))
        };
        let start = Instant::now();
        let error = first(addresses(3), connect).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(*tried.lock().unwrap(), [1, 2, 3]);
    }
}
