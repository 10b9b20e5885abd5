//! `adit admin restore`: into the store of a provider that does not run, because a running one would be changed under its feet.

use std::{fs::File, io::BufReader, path::Path};

use serde_json::json;
use store::{
    Embedded,
    backup::{self, Backup, Over, RestoreError, Restored},
};

use super::Answer;
use crate::{
    cli::{ProcessArgs, ProviderArgs, RestoreArgs},
    configured,
    failure::{Exit, Failure, OrFail},
    observe, places,
    provider::{Lock, storage},
};

pub(super) async fn run(args: RestoreArgs, provider: &ProviderArgs) -> Result<Answer, Failure> {
    let name = args.file.display().to_string();
    let file = File::open(&args.file).or_fail(Exit::Usage, &name)?;
    let backup = backup::read(BufReader::new(file)).or_fail(Exit::Failed, &name)?;
    if args.check {
        return Ok(told(&backup, "is whole", 0));
    }
    let over = if args.replace {
        Over::Everything
    } else {
        Over::Nothing
    };
    let restored = match &args.config {
        Some(config) => into_etcd(config, &backup, over).await?,
        None => into_file(provider, &backup, over).await?,
    };
    Ok(told(&backup, "is restored", restored.deleted))
}

async fn into_file(
    provider: &ProviderArgs,
    backup: &Backup,
    over: Over,
) -> Result<Restored, Failure> {
    let data_dir = provider
        .data_dir
        .clone()
        .map_or_else(places::data_dir, Ok)?;
    let key_file = data_dir.join(places::STORE_KEY);
    if !key_file.exists() {
        let message = format!("{} is missing", key_file.display());
        return Err(Failure::new(Exit::Usage, message).advise(
            "put the store.key of the provider that was backed up there: what is secret in the backup is sealed with it",
        ));
    }
    // Neither a provider nor another restore works on the directory meanwhile.
    let _lock = Lock::take(&data_dir, "adit admin restore")?;
    let envelope = storage::envelope(&key_file)?;
    let store = Embedded::open(data_dir.join(places::STORE))
        .await
        .or_fail(Exit::Failed, "the store")?;
    let restored = backup::restore(&store, &envelope, backup, over).await;
    store.close().await;
    restored.map_err(|error| failure(&error))
}

async fn into_etcd(config: &Path, backup: &Backup, over: Over) -> Result<Restored, Failure> {
    let nothing_more = ProcessArgs {
        data_dir: None,
        threads: None,
        admin_addr: Vec::new(),
        json: false,
    };
    let settings = configured::role(config, &nothing_more, config::ControlPlaneRole::of)?;
    let key_file = settings.control_plane.key_encryption_key_file.as_deref();
    let envelope = storage::shared_envelope(key_file)?;
    let data_dir = settings.common.data_dir;
    let data_dir = data_dir.map_or_else(places::provider_data_dir, Ok)?;
    let mut registry = observe::registry();
    let store = storage::open(&settings.common.store, &data_dir, &mut registry).await?;
    let restored = backup::restore(&*store, &envelope, backup, over).await;
    restored.map_err(|error| failure(&error))
}

fn failure(error: &RestoreError) -> Failure {
    let (exit, advice) = match error {
        RestoreError::NotEmpty(_) => (
            Exit::Refused,
            Some("choose an empty --data-dir, or delete what is there with --replace"),
        ),
        RestoreError::Sealed { .. } => (
            Exit::Credential,
            Some("put the store.key that belongs to this backup into the data directory"),
        ),
        RestoreError::Another | RestoreError::Contended => (Exit::InUse, None),
        RestoreError::Schema(_) | RestoreError::Store(_) => (Exit::Failed, None),
    };
    let failure = Failure::new(exit, error);
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

fn told(backup: &Backup, what: &str, deleted: usize) -> Answer {
    let (header, entries) = (&backup.header, backup.entries.len());
    let json = json!({
        "entries": entries, "deleted": deleted, "revision": header.revision, "issuer": header.issuer,
        "created": header.created, "sha256": backup.sha256,
    });
    let line = format!(
        "the backup of {} from {} {what}: {entries} entries",
        header.issuer,
        super::time::moment(header.created.as_secs())
    );
    Answer::line(json, line)
}
