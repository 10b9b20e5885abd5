//! Device codes (RFC 8628): a program shows a short code, and somebody who is known to the provider types it in and agrees.

use std::{net::IpAddr, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use model::{ClaimId, GrantId, Revision, UnixTime};
use serde::{Deserialize, Serialize};
use store::{Commit, Entry, Key, Transaction, layout};

use super::{
    Caller, Core,
    consent::{Consent, Rights, Tokens},
};
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
    oauth::{Client, OAuthCode, OAuthError, TimedSecret, UserCode, What},
};

/// Long enough to find the telephone and sign in.
pub(crate) const DEVICE_LIVES: Duration = Duration::from_secs(10 * 60);
/// Between two questions of a device (RFC 8628, section 3.2: the default).
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// What stands at `secret/device/TIME-HASH`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredDevice {
    client: Client,
    what: What,
    user_code: String,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum State {
    Pending,
    Agreed(Box<Consent>),
    Denied,
}

/// What stands at `secret/user-code/HASH`.
#[derive(Serialize, Deserialize)]
struct Pointer {
    expires: UnixTime,
    hash: [u8; 32],
}

/// The codes of a device, in the only moment in which both are known.
pub(crate) struct DeviceCodes {
    pub(crate) device: TimedSecret,
    pub(crate) user: UserCode,
}

/// A device that waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct WaitingDevice {
    pub(crate) client: Client,
    pub(crate) what: What,
    pub(crate) code: UserCode,
    place: Key,
    seen: Revision,
    stored: StoredDevice,
}

impl Core {
    /// Codes for a device. `from` is bounded, because each costs two entries of the store.
    pub(crate) async fn begin_device(
        &self,
        client: Client,
        what: What,
        from: IpAddr,
        now: UnixTime,
    ) -> Result<DeviceCodes, OAuthError> {
        if !self.allowances.may_have_device_code(from, now) {
            self.metrics.hit(Hit::DeviceCodes);
            let why = "too many device codes were asked for from this address: wait some minutes";
            return Err(OAuthError::new(OAuthCode::TemporarilyUnavailable, why));
        }
        let device = TimedSecret::new(now.plus(DEVICE_LIVES));
        let user = UserCode::draw(&mut rand::rng());
        let (place, pointer) = (
            layout::device(device.expires(), &device.hash()),
            layout::user_code(&hash(&user)),
        );
        let stored = StoredDevice {
            client,
            what,
            user_code: user.to_string(),
            state: State::Pending,
        };
        let points = Pointer {
            expires: device.expires(),
            hash: device.hash(),
        };
        let change = Transaction::new()
            .if_absent(place.clone())
            .if_absent(pointer.clone())
            .put(place.clone(), self.seal(&place, &stored)?)
            .put(pointer.clone(), self.seal(&pointer, &points)?);
        match self.store.commit(change).await? {
            Commit::Done(_) => Ok(DeviceCodes { device, user }),
            Commit::Conflict => {
                let why = "try again";
                Err(OAuthError::new(OAuthCode::TemporarilyUnavailable, why))
            }
        }
    }

    /// The device that shows `code`, if it still waits.
    pub(crate) async fn waiting_device(
        &self,
        code: &UserCode,
        now: UnixTime,
    ) -> Result<Option<WaitingDevice>, ControlError> {
        let found: Option<(Pointer, _)> = self.open(&layout::user_code(&hash(code))).await?;
        let Some((pointer, _)) = found.filter(|(pointer, _)| pointer.expires > now) else {
            return Ok(None);
        };
        let place = layout::device(pointer.expires, &pointer.hash);
        let found: Option<(StoredDevice, _)> = self.open(&place).await?;
        Ok(found
            .filter(|(stored, _)| matches!(stored.state, State::Pending))
            .map(|(stored, seen)| WaitingDevice {
                client: stored.client.clone(),
                what: stored.what.clone(),
                code: code.clone(),
                place,
                seen,
                stored,
            }))
    }

