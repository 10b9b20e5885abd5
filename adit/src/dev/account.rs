//! The account of whoever runs `adit dev`, and the credential that other commands on this machine find.

use std::{path::Path, time::SystemTime};

use control_plane::{Core, DevCa};
use model::Role;
use zeroize::Zeroizing;

use crate::{
    credentials::{self, Credentials},
    failure::{Exit, Failure, OrFail},
};

const ACCOUNT: &str = "dev";

/// Makes sure that `credentials.json` opens this provider: the one that is there if it does, else a new account or key.
pub(super) async fn ensure(core: &Core, ca: &DevCa, data_dir: &Path) -> Result<(), Failure> {
    let ca = Some(ca.certificate_pem().to_owned());
    let server = core.issuer().to_owned();
    let kept = credentials::kept_in(data_dir)?;
    if let Some(kept) = kept
        && core.authenticate(&kept.api_key).await.is_ok()
    {
        // The address may have moved since.
        return Credentials { server, ca, ..kept }.save(data_dir);
    }
    let now = SystemTime::now().into();
    let account = match core
        .first_account()
        .await
        .or_fail(Exit::Failed, "the store")?
    {
        Some(account) => account,
        None => core
            .create_account(ACCOUNT, now)
            .await
            .or_fail(Exit::Failed, "the store")?,
    };
    let key = core
        .create_api_key(&account, ACCOUNT, Role::Admin, now)
        .await
        .or_fail(Exit::Failed, "the store")?;
    Credentials {
        server,
        api_key: Zeroizing::new(key.secret.to_string()),
        ca,
    }
    .save(data_dir)
}
