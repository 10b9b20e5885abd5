//! `adit login`: keep a provider's API key after the provider has taken it.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
};

use agent::{AuthorizationServer, SignInError};
use proto::v1;
use zeroize::Zeroizing;

use crate::{
    cli::LoginArgs,
    credentials::{self, Credentials},
    failure::{Exit, Failure},
    places,
    share::Provider,
};

/// The right to act for an account.
const SCOPE: &str = "api";

pub(crate) async fn run(args: LoginArgs) -> Result<(), Failure> {
    let ca = args
        .ca
        .as_deref()
        .map(credentials::read_bounded)
        .transpose()?;
    let api_key = if args.device {
        ask_elsewhere(&args.server, ca.as_deref()).await?
    } else {
        ask_here(&args.server)?
    };
    let kept = Credentials {
        server: args.server.clone(),
        api_key,
        ca,
    };
    let account = Provider::connect(&kept.server, kept.ca.as_deref(), Some(&kept.api_key))?
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

fn ask_here(server: &str) -> Result<Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "API key for {server} (ends with Enter and Ctrl-D): ");
        let _ = out.flush();
    }
    let typed = Zeroizing::new(credentials::read_stdin("the API key")?);
    let key = typed.trim();
    if key.is_empty() {
        return Err(Failure::new(Exit::Usage, "the API key is empty")
            .advise("adit login URL < key.txt")
            .advise("or, signed in on another machine: adit login URL --device"));
    }
    Ok(Zeroizing::new(key.to_owned()))
}

/// Waits for an answer to a code, and has an API key made for this machine: it can be listed and revoked like any other, and
/// any number of commands may use it at once.
async fn ask_elsewhere(server: &str, ca: Option<&str>) -> Result<Zeroizing<String>, Failure> {
    let anyone = Provider::connect(server, ca, None)?;
    let roots = Arc::new(anyone.roots().clone());
    let at = AuthorizationServer::discover(server, roots)
        .await
        .map_err(failure)?;
    let client = client();
    let code = at.begin_device(&client, SCOPE).await.map_err(failure)?;
    introduce(&code);
    let access = at.wait(&client, &code).await.map_err(failure)?;
    let provider = Provider::connect(server, ca, Some(access.token.expose()))?;
    let made = key_of_its_own(&provider, &client).await;
    // The token has done what it was for, whether that worked or not.
    if let Err(error) = at.revoke(&client, access).await {
        tracing::warn!(%error, "a token that is not needed any more could not be given back");
    }
    made
}

async fn key_of_its_own(provider: &Provider, client: &str) -> Result<Zeroizing<String>, Failure> {
    let wish = v1::CreateApiKeyRequest {
        account: provider.who_am_i().await?.account,
        name: format!("adit login of {client}"),
        role: v1::Role::Member.into(),
    };
    Ok(Zeroizing::new(provider.create_api_key(wish).await?.secret))
}

fn introduce(code: &agent::DeviceCode) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(
        out,
        "To let this machine act for your account, type where you have signed in already:\n\n    \
         adit admin device approve {0}\n\n\
         ({1} tells more.) Waiting for the answer, at most ten minutes ...",
        code.user_code, code.verification_uri
    );
}

/// What whoever answers is shown: which machine asks.
fn client() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c))
        .take(64)
        .collect();
    if name.is_empty() {
        "adit".to_owned()
    } else {
        format!("adit@{name}")
    }
}

fn failure(error: SignInError) -> Failure {
    let exit = match error {
        SignInError::Unreachable(..) => Exit::Unreachable,
        SignInError::NoProvider(..) => Exit::NoProvider,
        SignInError::Denied | SignInError::Expired | SignInError::Refused(_) => Exit::Refused,
    };
    Failure::new(exit, error)
}
