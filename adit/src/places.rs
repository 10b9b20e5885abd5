//! Where files live on this platform.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::failure::{Exit, Failure, OrFail};

/// The store of a provider on one machine, in its data directory.
pub(crate) const STORE: &str = "store.redb";
/// The key-encryption key for what is secret in it.
pub(crate) const STORE_KEY: &str = "store.key";

/// The data directory of `adit dev` when none is given.
pub(crate) fn data_dir() -> Result<PathBuf, Failure> {
    // macOS and Windows have no state directory of their own; local data is its nearest kin.
    dirs::state_dir()
        .or_else(dirs::data_local_dir)
        .map(|dir| dir.join("adit"))
        .ok_or_else(|| no_home("--data-dir"))
}

/// The data directory of `adit serve`, `adit control-plane` and `adit edge` when none is given.
pub(crate) fn provider_data_dir() -> Result<PathBuf, Failure> {
    if is_root() {
        return Ok(PathBuf::from("/var/lib/adit"));
    }
    Ok(data_dir()?.join("provider"))
}

/// Whether system-wide places are for this user to write.
fn is_root() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Where `adit login` keeps its credential.
pub(crate) fn config_dir() -> Result<PathBuf, Failure> {
    dirs::config_dir()
        .map(|dir| dir.join("adit"))
        .ok_or_else(|| no_home("HOME"))
}

fn no_home(set: &str) -> Failure {
    Failure::new(Exit::Usage, "this user has no home directory").advise(format!("set {set}"))
}

/// Makes a directory that only its owner can look into.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), Failure> {
    make_dir(dir).or_fail(Exit::Failed, format!("cannot make {}", dir.display()))
}

#[cfg(unix)]
fn make_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

#[cfg(not(unix))]
fn make_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write(path, content, 0o600).or_fail(Exit::Failed, format!("cannot write {}", path.display()))
}

/// Writes a file that all may read, whole or not at all.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write(path, content, 0o644).or_fail(Exit::Failed, format!("cannot write {}", path.display()))
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    use std::io::Write;
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
