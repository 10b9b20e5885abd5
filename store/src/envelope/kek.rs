//! The key-encryption key: 32 random bytes in a file that only its owner may read, or in the environment.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::format::KEY_LEN;

/// Bytes read of a key file: the key in base64 and a line end, with room to tell that there is too much.
const MAX_KEY_FILE: u64 = 256;

/// A key-encryption key's name: the beginning of its hash, so that no one has to give it one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KekId(pub(super) [u8; 8]);

pub struct KeyEncryptionKey {
    id: KekId,
    bytes: Zeroizing<[u8; KEY_LEN]>,
}

#[derive(Debug, thiserror::Error)]
pub enum KekError {
    #[error(
        "a key-encryption key is {KEY_LEN} bytes in base64; make one with: head -c {KEY_LEN} /dev/urandom | base64"
    )]
    Malformed,
    #[error("{0} may be read by others; run: chmod 600 {0}")]
    Mode(PathBuf),
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    #[error("cannot use {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the system gave no random bytes")]
    Random,
}

impl KeyEncryptionKey {
    /// The key in the file, which is made when it is not there. Blocks on the disk.
    pub fn load_or_create_file(path: &Path) -> Result<Self, KekError> {
        let failed = |source| KekError::Io {
            path: path.into(),
            source,
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = Self::random()?;
                match made.create_file(path) {
                    Ok(()) => Ok(made),
                    // Another process was first; its key is the key.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load(path),
                    Err(error) => Err(failed(error)),
                }
            }
            Err(error) => Err(failed(error)),
            Ok(_) => Self::load(path),
        }
    }

    /// The key from a variable's text.
    pub fn from_env(base64: &str) -> Result<Self, KekError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        // One byte more than fits would go unseen; the decoder refuses a slice that is too small.
        match BASE64_STANDARD.decode_slice(base64.trim(), &mut *bytes) {
            Ok(KEY_LEN) => Ok(Self::new(bytes)),
            _ => Err(KekError::Malformed),
        }
    }

    pub fn id(&self) -> KekId {
        self.id
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    fn new(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"adit key-encryption key id\0");
        context.update(&*bytes);
        let hash = context.finish();
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_ref()[..8]);
        Self {
            id: KekId(id),
            bytes,
        }
    }

    pub(super) fn random() -> Result<Self, KekError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| KekError::Random)?;
        Ok(Self::new(bytes))
    }

    fn load(path: &Path) -> Result<Self, KekError> {
        let failed = |source| KekError::Io {
            path: path.into(),
            source,
        };
        let file = fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(KekError::NotAFile(path.into()));
        }
        if open_to_others(&metadata) {
            return Err(KekError::Mode(path.into()));
        }
        let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE as usize));
        match file.take(MAX_KEY_FILE).read_to_string(&mut text) {
            Ok(_) => Self::from_env(&text),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(KekError::Malformed),
            Err(error) => Err(failed(error)),
        }
    }

    /// Written beside and linked into place, so that a crash leaves a whole file or none; on the disk before anything is sealed
    /// with it.
    fn create_file(&self, path: &Path) -> std::io::Result<()> {
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let mut file = private_file().create_new(true).open(&beside)?;
        let text = Zeroizing::new(BASE64_STANDARD.encode(*self.bytes));
        let linked = writeln!(file, "{}", *text)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&beside, path));
        fs::remove_file(&beside)?;
        linked?;
        sync_folder_of(path)
    }
}

/// A name in a folder survives a power cut only when the folder was synced too.
pub(crate) fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::File::open(folder)?.sync_all()
}

/// How to open a file for writing that only its owner may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & forbidden_to(metadata.uid()) != 0
}

/// The bits that a key file of `owner` must not have. systemd and kubernetes hand a secret over as a file of root that the
/// service reads through its group, or through an access list, which looks the same.
#[cfg(unix)]
pub(super) const fn forbidden_to(owner: u32) -> u32 {
    if owner == 0 { 0o037 } else { 0o077 }
}

#[cfg(not(unix))]
fn open_to_others(_: &fs::Metadata) -> bool {
    false
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEncryptionKey({})", self.id)
    }
}