    /// Says yes to a device: from now on it may serve these claims, or call for the account.
    pub(crate) async fn agree_device(
        &self,
        caller: &Caller,
        device: WaitingDevice,
        claims: Vec<ClaimId>,
        now: UnixTime,
    ) -> Result<GrantId, ControlError> {
        let rights = match &device.what {
            What::Api if claims.is_empty() => Rights::Api,
            What::Api => return Err(ControlError::invalid("scope api is for no claim")),
            What::Tunnel(wishes) if claims.len() == wishes.len() => {
                self.must_own_claims(&caller.account, &claims).await?;
                Rights::Tunnel(claims)
            }
            What::Tunnel(wishes) => {
                return Err(ControlError::invalid(format!(
                    "the device asks for {} endpoints, and {} were chosen",
                    wishes.len(),
                    claims.len()
                )));
            }
        };
        self.must_have_room_for_consents(&caller.account).await?;
        let consent = Consent::new(caller, device.client.clone(), rights, now);
        let grant = consent.grant.clone();
        self.answer_device(device, State::Agreed(Box::new(consent)))
            .await?;
        Ok(grant)
    }

    pub(crate) async fn deny_device(&self, device: WaitingDevice) -> Result<(), ControlError> {
        self.answer_device(device, State::Denied).await
    }

    async fn answer_device(&self, device: WaitingDevice, state: State) -> Result<(), ControlError> {
        let stored = StoredDevice {
            state,
            ..device.stored
        };
        // A code is typed once: from now on it names nothing.
        let change = Transaction::new()
            .if_revision(device.place.clone(), device.seen)
            .put(device.place.clone(), self.seal(&device.place, &stored)?)
            .delete(layout::user_code(&hash(&device.code)));
        match self.store.commit(change).await? {
            Commit::Done(_) => Ok(()),
            Commit::Conflict => Err(ControlError::new(
                ErrorCode::NotFound,
                "the code has been used",
            )),
        }
    }

    /// A device asks whether somebody has agreed (RFC 8628, section 3.4).
    pub(crate) async fn poll_device(
        &self,
        code: &str,
        client: &str,
        now: UnixTime,
    ) -> Result<Tokens, OAuthError> {
        let expired = || OAuthError::new(OAuthCode::ExpiredToken, "the device code has expired");
        let refused = || OAuthError::invalid_grant("the device code is not valid (any more)");
        let code = TimedSecret::read(code).ok_or_else(refused)?;
        if code.expires() <= now {
            return Err(expired());
        }
        if !self.allowances.may_poll(code.hash(), now) {
            let why = "ask less often: 5 seconds more between two questions";
            return Err(OAuthError::new(OAuthCode::SlowDown, why));
        }
        let place = layout::device(code.expires(), &code.hash());
        let found: Option<(StoredDevice, _)> = self.open(&place).await?;
        let (stored, seen) = found
            .filter(|(stored, _)| stored.client.id() == client)
            .ok_or_else(refused)?;
        let spent = Transaction::new()
            .if_revision(place.clone(), seen)
            .delete(place.clone());
        match stored.state {
            State::Pending => {
                let why = "nobody has agreed yet";
                Err(OAuthError::new(OAuthCode::AuthorizationPending, why))
            }
            State::Denied => {
                let _ = self.store.commit(spent).await?;
                let why = "the answer was no";
                Err(OAuthError::new(OAuthCode::AccessDenied, why))
            }
            State::Agreed(consent) => {
                let tokens = self.tokens_of(&consent, now).await?;
                let change = self.begin_consent(spent, &consent, now)?;
                match self.store.commit(change).await? {
                    Commit::Done(_) => Ok(tokens),
                    // The code is gone: another one was faster with it.
                    Commit::Conflict => Err(refused()),
                }
            }
        }
    }

    /// Forgets codes whose time is over.
    pub(crate) async fn prune_devices(&self, now: UnixTime) -> Result<usize, ControlError> {
        let (entries, _) = store::entries(&*self.store, &layout::devices()).await?;
        let is_old =
            |entry: &Entry| layout::device_expires(&entry.key).is_none_or(|expires| expires <= now);
        let mut forgotten = 0;
        for entry in entries.into_iter().take_while(is_old) {
            let mut change = Transaction::new().delete(entry.key.clone());
            if let Some((device, _)) = self.open::<StoredDevice>(&entry.key).await?
                && let Some(code) = UserCode::read(&device.user_code)
            {
                change = change.delete(layout::user_code(&hash(&code)));
            }
            let _ = self.store.commit(change).await?;
            forgotten += 1;
        }
        Ok(forgotten)
    }
}

fn hash(code: &UserCode) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, code.to_string().as_bytes()).as_ref());
    hash
}
