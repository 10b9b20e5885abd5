//! Congestion control of the tunnel leg, over TCP by the kernel's and over QUIC by quinn's algorithms.

use std::{io, sync::Arc};

use model::Congestion;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};

/// What this kernel has for TCP.
#[cfg(target_os = "linux")]
const AVAILABLE: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";

#[derive(Debug, thiserror::Error)]
#[error("this system does not do {congestion} for TCP ({error}){}", known(.available.as_deref()))]
pub struct CongestionError {
    congestion: Congestion,
    error: io::Error,
    /// What it has in its place.
    available: Option<String>,
}

/// Finds out whether TCP sockets of this process may have it.
pub fn check(congestion: Congestion) -> Result<(), CongestionError> {
    let probe = || set(&std::net::TcpListener::bind("127.0.0.1:0")?, congestion);
    match congestion {
        Congestion::System => Ok(()),
        _ => probe().map_err(|error| CongestionError {
            congestion,
            error,
            available: available(),
        }),
    }
}

/// Over TCP. To be called when [`check`] has found that it can be.
#[cfg(target_os = "linux")]
pub fn set(socket: &impl std::os::fd::AsFd, congestion: Congestion) -> io::Result<()> {
    match congestion {
        Congestion::System => Ok(()),
        named => socket2::SockRef::from(socket).set_tcp_congestion(named.as_str().as_bytes()),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn set<S>(_: &S, congestion: Congestion) -> io::Result<()> {
    match congestion {
        Congestion::System => Ok(()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(target_os = "linux")]
fn available() -> Option<String> {
    std::fs::read_to_string(AVAILABLE).ok()
}

#[cfg(not(target_os = "linux"))]
fn available() -> Option<String> {
    None
}

fn known(available: Option<&str>) -> String {
    available.map_or_else(String::new, |names| format!("; it has {}", names.trim()))
}

pub(crate) fn of_quic(congestion: Congestion) -> Arc<dyn ControllerFactory + Send + Sync> {
    match congestion {
        Congestion::System | Congestion::Cubic => Arc::new(CubicConfig::default()),
        Congestion::Bbr => Arc::new(BbrConfig::default()),
        Congestion::Reno => Arc::new(NewRenoConfig::default()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_socket_has_what_was_chosen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let name = |stream: &TcpStream| {
            let name = socket2::SockRef::from(stream).tcp_congestion().unwrap();
            let end = name.iter().position(|byte| *byte == 0);
            String::from_utf8(name[..end.unwrap_or(name.len())].to_vec()).unwrap()
        };
        // Every kernel has Reno.
        check(Congestion::Reno).unwrap();
        set(&stream, Congestion::Reno).unwrap();
        assert_eq!(name(&stream), "reno");
        set(&stream, Congestion::System).unwrap();
        assert_eq!(name(&stream), "reno", "as it was");
    }

    #[test]
    fn what_the_kernel_lacks_is_told_with_what_it_has() {
        let error = CongestionError {
            congestion: Congestion::Bbr,
            error: io::ErrorKind::NotFound.into(),
            available: available(),
        };
        let text = error.to_string();
        assert!(
            text.contains("bbr") && text.contains("it has") && text.contains("reno"),
            "{text}"
        );
    }
}
