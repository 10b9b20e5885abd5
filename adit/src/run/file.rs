//! The file of `adit run`: what may stand in it, and what it means.

use std::{
    collections::BTreeMap,
    fmt,
    num::NonZeroU16,
    path::{Path, PathBuf},
};

use agent::{FileKind, Origin, Target};
use config::{Position, Problem};
use model::{Congestion, HostPattern, Kind, Label, ProxyProtocol, Sharing};
use serde::Deserialize;
use toml::Spanned;
use tunnel::limits::BINDS;

use crate::{
    cli::{OriginArgs, Transport},
    configured, credentials,
    failure::Failure,
    share::TunnelOptions,
};

/// One session carries them all, and a session has that many binds.
const MAX_TUNNELS: usize = BINDS as usize;
/// Bytes of a tunnel's name: a column of a table.
const MAX_NAME: usize = 40;

pub(crate) const EXAMPLE: &str = include_str!("example.toml");

/// What a file says. Two that are equal mean the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunFile {
    pub(super) provider: ProviderSettings,
    pub(super) tunnels: BTreeMap<TunnelName, TunnelOptions>,
}

/// What all tunnels of a file share.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProviderSettings {
    pub(super) server: Option<String>,
    pub(super) credential_file: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) transport: Transport,
    pub(super) congestion: Congestion,
}

/// What people call a tunnel: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct TunnelName(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    server: Option<String>,
    credential_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    #[serde(default)]
    transport: Transport,
    #[serde(default)]
    congestion: Congestion,
    #[serde(default)]
    tunnels: BTreeMap<TunnelName, Spanned<WrittenTunnel>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTunnel {
    kind: Kind,
    target: Spanned<String>,
    host: Option<Spanned<String>>,
    port: Option<Spanned<NonZeroU16>>,
    #[serde(default)]
    sharing: Sharing,
    proxy_protocol: Option<Spanned<ProxyProtocol>>,
    host_header: Option<Spanned<String>>,
    origin_ca: Option<Spanned<PathBuf>>,
    origin_insecure: Option<Spanned<bool>>,
}

/// The text of a file and where it came from, to tell where it is wrong.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl RunFile {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(path, &credentials::read_bounded(path)?)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        Self::understand(path, text).map_err(|problem| configured::failure(Some(path), &[problem]))
    }

    /// Paths in the file are relative to `path`, its own.
    fn understand(path: &Path, text: &str) -> Result<Self, Problem> {
        let source = Source { path, text };
        let Written {
            server,
            credential_file,
            token_file,
            ca,
            transport,
            congestion,
            tunnels,
        } = config::typed(text)?;
        if credential_file.is_some() && token_file.is_some() {
            let message = "credential_file and token_file exclude each other";
            return Err(source.wrong(0, message));
        }
        if tunnels.is_empty() {
            // A file that an editor has just emptied must not take everything down either.
            let none = Problem::new("", "no tunnels");
            return Err(none.advise("adit config example run shows a file with some"));
        }
        if tunnels.len() > MAX_TUNNELS {
            let message = format!("a file has at most {MAX_TUNNELS} tunnels: use several files");
            return Err(source.wrong(0, &message));
        }
        let beside = |path: PathBuf| source.beside(path);
        let tunnels: Result<_, Problem> = tunnels
            .into_iter()
            .map(|(name, written)| Ok((name, source.tunnel(written)?)))
            .collect();
        Ok(Self {
            provider: ProviderSettings {
                server,
                credential_file: credential_file.map(beside),
                token_file: token_file.map(beside),
                ca: ca.map(beside),
                transport,
                congestion,
            },
            tunnels: tunnels?,
        })
    }
}

