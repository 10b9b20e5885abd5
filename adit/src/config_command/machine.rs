//! What can be seen on this machine of what a file names: that files can be read, and by nobody else; that certificates are
//! good for the names they are for.

use std::{fs, path::Path, time::SystemTime};

use config::{Certificate, File, Problem, Role};
use edge::ReadCertificate;
use model::{HostPattern, UnixTime};

use crate::provider::certificates;

pub(super) fn problems(role: Role, file: &File) -> Vec<Problem> {
    let mut found = Found {
        file,
        problems: Vec::new(),
    };
    found.files(role);
    if role != Role::ControlPlane {
        found.certificates();
    }
    found.problems
}

struct Found<'f> {
    file: &'f File,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn wrong(
        &mut self,
        key: &str,
        message: impl std::fmt::Display,
        advice: impl std::fmt::Display,
    ) {
        let problem = self.file.places.problem(key, message).advise(advice);
        self.problems.push(problem);
    }

    fn files(&mut self, role: Role) {
        let File {
            store,
            control_plane,
            edge,
            ..
        } = self.file;
        for (key, path, secret) in [
            ("store.password_file", &store.password_file, true),
            ("store.ca", &store.ca, false),
            ("store.certificate", &store.certificate, false),
            ("store.key", &store.key, true),
        ] {
            self.readable(key, path.as_deref(), secret);
        }
        match role {
            Role::Edge => {
                self.readable("edge.role_key_file", edge.role_key_file.as_deref(), true);
                self.readable(
                    "edge.control_plane_ca",
                    edge.control_plane_ca.as_deref(),
                    false,
                );
            }
            Role::ControlPlane => {
                let path = control_plane.key_encryption_key_file.as_deref();
                self.readable("control-plane.key_encryption_key_file", path, true);
            }
            // It makes its own key at the first start.
            Role::Serve => {
                let path = control_plane.key_encryption_key_file.as_deref();
                let made = path.filter(|path| path.exists());
                self.readable("control-plane.key_encryption_key_file", made, true);
            }
        }
    }

    fn readable(&mut self, key: &str, path: Option<&Path>, secret: bool) {
        let Some(path) = path else { return };
        let shown = path.display();
        match fs::File::open(path) {
            Err(error) => self.wrong(
                key,
                format!("{shown}: {error}"),
                "the process must be able to read it",
            ),
            Ok(file) if secret && is_public(&file) => self.wrong(
                key,
                format!("{shown} is secret, and every user of this machine can read it"),
                format!("chmod 600 {shown}"),
            ),
            Ok(_) => {}
        }
    }

    fn certificates(&mut self) {
        let mut good = Vec::new();
        for (nth, pair) in self.file.certificates.iter().enumerate() {
            let key = format!("certificates[{nth}]");
            self.readable(&format!("{key}.key"), Some(&pair.key), true);
            good.extend(self.certificate(&key, pair));
        }
        if !self.file.certificates.is_empty() && good.len() == self.file.certificates.len() {
            self.covers(&good);
        }
    }

    fn certificate(&mut self, key: &str, pair: &Certificate) -> Option<ReadCertificate> {
        let files = certificates::files(std::slice::from_ref(pair)).pop()?;
        let read = match ReadCertificate::read(&files) {
            Ok(read) => read,
            Err(error) => {
                self.wrong(
                    key,
                    error,
                    "give PEM files of one certificate, the leaf first, and its key",
                );
                return None;
            }
        };
        let now = UnixTime::from(SystemTime::now());
        if read.expires <= now {
            self.wrong(
                key,
                format!("{} has expired", pair.certificate.display()),
                "renew it",
            );
        } else if read.begins > now {
            self.wrong(
                key,
                format!("{} is not valid yet", pair.certificate.display()),
                "look at the clock of this machine",
            );
        }
        Some(read)
    }

    /// The names of the edge, and every name of one label under the zone.
    fn covers(&mut self, good: &[ReadCertificate]) {
        let edge = &self.file.edge;
        let own = edge.names.iter().flatten().cloned().map(HostPattern::Exact);
        let zone = self.file.zone.clone().map(HostPattern::Wildcard);
        for name in own.chain(zone) {
            if !good.iter().any(|read| read.covers(&name)) {
                let key = if matches!(name, HostPattern::Exact(_)) {
                    "edge.names"
                } else {
                    "zone"
                };
                self.wrong(
                    key,
                    format!("no certificate covers {name}"),
                    format!("add one for {name} to [[certificates]]"),
                );
            }
        }
    }
}

#[cfg(unix)]
fn is_public(file: &fs::File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS_READ: u32 = 0o004;
    file.metadata()
        .is_ok_and(|data| data.permissions().mode() & OTHERS_READ != 0)
}

#[cfg(not(unix))]
fn is_public(_: &fs::File) -> bool {
    false
}
