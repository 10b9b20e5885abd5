//! The text of a unit. Pure.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::cli::RoleName;

/// Begins the first line; what follows is a hash of the lines below, by which a unit that nobody changed is known.
const MARK: &str = "# Written by adit service install, with the hash ";

/// What a unit is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit<'a> {
    pub(super) role: RoleName,
    pub(super) binary: &'a Path,
    pub(super) config: &'a Path,
    pub(super) credentials: &'a [PathBuf],
    pub(super) of_user: bool,
}

/// What every unit may do without.
const HARDENED: &str = "\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
UMask=0077
";

/// What only the system's manager can take away.
const HARDENED_BY_SYSTEM: &str = "\
DynamicUser=yes
User=adit
StateDirectoryMode=0700
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
KeyringMode=private
RemoveIPC=yes
";

impl RoleName {
    pub(super) const ALL: [Self; 4] = [Self::Run, Self::Serve, Self::ControlPlane, Self::Edge];

    pub(super) fn unit_name(self) -> String {
        format!("adit-{}.service", self.as_str())
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Run => "adit tunnels",
            Self::Serve => "adit provider",
            Self::ControlPlane => "adit control plane",
            Self::Edge => "adit edge",
        }
    }

    /// Whether it tells systemd when it is ready. `adit run` is not before its provider answers, which a machine that boots
    /// must not wait for.
    const fn notifies(self) -> bool {
        !matches!(self, Self::Run)
    }

    /// Whether it has something to read again at SIGHUP: its file, or certificates.
    const fn reloads(self) -> bool {
        !matches!(self, Self::ControlPlane)
    }

    /// Below `/var/lib`. What runs beside each other on one machine keeps apart what it locks; `adit run` locks nothing, and
    /// finds the key of an `adit serve` beside it.
    const fn state_directory(self) -> &'static str {
        match self {
            Self::Run | Self::Serve => "adit",
            Self::ControlPlane => "adit-control-plane",
            Self::Edge => "adit-edge",
        }
    }

    /// Listens where only root may: 80 and 443.
    const fn has_low_ports(self) -> bool {
        matches!(self, Self::Serve | Self::Edge)
    }

    /// How long it may take to let go of what is open: an edge drains for a minute.
    const fn stop_within(self) -> u32 {
        match self {
            Self::Run | Self::ControlPlane => 30,
            Self::Serve | Self::Edge => 90,
        }
    }
}

impl Unit<'_> {
    pub(super) fn text(&self) -> String {
        let body = self.body();
        format!("{MARK}{}\n{body}", hash(&body))
    }

    fn body(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let role = self.role;
        writeln!(to, "[Unit]")?;
        writeln!(to, "Description={}", role.description())?;
        if !self.of_user {
            writeln!(to, "Wants=network-online.target")?;
            writeln!(to, "After=network-online.target")?;
        }
        // A service that cannot start is given up after ten tries, some five minutes.
        writeln!(to, "StartLimitIntervalSec=600")?;
        writeln!(to, "StartLimitBurst=10")?;
        writeln!(to, "\n[Service]")?;
        let kind = if role.notifies() { "notify" } else { "exec" };
        writeln!(to, "Type={kind}")?;
        let (binary, config) = (quoted(self.binary), quoted(self.config));
        writeln!(to, "ExecStart={binary} {} -c {config}", role.as_str())?;
        if role.reloads() {
            writeln!(to, "ExecReload=/bin/kill -HUP $MAINPID")?;
        }
        writeln!(to, "Restart=always")?;
        writeln!(to, "RestartSec=5")?;
        // A file that is not valid does not become so by another start.
        writeln!(to, "RestartPreventExitStatus=2")?;
        writeln!(to, "TimeoutStopSec={}", role.stop_within())?;
        writeln!(to, "LimitNOFILE=524288")?;
        for credential in self.credentials {
            let name = credential.file_name().unwrap_or_default().to_string_lossy();
            let name = name.replace('%', "%%");
            writeln!(to, "LoadCredential={name}:{}", specified(credential))?;
        }
        to.push_str(HARDENED);
        if self.of_user {
            writeln!(to, "\n[Install]")?;
            return writeln!(to, "WantedBy=default.target");
        }
        to.push_str(HARDENED_BY_SYSTEM);
        let state = role.state_directory();
        writeln!(to, "StateDirectory={state}")?;
        writeln!(to, "Environment=ADIT_DATA_DIR=%S/{state}")?;
        // Directories that are shared may be in a home.
        let home = if role == RoleName::Run {
            "read-only"
        } else {
            "yes"
        };
        writeln!(to, "ProtectHome={home}")?;
        if role.has_low_ports() {
            writeln!(to, "AmbientCapabilities=CAP_NET_BIND_SERVICE")?;
            writeln!(to, "CapabilityBoundingSet=CAP_NET_BIND_SERVICE")?;
        } else {
            writeln!(to, "CapabilityBoundingSet=")?;
        }
        writeln!(to, "\n[Install]")?;
        writeln!(to, "WantedBy=multi-user.target")
    }
}

/// Whether this is a unit as it was written here, by this version or another.
pub(super) fn is_untouched(text: &str) -> bool {
    let Some((first, body)) = text.split_once('\n') else {
        return false;
    };
    first.strip_prefix(MARK) == Some(hash(body).as_str())
}

fn hash(body: &str) -> String {
    let hash = digest(&SHA256, body.as_bytes());
    hash.as_ref()[..8]
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A path as one word of a command line (systemd.service(5), "Command lines").
fn quoted(path: &Path) -> String {
    let text = specified(path).replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@,%$".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("\"{text}\"")
    }
}

/// `%` begins a specifier.
fn specified(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(role: RoleName) -> String {
        let config = format!("/etc/adit/{}.toml", role.as_str());
        let unit = Unit {
            role,
            binary: Path::new("/usr/local/bin/adit"),
            config: Path::new(&config),
            credentials: &[],
            of_user: false,
        };
        unit.text()
    }

    #[test]
    fn the_units_of_deploy_are_these() {
        for role in RoleName::ALL {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../deploy/systemd")
                .join(role.unit_name());
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                kept,
                unit(role),
                "adit service install --dry-run {} -c … > {}",
                role.as_str(),
                path.display()
            );
        }
    }

    #[test]
    fn a_unit_knows_whether_it_was_changed() {
        let text = unit(RoleName::Run);
        assert!(is_untouched(&text));
        assert!(!is_untouched(&text.replace("RestartSec=5", "RestartSec=6")));
        assert!(!is_untouched("[Unit]\n") && !is_untouched(""));
    }

    #[test]
    fn a_path_stays_one_word() {
        assert_eq!(quoted(Path::new("/a/b.toml")), "/a/b.toml");
        assert_eq!(quoted(Path::new("/a b/%\"$x")), "\"/a b/%%\\\"$$x\"");
    }
}
