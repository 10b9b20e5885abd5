//! The control plane: does it answer, how soon, and what time it is there.

use std::time::{Duration, Instant, SystemTime};

use proto::v1::{DiscoverRequest, DiscoverResponse, provider_client::ProviderClient};

use super::{
    check::Check,
    clock::{self, Skew},
};
use crate::{failure::Failure, share::Provider};

pub(super) struct Found {
    pub(super) check: Check,
    pub(super) skew: Skew,
    pub(super) about: DiscoverResponse,
}

pub(super) async fn ask(provider: &Provider) -> Result<Found, Failure> {
    let mut client = ProviderClient::new(provider.channel());
    // The first call connects; the second tells how long an answer takes.
    let first = client.discover(DiscoverRequest {}).await;
    first.map_err(|status| provider.failure(&status))?;
    let (sent, begin) = (secs(), Instant::now());
    let answer = client.discover(DiscoverRequest {}).await;
    let answer = answer.map_err(|status| provider.failure(&status))?;
    let round_trip = begin.elapsed();
    let date = answer
        .metadata()
        .get("date")
        .and_then(|date| date.to_str().ok());
    let skew = date
        .and_then(parsed)
        .map_or(Skew::Unknown, |date| clock::skew(sent, date, secs()));
    let about = answer.into_inner();
    Ok(Found {
        check: described(provider, &about, round_trip),
        skew,
        about,
    })
}

fn described(provider: &Provider, about: &DiscoverResponse, round_trip: Duration) -> Check {
    let seen = format!(
        "{} answers in {:.1} ms for the zone {}, edges: {}",
        provider.server(),
        round_trip.as_secs_f64() * 1e3,
        about.zone,
        about.locations.len()
    );
    let check = if about.locations.is_empty() {
        Check::fail("provider", seen)
            .advise("no edge is up: nobody can share anything until the provider starts one")
    } else {
        Check::ok("provider", seen)
    };
    check.took(round_trip)
}

/// Seconds since 1970 of an HTTP date (RFC 9110, section 5.6.7).
fn parsed(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

fn secs() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
