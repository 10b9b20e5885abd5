//! The one configuration format of `adit serve`, `adit control-plane` and `adit edge`: TOML, read and checked without looking
//! at the machine.
//!
//! [`File`] is what a file says, [`Serve`], [`ControlPlaneRole`] and [`EdgeRole`] what a command is run with: the file, whatever
//! was typed over it, and the defaults for the rest. Everything that is wrong is found in one pass, each [`Problem`] with the
//! place that it is about; nobody mends a file one error a start. [`typed`] tells the same way what is wrong with the file of
//! `adit run`, which is not the provider's. Secrets are never in a file, only the names of files with them.

mod base_url;
mod conflicts;
mod defaults;
mod example;
mod file;
mod places;
mod problem;
mod reader;
mod roles;
mod similar;
mod typed;
mod written;

pub use self::{
    base_url::{BaseUrl, BaseUrlError},
    defaults::{SESSION_TTL, TOKEN_TTL},
    example::example,
    file::{
        Admin, Certificate, ControlPlane, Edge, File, HostPort, HttpMode, Log, LogFormat, Store,
        StoreKind,
    },
    places::Places,
    problem::{Position, Problem},
    roles::{
        Common, ControlPlaneRole, ControlPlaneSettings, EdgeRole, EdgeSettings, Etcd, Join,
        LogSettings, Role, Serve, StoreSettings,
    },
    typed::typed,
    written::{port_range, show_duration, show_port_range, time},
};

#[cfg(test)]
mod tests;
