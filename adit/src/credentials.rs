//! How commands find the provider and what they show it.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use token::Token;
use zeroize::Zeroizing;

use crate::{
    cli::ProviderArgs,
    failure::{Exit, Failure, OrFail},
    places,
};

/// The file's name, in the data directory of `adit dev` and in the configuration directory.
pub(crate) const FILE: &str = "credentials.json";
/// The same for the administrator of a provider, in the data directory of its process.
pub(crate) const ADMIN_FILE: &str = "admin-credential.json";
/// How an agent's credential begins.
const AGENT_PREFIX: &str = "adit_agt_";
/// A token is below 8 KiB and a credentials file below 64 KiB; more than this is not what the user meant to give.
const MAX_FILE: u64 = 256 * 1024;

/// `credentials.json` of docs/cli.md.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) server: String,
    /// An API key, or the credential of an agent.
    #[serde(alias = "credential")]
    pub(crate) api_key: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// What a command shows the provider.
#[derive(Debug)]
pub(crate) enum Access {
    ApiKey(Credentials),
    /// A token from a file, standard input or `ADIT_TOKEN`: it cannot be refreshed.
    Token {
        server: String,
        token: Token,
        ca: Option<String>,
    },
}

impl Access {
    pub(crate) fn server(&self) -> &str {
        match self {
            Self::ApiKey(credentials) => &credentials.server,
            Self::Token { server, .. } => server,
        }
    }

    pub(crate) fn api_key(&self) -> Option<&str> {
        match self {
            Self::ApiKey(credentials) => Some(&credentials.api_key),
            Self::Token { .. } => None,
        }
    }

    pub(crate) fn ca(&self) -> Option<&str> {
        match self {
            Self::ApiKey(credentials) => credentials.ca.as_deref(),
            Self::Token { ca, .. } => ca.as_deref(),
        }
    }
}

impl Credentials {
    /// An agent's credential gets tokens for what it is bound to, and claims nothing.
    pub(crate) fn is_agent(&self) -> bool {
        self.api_key.starts_with(AGENT_PREFIX)
    }

    pub(crate) fn save(&self, dir: &Path) -> Result<(), Failure> {
        places::make_private_dir(dir)?;
        self.save_as(&dir.join(FILE))
    }

    pub(crate) fn save_as(&self, path: &Path) -> Result<(), Failure> {
        let json =
            serde_json::to_vec_pretty(self).or_fail(Exit::Failed, "cannot write a credential")?;
        places::write_private(path, &Zeroizing::new(json))
    }

    fn load(path: &Path) -> Result<Option<Self>, Failure> {
        if !path.exists() {
            return Ok(None);
        }
        Self::read(path).map(Some)
    }

    /// A file that must be there.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = Zeroizing::new(read_bounded(path)?);
        serde_json::from_str(&text).or_fail(Exit::Usage, format!("{} is not valid", path.display()))
    }
}

/// The credential in a directory, if there is one that can be read.
pub(crate) fn kept_in(dir: &Path) -> Result<Option<Credentials>, Failure> {
    match Credentials::load(&dir.join(FILE))? {
        Some(kept) => Ok(Some(kept)),
        None => Credentials::load(&dir.join(ADMIN_FILE)),
    }
}

/// Looks for access in the order that docs/cli.md gives.
pub(crate) fn find(args: &ProviderArgs) -> Result<Access, Failure> {
    let ca = args.ca.as_deref().map(read_bounded).transpose()?;
    let kept = kept_credentials(args)?;
    if let Some(token) = given_token(args)? {
        return with_token(token, args, ca, kept);
    }
    if let Some(text) = given_credential(args)? {
        return with_credential(&text, args, ca, kept);
    }
    let wanted = args.server.as_deref();
    let found = kept
        .into_iter()
        .find(|kept| wanted.is_none_or(|server| same_server(server, &kept.server)));
    match (found, wanted) {
        (Some(mut credentials), _) => {
            credentials.ca = ca.or(credentials.ca);
            Ok(Access::ApiKey(credentials))
        }
        (None, Some(server)) => Err(Failure::new(
            Exit::NoProvider,
            format!("no credential for {server}"),
        )
        .advise(format!("adit login {server}"))),
        (None, None) => Err(no_provider()),
    }
}

