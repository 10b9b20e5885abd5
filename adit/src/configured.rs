//! From a file, the environment and flags to the settings of a command. Flags beat the environment (clap sees to that), and
//! both beat the file.

use std::path::Path;

use config::{File, Problem};

use crate::{
    cli::{ProcessArgs, ServeArgs},
    credentials,
    failure::{Exit, Failure},
};

/// What a command is run with, in the words of `config`.
type Settings<T> = fn(&File) -> Result<T, Vec<Problem>>;

pub(crate) fn serve(args: &ServeArgs) -> Result<config::Serve, Failure> {
    let mut file = match &args.config {
        Some(path) => read(path)?,
        None => File::default(),
    };
    overlay(&mut file, args);
    settle(&file, args.config.as_deref(), config::Serve::of)
}

/// Of `adit control-plane` and `adit edge`.
pub(crate) fn role<T>(
    path: &Path,
    process: &ProcessArgs,
    settings: Settings<T>,
) -> Result<T, Failure> {
    let mut file = read(path)?;
    overlay_process(&mut file, process);
    settle(&file, Some(path), settings)
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = credentials::read_bounded(path)?;
    let (file, problems) = File::read(&text);
    if problems.is_empty() {
        Ok(file)
    } else {
        Err(failure(Some(path), &problems))
    }
}

fn settle<T>(file: &File, path: Option<&Path>, settings: Settings<T>) -> Result<T, Failure> {
    settings(file).map_err(|problems| failure(path, &problems))
}

fn overlay(file: &mut File, args: &ServeArgs) {
    overlay_process(file, &args.process);
    let File {
        zone,
        control_plane,
        edge,
        certificates,
        ..
    } = file;
    replace(zone, &args.zone);
    replace(&mut edge.https, &several(&args.https_addr));
    replace(&mut edge.http, &several(&args.http_addr));
    replace(
        &mut control_plane.listen,
        &args.control_addr.map(|addr| vec![addr]),
    );
    replace(&mut control_plane.tcp_ports, &args.tcp_ports);
    if let (Some(certificate), Some(key)) = (&args.certificate, &args.certificate_key) {
        let (certificate, key) = (certificate.clone(), key.clone());
        *certificates = vec![config::Certificate { certificate, key }];
    }
}

fn overlay_process(file: &mut File, args: &ProcessArgs) {
    replace(&mut file.data_dir, &args.data_dir);
    replace(&mut file.admin.listen, &several(&args.admin_addr));
}

fn several<T: Clone>(given: &[T]) -> Option<Vec<T>> {
    (!given.is_empty()).then(|| given.to_vec())
}

fn replace<T: Clone>(of_file: &mut Option<T>, given: &Option<T>) {
    if given.is_some() {
        of_file.clone_from(given);
    }
}

/// All problems in one failure. A single one of a file needs no line above it.
pub(crate) fn failure(path: Option<&Path>, problems: &[Problem]) -> Failure {
    let what = match (path, problems) {
        (Some(_), [problem]) => {
            let failure = Failure::new(Exit::Usage, placed(path, problem));
            return advice(problem).fold(failure, Failure::advise);
        }
        (Some(path), _) => format!("{} cannot be used", path.display()),
        (None, _) => "the configuration is not complete".to_owned(),
    };
    let mut failure = Failure::new(Exit::Usage, what);
    for problem in problems {
        failure = failure.advise(placed(path, problem));
        failure =
            advice(problem).fold(failure, |failure, line| failure.advise(format!("  {line}")));
    }
    failure
}

/// `FILE:4:25: edge.https: …`, as editors and people read it.
fn placed(path: Option<&Path>, problem: &Problem) -> String {
    match (path, problem.at) {
        (Some(path), Some(at)) => format!("{}:{at}: {problem}", path.display()),
        (Some(path), None) => format!("{}: {problem}", path.display()),
        (None, _) => problem.to_string(),
    }
}

fn advice(problem: &Problem) -> impl Iterator<Item = &str> {
    problem.advice.iter().flat_map(|advice| advice.lines())
}
