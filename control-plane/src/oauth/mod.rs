//! The authorization server (OAuth 2.1): how a program gets a token of a person, who chooses the name and the rights.
//!
//! What is here decides from its arguments alone: what a client may ask for, which codes and tokens are good. [`crate::Core`]
//! keeps what was decided, `web` speaks HTTP.

mod chain;
mod client;
mod details;
mod error;
mod metadata;
mod parameters;
mod secret;
mod user_code;
mod what;

pub(crate) use self::{
    chain::{Chain, Presented},
    client::Client,
    details::Detail,
    error::{OAuthCode, OAuthError},
    metadata::{DEVICE_GRANT, server},
    parameters::Parameters,
    secret::TimedSecret,
    user_code::UserCode,
    what::{API, TUNNEL, What},
};
