//! The resume secret of a tunnel: in memory, and on disk where the agent has a place for it.

use tunnel::{Secret, message::Bind};

use crate::{builder::Settings, resume::ResumeFile};

#[derive(Debug, Default)]
pub(super) struct Keeper {
    secret: Option<Secret>,
    file: Option<ResumeFile>,
}

impl Keeper {
    /// Takes hold of the file and what is in it, unless it is held already, by this tunnel or by another process. Trouble
    /// with the disk costs the resume over a restart, and nothing else.
    pub(super) fn open(&mut self, settings: &Settings, binds: &[Bind]) {
        let Some(directory) = settings
            .state_dir
            .as_deref()
            .filter(|_| self.file.is_none())
        else {
            return;
        };
        let parts = parts(settings, binds);
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        match ResumeFile::open(directory, &parts) {
            Ok(Some(file)) => {
                self.secret = self.secret.take().or_else(|| file.load());
                self.file = Some(file);
            }
            Ok(None) => tracing::info!("another process here holds the same endpoints"),
            Err(error) => {
                tracing::warn!(%error, "a restart will not resume: {}", directory.display());
            }
        }
    }

    pub(super) fn secret(&self) -> Option<Secret> {
        self.secret.clone()
    }

    pub(super) fn keep(&mut self, secret: Option<Secret>) {
        if let (Some(file), Some(secret)) = (&self.file, &secret)
            && let Err(error) = file.keep(secret)
        {
            tracing::warn!(%error, "a restart will not resume");
        }
        self.secret = secret;
    }

    pub(super) fn forget(&self) {
        if let Some(file) = &self.file {
            file.forget();
        }
    }
}

/// What a resume secret is for: the provider, and the endpoints in any order or what the owner says in their place.
fn parts(settings: &Settings, binds: &[Bind]) -> Vec<String> {
    let mut names: Vec<_> = match &settings.resume_as {
        Some(name) => vec![name.clone()],
        None => binds.iter().map(endpoint).collect(),
    };
    names.sort();
    names.insert(0, settings.provider.clone());
    names
}

fn endpoint(bind: &Bind) -> String {
    let name = bind.name().map(|name| name.to_string());
    format!("{} {}", bind.kind, name.unwrap_or_default())
}