impl Source<'_> {
    fn wrong(self, offset: usize, message: &str) -> Problem {
        Problem::new("", message).at(Some(Position::of(self.text, offset)))
    }

    fn tunnel(self, written: Spanned<WrittenTunnel>) -> Result<TunnelOptions, Problem> {
        let WrittenTunnel {
            kind,
            target,
            host,
            port,
            sharing,
            proxy_protocol,
            host_header,
            origin_ca,
            origin_insecure,
        } = written.into_inner();
        let only = |at: Option<usize>, allowed: bool, name: &str| match at {
            Some(at) if !allowed => Err(self.wrong(at, &format!("{kind} tunnels have no {name}"))),
            _ => Ok(()),
        };
        let start = |span: std::ops::Range<usize>| span.start;
        let is_http = kind == Kind::Http;
        let has_port = matches!(kind, Kind::Tcp | Kind::Udp);
        only(host.as_ref().map(|v| start(v.span())), !has_port, "host")?;
        only(port.as_ref().map(|v| start(v.span())), has_port, "port")?;
        only(
            proxy_protocol.as_ref().map(|v| start(v.span())),
            !is_http,
            "proxy_protocol",
        )?;
        if let (Kind::Udp, Some(version)) = (kind, &proxy_protocol)
            && *version.get_ref() == ProxyProtocol::V1
        {
            let message = "version 1 of the PROXY protocol has no datagrams";
            return Err(self.wrong(version.span().start, message));
        }
        only(
            host_header.as_ref().map(|v| start(v.span())),
            is_http,
            "host_header",
        )?;
        only(
            origin_ca.as_ref().map(|v| start(v.span())),
            is_http,
            "origin_ca",
        )?;
        only(
            origin_insecure.as_ref().map(|v| start(v.span())),
            is_http,
            "origin_insecure",
        )?;
        let insecure = origin_insecure.is_some_and(|value| *value.get_ref());
        if let (true, Some(ca)) = (insecure, &origin_ca) {
            let message = "origin_ca and origin_insecure exclude each other";
            return Err(self.wrong(ca.span().start, message));
        }
        if let Some(host) = &host {
            check_host(host.get_ref()).map_err(|why| self.wrong(host.span().start, &why))?;
        }
        Ok(TunnelOptions {
            kind,
            target: Some(self.target(&target, kind)?),
            host: host.map(Spanned::into_inner),
            port: port.map(|port| port.into_inner().get()),
            sharing,
            proxy_protocol: proxy_protocol.map(Spanned::into_inner),
            origin: OriginArgs {
                host_header: host_header.map(Spanned::into_inner),
                origin_ca: origin_ca.map(|path| self.beside(path.into_inner())),
                origin_insecure: insecure,
            },
        })
    }

    /// The target's text with its path made absolute. What stands at the path is looked at when the tunnel begins.
    fn target(self, written: &Spanned<String>, kind: Kind) -> Result<String, Problem> {
        let text = written.get_ref();
        let wrong = |why: &str| self.wrong(written.span().start, why);
        let target = Target::parse(text, |_| Some(FileKind::Directory))
            .map_err(|error| wrong(&error.to_string()))?;
        match target.origin {
            ref origin
                if kind == Kind::Udp
                    && (!matches!(origin, Origin::Tcp(_)) || target.protocol.is_some()) =>
            {
                Err(wrong(
                    "udp tunnels carry datagrams: share a port or host:port",
                ))
            }
            Origin::Directory(_) | Origin::Tls(_) if kind != Kind::Http => Err(wrong(&format!(
                "{kind} tunnels carry bytes: share a port or a socket"
            ))),
            Origin::Directory(path) => Ok(self.beside(path).display().to_string()),
            Origin::Unix(path) => Ok(format!("unix:{}", self.beside(path).display())),
            Origin::Tcp(_) | Origin::Tls(_) | Origin::Welcome => Ok(text.clone()),
        }
    }

    fn beside(self, path: PathBuf) -> PathBuf {
        match self.path.parent() {
            Some(directory) if path.is_relative() => directory.join(path),
            _ => path,
        }
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let checked = if host.contains('.') {
        host.parse::<HostPattern>().map(drop)
    } else {
        host.parse::<Label>().map(drop)
    };
    checked.map_err(|error| format!("{host:?} is not a name: {error}"))
}

impl TryFrom<String> for TunnelName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(known) {
            return Err(format!(
                "a tunnel's name has 1 to {MAX_NAME} letters, digits, - or _"
            ));
        }
        Ok(Self(name))
    }
}

