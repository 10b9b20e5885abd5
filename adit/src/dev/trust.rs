//! `adit dev --trust`: the development CA into the system's trust store and into the browsers' databases.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::failure::{Exit, Failure, OrFail};

/// A name that `certutil` and people recognise.
const NICKNAME: &str = "adit dev CA";

/// Where distributions take anchors from, and the command that reads them.
const LINUX_STORES: [(&str, &str, &[&str]); 3] = [
    (
        "/usr/local/share/ca-certificates",
        "adit-dev.crt",
        &["update-ca-certificates"],
    ),
    (
        "/etc/pki/ca-trust/source/anchors",
        "adit-dev.pem",
        &["update-ca-trust", "extract"],
    ),
    (
        "/etc/ca-certificates/trust-source/anchors",
        "adit-dev.crt",
        &["trust", "extract-compat"],
    ),
];

/// Puts `ca` where this system's programs look; the answer names the places.
pub(crate) fn install(ca: &Path) -> Result<Vec<String>, Failure> {
    let mut places = vec![system_store(ca)?];
    places.extend(
        browser_databases()
            .into_iter()
            .filter(|db| add_to_nss(db, ca))
            .map(|db| db.display().to_string()),
    );
    Ok(places)
}

fn system_store(ca: &Path) -> Result<String, Failure> {
    if cfg!(target_os = "macos") {
        let keychain = "/Library/Keychains/System.keychain";
        let path = ca.display().to_string();
        run(
            &[
                "security",
                "add-trusted-cert",
                "-d",
                "-r",
                "trustRoot",
                "-k",
                keychain,
                &path,
            ],
            ca,
        )?;
        return Ok(keychain.into());
    }
    let store = LINUX_STORES
        .iter()
        .find(|(dir, _, _)| Path::new(dir).is_dir());
    let Some((dir, file, refresh)) = store else {
        return Err(
            Failure::new(Exit::Failed, "this system's trust store is not known")
                .advise(format!("add {} to it by hand", ca.display())),
        );
    };
    let place = Path::new(dir).join(file);
    std::fs::copy(ca, &place)
        .map_err(|error| needs_root(ca, &place, refresh, &error.to_string()))?;
    run(refresh, ca)?;
    Ok(place.display().to_string())
}

fn needs_root(ca: &Path, place: &Path, refresh: &[&str], why: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("cannot write {}: {why}", place.display()),
    )
    .advise(format!(
        "sudo cp {} {} && sudo {}",
        ca.display(),
        place.display(),
        refresh.join(" ")
    ))
}

fn run(command: &[&str], ca: &Path) -> Result<(), Failure> {
    let Some((program, args)) = command.split_first() else {
        return Ok(());
    };
    let advice = format!("add {} to the trust store by hand", ca.display());
    let output = Command::new(program)
        .args(args)
        .output()
        .or_fail(Exit::Failed, format!("cannot run {program}"))
        .map_err(|failure| failure.advise(&advice))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(Exit::Failed, format!("{program} failed: {}", said.trim())).advise(advice))
}

/// Chromium's shared database, made if need be, and every Firefox profile.
fn browser_databases() -> Vec<PathBuf> {
    let Some(home) = env::home_dir() else {
        return Vec::new();
    };
    let mut databases = vec![home.join(".pki/nssdb")];
    for profiles in [".mozilla/firefox", "snap/firefox/common/.mozilla/firefox"] {
        let entries = std::fs::read_dir(home.join(profiles))
            .into_iter()
            .flatten()
            .flatten();
        databases.extend(
            entries
                .map(|entry| entry.path())
                .filter(|dir| dir.join("cert9.db").exists()),
        );
    }
    databases
}

/// True when the CA is in the database; without `certutil` (Debian: libnss3-tools) it cannot be.
fn add_to_nss(database: &Path, ca: &Path) -> bool {
    let db = format!("sql:{}", database.display());
    if !database.join("cert9.db").exists() {
        let made = std::fs::create_dir_all(database).is_ok();
        if !made || !certutil(&["-N", "-d", &db, "--empty-password"]) {
            return false;
        }
    }
    let path = ca.display().to_string();
    certutil(&["-A", "-d", &db, "-n", NICKNAME, "-t", "C,,", "-i", &path])
}

fn certutil(args: &[&str]) -> bool {
    Command::new("certutil")
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}
