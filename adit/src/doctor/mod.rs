//! `adit doctor`: one look at everything between this machine and a visitor, and what to do about what is wrong.

mod certificate;
mod check;
mod clock;
mod credential;
mod edge;
mod environment;
mod provider;

use std::{sync::Arc, time::SystemTime};

use agent::Location;
use model::UnixTime;
use rustls::RootCertStore;

use self::check::{Check, Report};
use crate::{
    cli::DoctorArgs,
    credentials,
    failure::{Exit, Failure},
    share::Provider,
};

pub(crate) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut report = Report::begin(args.json);
    look(&args, &mut report).await;
    let failed = report.finish();
    if failed == 0 {
        return Ok(());
    }
    let what = if failed == 1 { "check" } else { "checks" };
    Err(Failure::new(
        Exit::Failed,
        format!("{failed} {what} failed"),
    ))
}

/// Every check that can be made; one that fails ends only those that need what it looked for.
async fn look(args: &DoctorArgs, report: &mut Report) {
    if let Some(check) = environment::proxies(|name| std::env::var(name).ok()) {
        report.add(check);
    }
    let access = match credentials::find(&args.provider) {
        Ok(access) => access,
        Err(failure) => return report.add(Check::failed("credential", &failure)),
    };
    let connected = Provider::connect(access.server(), access.ca(), access.api_key());
    let provider = match connected {
        Ok(provider) => provider,
        Err(failure) => return report.add(Check::failed("provider", &failure)),
    };
    let roots = Arc::new(provider.roots().clone());
    let server = server_location(access.server());
    if let Some(server) = &server {
        report.add(edge::names("provider", server).await);
    }
    let found = provider::ask(&provider).await;
    let about = match found {
        Ok(found) => {
            report.add(found.check);
            report.add(clock::check(found.skew));
            Some(found.about)
        }
        Err(failure) => {
            report.add(Check::failed("provider", &failure));
            None
        }
    };
    if access.server().starts_with("https://")
        && let Some(server) = &server
    {
        report.add(edge::served_certificate("provider", server, &roots, now()).await);
    }
    report.add(credential::check(&provider, &access, now()).await);
    edges(
        &about.map(|about| about.locations).unwrap_or_default(),
        &roots,
        report,
    )
    .await;
}

async fn edges(locations: &[String], roots: &Arc<RootCertStore>, report: &mut Report) {
    for text in locations {
        match text.parse::<Location>() {
            Ok(location) => {
                let checks = edge::check(&location, roots, now()).await;
                checks.into_iter().for_each(|check| report.add(check));
            }
            Err(error) => {
                let check = Check::fail("edge", format!("{text}: {error}"));
                report.add(check.advise("tell the provider: agents cannot use it"));
            }
        }
    }
}

/// Where a provider is, with the port that its scheme means.
fn server_location(server: &str) -> Option<Location> {
    let (scheme, rest) = server.split_once("://")?;
    let rest = rest.trim_end_matches('/');
    let has_port = rest
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let url = if scheme == "http" && !has_port {
        format!("https://{rest}:80")
    } else {
        format!("https://{rest}")
    };
    url.parse().ok()
}

fn now() -> UnixTime {
    SystemTime::now().into()
}