impl TunnelName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TunnelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a file, as far as can be told without asking anyone.
pub(crate) fn problems(path: &Path, text: &str) -> Vec<Problem> {
    let file = match RunFile::understand(path, text) {
        Ok(file) => file,
        Err(problem) => return vec![problem],
    };
    let unusable = |(name, tunnel): (&TunnelName, &TunnelOptions)| {
        let error = agent::OriginTls::from_file(tunnel.origin.origin_ca.as_deref()?).err()?;
        Some(Problem::new(format!("tunnels.{name}.origin_ca"), error))
    };
    file.tunnels.iter().filter_map(unusable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RunFile, String> {
        RunFile::parse(Path::new("/etc/adit/adit.toml"), text).map_err(|f| f.to_string())
    }

    fn name(text: &str) -> TunnelName {
        TunnelName::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn the_example_is_valid() {
        let file = parse(EXAMPLE).unwrap();
        assert_eq!(file.tunnels.len(), 3);
        // Every line that is commented out holds as well, one at a time.
        let lines: Vec<_> = EXAMPLE.lines().collect();
        let mut tried = 0;
        for (at, line) in lines.iter().enumerate() {
            let Some(setting) = line.strip_prefix("# ").filter(|line| line.contains(" = ")) else {
                continue;
            };
            let mut with = lines.clone();
            with[at] = setting;
            parse(&with.join("\n")).unwrap();
            tried += 1;
        }
        assert_eq!(tried, 12);
    }

    #[test]
    fn paths_are_those_beside_the_file() {
        let text = "ca = \"ca.pem\"\n[tunnels.a]\nkind = \"http\"\ntarget = \"./public\"\n[tunnels.b]\nkind = \"tcp\"\ntarget = \"unix:app.sock\"\n";
        let file = parse(text).unwrap();
        assert_eq!(file.provider.ca, Some(PathBuf::from("/etc/adit/ca.pem")));
        let target = |of: &str| file.tunnels[&name(of)].target.clone().unwrap();
        assert_eq!(target("a"), "/etc/adit/./public");
        assert_eq!(target("b"), "unix:/etc/adit/app.sock");
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let tunnel =
            |lines: &str| format!("[tunnels.a]\nkind = \"http\"\ntarget = \"3000\"\n{lines}\n");
        for (text, said) in [
            (String::new(), "adit.toml: no tunnels"),
            (
                tunnel("hots = \"x\""),
                "adit.toml:4:1: hots: there is no such key",
            ),
            (
                tunnel("port = 7"),
                "adit.toml:4:8: http tunnels have no port",
            ),
            (
                tunnel("host = \"a_b!\""),
                "adit.toml:4:8: \"a_b!\" is not a name",
            ),
            (
                tunnel("origin_ca = \"x\"\norigin_insecure = true"),
                "adit.toml:4:13: origin_ca and",
            ),
            (
                "[tunnels.a]\nkind = \"tcp\"\ntarget = \"./x\"".into(),
                "adit.toml:3:10: tcp tunnels carry",
            ),
            (
                "[tunnels.a]\nkind = \"gopher\"\ntarget = \"1\"".into(),
                "adit.toml:2:8: \"gopher\" is none of http, ",
            ),
            (
                "[tunnels.a]\ntarget = \"1\"".into(),
                "adit.toml:1:1: missing field `kind`",
            ),
            (
                "[tunnels.a]\nkind = \"http\"\ntarget = \"99999\"".into(),
                "adit.toml:3:10: a port is",
            ),
            (
                "[tunnels.\"a b\"]\nkind = \"http\"\ntarget = \"1\"".into(),
                "adit.toml:1:10: a tunnel's name",
            ),
            (
                "tokenfile = \"x\"".into(),
                "adit.toml:1:1: tokenfile: there is no such key",
            ),
            ("[tunnels.a\n".into(), "adit.toml:1:11: "),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(
                error.starts_with(&format!("/etc/adit/{said}")),
                "{text}: {error}"
            );
        }
    }
}