fn with_token(
    token: Token,
    args: &ProviderArgs,
    ca: Option<String>,
    kept: Vec<Credentials>,
) -> Result<Access, Failure> {
    // A provider that is known already also tells its CA.
    let known = kept.into_iter().find(|kept| {
        args.server
            .as_deref()
            .is_none_or(|s| same_server(s, &kept.server))
    });
    let (known_server, known_ca) = known.map_or((None, None), |k| (Some(k.server), k.ca));
    let server = args
        .server
        .clone()
        .or(known_server)
        .ok_or_else(no_provider)?;
    Ok(Access::Token {
        server,
        token,
        ca: ca.or(known_ca),
    })
}

/// A file that `adit admin agent create --json` wrote says where the provider is; a credential alone needs to be told.
fn with_credential(
    text: &str,
    args: &ProviderArgs,
    ca: Option<String>,
    kept: Vec<Credentials>,
) -> Result<Access, Failure> {
    let text = text.trim();
    let mut credentials = if text.starts_with('{') {
        serde_json::from_str::<Credentials>(text)
            .or_fail(Exit::Usage, "the credential file is not valid")?
    } else {
        let known = kept.into_iter().find(|kept| {
            args.server
                .as_deref()
                .is_none_or(|server| same_server(server, &kept.server))
        });
        let (server, ca) = known.map_or((None, None), |kept| (Some(kept.server), kept.ca));
        Credentials {
            server: args.server.clone().or(server).ok_or_else(no_provider)?,
            api_key: Zeroizing::new(text.to_owned()),
            ca,
        }
    };
    if credentials.api_key.is_empty() {
        return Err(Failure::new(Exit::Usage, "the credential is empty"));
    }
    if let Some(server) = &args.server {
        credentials.server.clone_from(server);
    }
    credentials.ca = ca.or(credentials.ca);
    Ok(Access::ApiKey(credentials))
}

fn given_credential(args: &ProviderArgs) -> Result<Option<Zeroizing<String>>, Failure> {
    let text = match (&args.credential_file, env::var("ADIT_CREDENTIAL")) {
        (Some(path), _) if path.as_os_str() == "-" => read_stdin("the credential")?,
        (Some(path), _) => read_bounded(path)?,
        (None, Ok(text)) => text,
        (None, Err(_)) => return Ok(None),
    };
    Ok(Some(Zeroizing::new(text)))
}

fn no_provider() -> Failure {
    Failure::new(
        Exit::NoProvider,
        "no provider: adit login https://… or adit dev 3000",
    )
}

fn same_server(one: &str, other: &str) -> bool {
    one.trim_end_matches('/')
        .eq_ignore_ascii_case(other.trim_end_matches('/'))
}

fn kept_credentials(args: &ProviderArgs) -> Result<Vec<Credentials>, Failure> {
    let from_dev = args.data_dir.clone().map_or_else(places::data_dir, Ok)?;
    // A data directory that was asked for by name goes before what `adit login` kept.
    let order: [PathBuf; 2] = match &args.data_dir {
        Some(dir) => [dir.clone(), places::config_dir()?],
        None => [places::config_dir()?, from_dev],
    };
    // What systemd hands over to a service (LoadCredential) is meant for nothing else.
    let handed_over = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let order: Vec<PathBuf> = handed_over.into_iter().chain(order).collect();
    let loaded: Result<Vec<_>, _> = order.iter().map(|dir| kept_in(dir)).collect();
    Ok(loaded?.into_iter().flatten().collect())
}

fn given_token(args: &ProviderArgs) -> Result<Option<Token>, Failure> {
    let text = match (&args.token_file, env::var("ADIT_TOKEN")) {
        (Some(path), _) if path.as_os_str() == "-" => read_stdin("the token")?,
        (Some(path), _) => read_bounded(path)?,
        (None, Ok(text)) => text,
        (None, Err(_)) => return Ok(None),
    };
    let text = Zeroizing::new(text);
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Failure::new(Exit::Usage, "the token is empty"));
    }
    Ok(Some(Token::from(trimmed.to_owned())))
}

pub(crate) fn read_stdin(what: &str) -> Result<String, Failure> {
    read_from(std::io::stdin().lock(), what)
}

pub(crate) fn read_bounded(path: &Path) -> Result<String, Failure> {
    let name = path.display().to_string();
    let file = fs::File::open(path).or_fail(Exit::Usage, format!("cannot open {name}"))?;
    read_from(file, &name)
}

fn read_from(from: impl Read, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .or_fail(Exit::Usage, format!("cannot read {what}"))?;
    if text.len() as u64 > MAX_FILE {
        return Err(Failure::new(
            Exit::Usage,
            format!("{what} is larger than 256 KiB"),
        ));
    }
    Ok(text)
}
