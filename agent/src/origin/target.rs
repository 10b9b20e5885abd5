//! What is shared, as a person writes it: `3000`, `db.internal:5432`, `https://10.0.0.7`, `unix:/run/app.sock`, `./public`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
    str::FromStr,
};

use tunnel::message::OriginProtocol;

/// Longer text is a slip, not a target (PATH_MAX on Linux).
const MAX_LEN: usize = 4096;
/// Octets of a host name (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Where streams go, and what is spoken there if the text says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub origin: Origin,
    /// Known from the scheme; otherwise the origin can be asked ([`crate::probe`]).
    pub protocol: Option<OriginProtocol>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Tcp(Address),
    Tls(Address),
    Unix(PathBuf),
    /// Served as files by the agent itself.
    Directory(PathBuf),
    /// A page of the agent itself, for whoever has nothing to share yet.
    Welcome,
}

/// A host and port that are looked up anew for each stream. The host may be a name of the local network that is no
/// [`model::Hostname`] (`my_container`), or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Directory,
    Socket,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("nothing to share: write a port, host:port, a URL, unix:PATH or a directory")]
    Empty,
    #[error("a target has at most {MAX_LEN} characters")]
    TooLong,
    #[error("a port is a number from 1 to 65535, not {0:?}")]
    Port(String),
    #[error("{0:?} is not a host; an IPv6 address is written [::1]:3000")]
    Host(String),
    #[error("{0:?} is not a scheme that can be shared: write http, https, h2c or unix")]
    Scheme(String),
    #[error("a whole server is shared, not a part of it: leave out {0:?}")]
    Path(String),
    #[error("{} is a file: share the directory that it is in", .0.display())]
    File(PathBuf),
    #[error("{} is neither a directory nor a socket; for a port write 3000, for another host name:3000", .0.display())]
    Missing(PathBuf),
}

impl Target {
    /// Parses `text`; `look` says what stands at a path.
    pub fn parse(
        text: &str,
        look: impl Fn(&Path) -> Option<FileKind>,
    ) -> Result<Self, TargetError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(TargetError::TooLong);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return socket(path);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return url(scheme, rest);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let address = Address::new("localhost", port(text)?);
            return Ok(Self::of(Origin::Tcp(address)));
        }
        match host_and_port(text) {
            Some(address) => Ok(Self::of(Origin::Tcp(address?))),
            None => local(Path::new(text), look),
        }
    }

    pub const fn welcome() -> Self {
        Self {
            origin: Origin::Welcome,
            protocol: Some(OriginProtocol::H1),
        }
    }

    const fn of(origin: Origin) -> Self {
        Self {
            origin,
            protocol: None,
        }
    }
}

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// What stands behind `://`; a default port of 0 means that the text must name one.
    pub(crate) fn parse(rest: &str, default_port: u16) -> Result<Self, TargetError> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !matches!(path, "" | "/") {
            return Err(TargetError::Path(path.into()));
        }
        match host_and_port(authority) {
            Some(address) => address,
            None if default_port == 0 => Err(TargetError::Port(String::new())),
            None => Ok(Self::new(host(authority)?, default_port)),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// As [`Target::parse`], looking at the file system.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text, file_kind)
    }
}

fn file_kind(path: &Path) -> Option<FileKind> {
    use std::os::unix::fs::FileTypeExt;

    let kind = std::fs::metadata(path).ok()?.file_type();
    Some(if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_socket() {
        FileKind::Socket
    } else {
        FileKind::Other
    })
}

fn url(scheme: &str, rest: &str) -> Result<Target, TargetError> {
    type Make = fn(Address) -> Origin;
    let (make, protocol, default_port): (Make, _, u16) = match scheme {
        "http" => (Origin::Tcp, Some(OriginProtocol::H1), 80),
        "h2c" => (Origin::Tcp, Some(OriginProtocol::H2c), 80),
        "https" => (Origin::Tls, None, 443),
        "tcp" => (Origin::Tcp, None, 0),
        _ => return Err(TargetError::Scheme(scheme.into())),
    };
    let address = Address::parse(rest, default_port)?;
    Ok(Target {
        origin: make(address),
        protocol,
    })
}

/// None when the text does not have the form `host:port` at all.
fn host_and_port(text: &str) -> Option<Result<Address, TargetError>> {
    let (name, digits) = text.rsplit_once(':')?;
    // `fe80::1` is an address without a port, and `./a:b` a path.
    let whole_address = text.starts_with('[') && text.ends_with(']');
    if text.contains('/') || whole_address || (name.contains(':') && !name.starts_with('[')) {
        return None;
    }
    let name = if name.is_empty() {
        Ok("localhost".into())
    } else {
        host(name)
    };
    Some(name.and_then(|name| Ok(Address::new(name, port(digits)?))))
}

/// A name or an address, the latter without its brackets.
fn host(text: &str) -> Result<String, TargetError> {
    let wrong = || TargetError::Host(text.into());
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(wrong)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| wrong())?;
        return Ok(address.to_string());
    }
    let named = !text.is_empty()
        && text.len() <= MAX_HOST
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    named.then(|| text.to_ascii_lowercase()).ok_or_else(wrong)
}

fn port(digits: &str) -> Result<u16, TargetError> {
    let wrong = || TargetError::Port(digits.into());
    // `parse` alone would take "+80".
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    digits
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(wrong)
}

/// `unix:///run/x` is the URL form of `unix:/run/x`.
fn socket(path: &str) -> Result<Target, TargetError> {
    let url_form = path.starts_with("///") && !path.starts_with("////");
    let path = if url_form { &path[2..] } else { path };
    if path.is_empty() {
        return Err(TargetError::Missing(PathBuf::new()));
    }
    Ok(Target::of(Origin::Unix(path.into())))
}

fn local(path: &Path, look: impl Fn(&Path) -> Option<FileKind>) -> Result<Target, TargetError> {
    match look(path) {
        Some(FileKind::Directory) => Ok(Target {
            origin: Origin::Directory(path.into()),
            protocol: Some(OriginProtocol::H1),
        }),
        Some(FileKind::Socket) => Ok(Target::of(Origin::Unix(path.into()))),
        Some(FileKind::Other) => Err(TargetError::File(path.into())),
        None => Err(TargetError::Missing(path.into())),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.protocol) {
            (Origin::Tcp(address), Some(OriginProtocol::H1)) => write!(f, "http://{address}"),
            (Origin::Tcp(address), Some(OriginProtocol::H2c)) => write!(f, "h2c://{address}"),
            (Origin::Tcp(address), None) => address.fmt(f),
            (Origin::Tls(address), _) => write!(f, "https://{address}"),
            (Origin::Unix(path), _) => write!(f, "unix:{}", path.display()),
            (Origin::Directory(path), _) => path.display().fmt(f),
            (Origin::Welcome, _) => f.write_str("a welcome page"),
        }
    }
}

#[cfg(test)]
#[path = "target/tests.rs"]
mod tests;
