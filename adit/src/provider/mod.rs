//! What every process of a provider is made of, whichever parts it runs: `adit dev`, `adit serve`, `adit control-plane` and
//! `adit edge` take from here and add their own beginnings.

pub(crate) mod access_log;
pub(crate) mod administrator;
pub(crate) mod certificates;
pub(crate) mod dev_ca;
mod edge_config;
mod holder;
pub(crate) mod listening;
pub(crate) mod lock;
pub(crate) mod notify;
pub(crate) mod running;
pub(crate) mod storage;

pub(crate) use self::{edge_config::edge_config, lock::Lock, running::Running};
