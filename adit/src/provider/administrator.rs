//! The provider's first account, and where its key is written down.

use std::path::{Path, PathBuf};

use control_plane::Core;
use zeroize::Zeroizing;

use crate::{
    credentials::{self, Credentials},
    failure::{Exit, Failure, OrFail},
};

const ACCOUNT: &str = "administrator";

/// Makes the administrator's account and key unless the provider has them already; says where the key is, if it made one.
///
/// The key is written down before the store learns of it: a crash in between leaves a key that opens nothing, and the next
/// start makes another one, but never a provider whose only key nobody has.
pub(crate) async fn ensure(
    core: &Core,
    ca: Option<&str>,
    data_dir: &Path,
) -> Result<Option<PathBuf>, Failure> {
    let failed = "the administrator's account cannot be made";
    if core
        .has_administrator()
        .await
        .or_fail(Exit::Failed, failed)?
    {
        return Ok(None);
    }
    let now = std::time::SystemTime::now().into();
    let wanted = core
        .prepare_administrator(ACCOUNT, now)
        .or_fail(Exit::Failed, failed)?;
    let path = data_dir.join(credentials::ADMIN_FILE);
    let credential = Credentials {
        server: core.issuer().to_owned(),
        api_key: Zeroizing::new(wanted.secret().to_owned()),
        ca: ca.map(ToOwned::to_owned),
    };
    credential.save_as(&path)?;
    if core
        .make_administrator(wanted)
        .await
        .or_fail(Exit::Failed, failed)?
    {
        return Ok(Some(path));
    }
    // Another control plane was faster, and has written down a key that works.
    std::fs::remove_file(&path).or_fail(Exit::Failed, path.display())?;
    Ok(None)
}
