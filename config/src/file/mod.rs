//! What a file says, key by key. What it does not say is none.

mod sections;

use std::path::PathBuf;

use model::Hostname;

pub use self::sections::{
    Admin, Certificate, ControlPlane, Edge, HostPort, HttpMode, Log, LogFormat, Store, StoreKind,
};
use crate::{Places, Problem, reader::Reading};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    pub zone: Option<Hostname>,
    pub data_dir: Option<PathBuf>,
    pub store: Store,
    pub control_plane: ControlPlane,
    pub edge: Edge,
    pub certificates: Vec<Certificate>,
    pub admin: Admin,
    pub log: Log,
    pub places: Places,
}

impl File {
    /// As much of `text` as can be understood, and everything that is wrong with it, in the order of the file.
    pub fn read(text: &str) -> (Self, Vec<Problem>) {
        let (mut reading, mut root) = Reading::begin(text);
        let r = &mut reading;
        let mut file = Self {
            zone: root.text(r, "zone"),
            data_dir: root.text(r, "data_dir"),
            store: Store::read(root.section(r, "store"), r),
            control_plane: ControlPlane::read(root.section(r, "control-plane"), r),
            edge: Edge::read(root.section(r, "edge"), r),
            certificates: Vec::new(),
            admin: Admin::read(root.section(r, "admin"), r),
            log: Log::read(root.section(r, "log"), r),
            places: Places::default(),
        };
        let certificates = root.sections(r, "certificates");
        file.certificates = certificates
            .into_iter()
            .filter_map(|table| Certificate::read(table, r))
            .collect();
        root.finish(r);
        let Reading {
            places,
            mut problems,
            ..
        } = reading;
        file.places = places;
        problems.sort_by_key(|problem| problem.at);
        (file, problems)
    }
}
