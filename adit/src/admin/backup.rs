//! `adit admin backup`: what the provider sends is written to a file, and is in its place only when it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, IsTerminal, Write},
    path::Path,
};

use proto::v1;
use serde_json::json;

use super::Answer;
use crate::{
    failure::{Exit, Failure, OrFail},
    share::Provider,
};

pub(super) async fn run(provider: &Provider, file: &Path) -> Result<Answer, Failure> {
    if file.as_os_str() == "-" {
        let mut out = std::io::stdout();
        if out.is_terminal() {
            let message = "a backup is not for a terminal";
            return Err(Failure::new(Exit::Usage, message).advise("adit admin backup FILE"));
        }
        receive(provider, &mut out, "standard output").await?;
        return Ok(Answer::nothing());
    }
    let name = file.display().to_string();
    let unfinished = file.with_extension(format!("part-{}", std::process::id()));
    let done = keep(provider, file, &unfinished, &name).await;
    if done.is_err() {
        // What was cut off is of no use to anyone; that it cannot be deleted would hide why.
        let _ = fs::remove_file(&unfinished);
    }
    done
}

async fn keep(
    provider: &Provider,
    file: &Path,
    unfinished: &Path,
    name: &str,
) -> Result<Answer, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let cannot = format!("cannot write {name}");
    let mut out = options.open(unfinished).or_fail(Exit::Failed, &cannot)?;
    receive(provider, &mut out, name).await?;
    out.sync_all().or_fail(Exit::Failed, &cannot)?;
    let written = File::open(unfinished).or_fail(Exit::Failed, &cannot)?;
    let backup = store::backup::read(BufReader::new(written)).or_fail(
        Exit::Failed,
        "the provider sent something that is no whole backup",
    )?;
    fs::rename(unfinished, file).or_fail(Exit::Failed, &cannot)?;
    let entries = backup.entries.len();
    let json = json!({
        "file": name, "entries": entries, "revision": backup.header.revision, "sha256": backup.sha256,
    });
    let line = format!(
        "{entries} entries of revision {} are in {name}",
        backup.header.revision
    );
    Ok(Answer::line(json, line))
}

async fn receive(provider: &Provider, out: &mut dyn Write, name: &str) -> Result<(), Failure> {
    let mut parts = provider.export(v1::ExportRequest {}).await?;
    while let Some(part) = provider.next(&mut parts).await? {
        out.write_all(&part.data)
            .or_fail(Exit::Failed, format!("cannot write {name}"))?;
    }
    out.flush()
        .or_fail(Exit::Failed, format!("cannot write {name}"))
}
