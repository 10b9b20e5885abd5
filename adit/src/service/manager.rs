//! systemd, as far as it is asked for something: where its units are, and its `systemctl`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    cli::PlaceArgs,
    failure::{Exit, Failure, OrFail},
};

/// Where the system's administrator puts units (systemd.unit(5)).
const SYSTEM_UNITS: &str = "/etc/systemd/system";
/// There while systemd runs the machine (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

#[derive(Debug)]
pub(super) struct Manager {
    pub(super) units: PathBuf,
    of_user: bool,
    /// Whether there is a systemd to be told.
    runs: bool,
}

impl Manager {
    pub(super) fn of(place: &PlaceArgs) -> Result<Self, Failure> {
        let units = match &place.unit_dir {
            Some(dir) => dir.clone(),
            None if place.user => dirs::config_dir()
                .ok_or_else(|| Failure::new(Exit::Usage, "this user has no home directory"))?
                .join("systemd/user"),
            None => SYSTEM_UNITS.into(),
        };
        Ok(Self {
            units,
            of_user: place.user,
            runs: place.unit_dir.is_none() && Path::new(BOOTED).exists(),
        })
    }

    pub(super) const fn runs(&self) -> bool {
        self.runs
    }

    /// The command as a person would type it.
    pub(super) fn typed(&self, words: &[&str]) -> String {
        let user = if self.of_user { " --user" } else { "" };
        format!("systemctl{user} {}", words.join(" "))
    }

    pub(super) fn tell(&self, words: &[&str]) -> Result<(), Failure> {
        let typed = self.typed(words);
        let output = self.command(words).output().or_fail(Exit::Failed, &typed)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let failure = Failure::new(Exit::Failed, format!("{typed}: {}", said.trim()));
        Err(failure.advise("journalctl shows what a unit that does not start has said"))
    }

    /// Properties of a unit, as `systemctl show` prints their values.
    pub(super) fn show(&self, unit: &str, property: &str) -> Option<String> {
        let words = ["show", "--value", "--property", property, unit];
        let output = self.command(&words).output().ok()?;
        let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !value.is_empty()).then_some(value)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("systemctl");
        if self.of_user {
            command.arg("--user");
        }
        command.args(words);
        command
    }
}
