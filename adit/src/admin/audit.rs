//! `adit admin audit`: lines for people, or one JSON object a line.

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use model::UnixTime;
use proto::v1;
use serde_json::{Value, json};

use super::time::moment;
use crate::{
    cli::AuditCommand,
    failure::{Exit, Failure, OrFail},
    places,
    share::Provider,
};

/// Where records go, and in which form.
struct Sink<'a> {
    out: &'a mut dyn Write,
    json: bool,
}

pub(super) async fn run(
    provider: &Provider,
    command: AuditCommand,
    json: bool,
) -> Result<(), Failure> {
    match command {
        AuditCommand::List {
            since,
            account,
            follow,
        } => {
            let mut sink = Sink {
                out: &mut io::stdout(),
                json,
            };
            let account = account.unwrap_or_default();
            let Some(revision) = list(provider, since_now(since), &account, &mut sink).await?
            else {
                return Ok(());
            };
            if follow {
                self::follow(provider, account, revision, &mut sink).await?;
            }
            Ok(())
        }
        AuditCommand::Export { file } => export(provider, &file).await,
    }
}

fn since_now(since: Duration) -> u64 {
    UnixTime::from(SystemTime::now()).minus(since).as_secs()
}

/// Every page; the revision after which one can follow, or none when the reader has heard enough.
async fn list(
    provider: &Provider,
    since: u64,
    account: &str,
    sink: &mut Sink<'_>,
) -> Result<Option<u64>, Failure> {
    let mut page_token = String::new();
    loop {
        let asked = v1::ListAuditRequest {
            since,
            account: account.to_owned(),
            page_token,
        };
        let page = provider.list_audit(asked).await?;
        for record in &page.records {
            if !sink.write(record)? {
                return Ok(None);
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Some(page.revision));
        }
    }
}

async fn follow(
    provider: &Provider,
    account: String,
    after_revision: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let asked = v1::FollowAuditRequest {
        account,
        after_revision,
    };
    let mut records = provider.follow_audit(asked).await?;
    while let Some(record) = provider.next(&mut records).await? {
        if !sink.write(&record)? {
            break;
        }
    }
    Ok(())
}

async fn export(provider: &Provider, file: &Path) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        let mut out = io::stdout();
        let mut sink = Sink {
            out: &mut out,
            json: true,
        };
        list(provider, 0, "", &mut sink).await?;
        return Ok(());
    }
    let mut sink = Sink {
        out: &mut bytes,
        json: true,
    };
    list(provider, 0, "", &mut sink).await?;
    places::write_private(file, &bytes)
}

impl Sink<'_> {
    /// False when nobody reads any more.
    fn write(&mut self, record: &v1::AuditRecord) -> Result<bool, Failure> {
        let line = if self.json {
            to_json(record).to_string()
        } else {
            line(record)
        };
        let written = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            other => other.map(|()| true).or_fail(Exit::Failed, "cannot write"),
        }
    }
}

fn line(record: &v1::AuditRecord) -> String {
    let by = if record.by_key.is_empty() {
        "the provider"
    } else {
        &record.by_key
    };
    let from = if record.from.is_empty() {
        String::new()
    } else {
        format!(" from {}", record.from)
    };
    format!(
        "{}  {:<16} {:<11} {}  by {by}{from}",
        moment(record.time),
        record.action,
        record.outcome,
        record.target
    )
}

fn to_json(record: &v1::AuditRecord) -> Value {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "time": record.time, "action": record.action, "target": record.target, "account": some(&record.account),
        "by_account": some(&record.by_account), "by_key": some(&record.by_key), "from": some(&record.from),
        "outcome": record.outcome,
    })
}
