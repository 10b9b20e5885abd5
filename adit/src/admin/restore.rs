//! `adit admin restore`: into the store of a provider that does not run, because a running one would be changed under its feet.

use std::{fs::File, io::BufReader};

use serde_json::json;
use store::{
    Embedded, Envelope, KeyEncryptionKey,
    backup::{self, Backup, Over, RestoreError},
};

use super::Answer;
use crate::{
    cli::{ProviderArgs, RestoreArgs},
    failure::{Exit, Failure, OrFail},
    places,
    provider::Lock,
};

pub(super) async fn run(args: RestoreArgs, provider: &ProviderArgs) -> Result<Answer, Failure> {
    let name = args.file.display().to_string();
    let file = File::open(&args.file).or_fail(Exit::Usage, &name)?;
    let backup = backup::read(BufReader::new(file)).or_fail(Exit::Failed, &name)?;
    if args.check {
        return Ok(told(&backup, "is whole", 0));
    }
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
    let kek = KeyEncryptionKey::load_or_create_file(&key_file)
        .or_fail(Exit::Failed, "the key of the store")?;
    let envelope = Envelope::new(kek, Vec::new());
    let store = Embedded::open(data_dir.join(places::STORE))
        .await
        .or_fail(Exit::Failed, "the store")?;
    let over = if args.replace {
        Over::Everything
    } else {
        Over::Nothing
    };
    let restored = backup::restore(&store, &envelope, &backup, over).await;
    store.close().await;
    let restored = restored.map_err(|error| failure(&error))?;
    Ok(told(&backup, "is restored", restored.deleted))
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
