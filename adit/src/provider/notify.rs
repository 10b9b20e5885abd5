//! Tells systemd how the process stands (sd_notify(3)), where it was started with `Type=notify`.

#[cfg(unix)]
use std::{ffi::OsStr, io, os::unix::net::UnixDatagram};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Reloading,
    Stopping,
}

impl State {
    #[cfg(unix)]
    const fn message(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1\n",
            Self::Reloading => b"RELOADING=1\n",
            Self::Stopping => b"STOPPING=1\n",
        }
    }
}

/// A service manager that does not hear it finds out by itself, later.
pub(crate) fn tell(state: State) {
    #[cfg(unix)]
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&socket, state.message())
    {
        tracing::warn!(%error, "the service manager cannot be told: {state:?}");
    }
    tracing::debug!(?state);
}

#[cfg(unix)]
fn send(socket: &OsStr, message: &[u8]) -> io::Result<()> {
    let from = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = abstract_name(socket) {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return from.send_to_addr(message, &address).map(|_| ());
    }
    from.send_to(message, socket).map(|_| ())
}

/// A name that begins with `@` is no path.
#[cfg(target_os = "linux")]
fn abstract_name(socket: &OsStr) -> Option<&[u8]> {
    use std::os::unix::ffi::OsStrExt;
    socket.as_bytes().strip_prefix(b"@")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_socket_with_a_path_hears_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), State::Ready.message()).unwrap();
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1\n");
        assert!(send(OsStr::new("/nowhere/at/all"), b"x").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn so_does_an_abstract_one() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("adit-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), State::Stopping.message()).unwrap();
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"STOPPING=1\n");
    }
}
