//! `adit login`: keep a provider's API key after the provider has taken it.

use std::io::{IsTerminal, Write};

use zeroize::Zeroizing;

use crate::{
    cli::LoginArgs,
    credentials::{self, Credentials},
    failure::{Exit, Failure},
    places,
    share::Provider,
};

pub(crate) async fn run(args: LoginArgs) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        let mut out = std::io::stderr().lock();
        let _ = write!(
            out,
            "API key for {} (ends with Enter and Ctrl-D): ",
            args.server
        );
        let _ = out.flush();
    }
    let typed = Zeroizing::new(credentials::read_stdin("the API key")?);
    let key = typed.trim();
    if key.is_empty() {
        return Err(
            Failure::new(Exit::Usage, "the API key is empty").advise("adit login URL < key.txt")
        );
    }
    let ca = args
        .ca
        .as_deref()
        .map(credentials::read_bounded)
        .transpose()?;
    let kept = Credentials {
        server: args.server.clone(),
        api_key: Zeroizing::new(key.to_owned()),
        ca,
    };
    let account = Provider::connect(&kept.server, kept.ca.as_deref(), Some(key))?
        .who_am_i()
        .await?;
    let dir = places::config_dir()?;
    kept.save(&dir)?;
    let path = dir.join(credentials::FILE);
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "logged in to {} as {}; the key is kept in {}",
        args.server,
        account.name,
        path.display()
    );
    Ok(())
}
