//! `adit service`: systemd units that run adit, as tightly as it can be run.

mod lines;
mod manager;
mod unit;

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use self::{manager::Manager, unit::Unit};
use crate::{
    cli::{InstallArgs, PlaceArgs, RoleName, ServiceCommand, UninstallArgs},
    config_command,
    failure::{Exit, Failure, OrFail},
    places,
};

pub(crate) fn run(command: ServiceCommand) -> Result<(), Failure> {
    match command {
        ServiceCommand::Install(args) => install(&args),
        ServiceCommand::Uninstall(args) => uninstall(&args),
        ServiceCommand::Status(place) => status(&place),
    }
}

fn install(args: &InstallArgs) -> Result<(), Failure> {
    let role = args.role;
    let config = absolute(&args.config)?;
    let credentials: Result<Vec<_>, _> =
        args.credential.iter().map(|path| absolute(path)).collect();
    if role == RoleName::Run && !args.dry_run {
        config_command::require_good(&config, role)?;
    }
    let binary = std::env::current_exe().or_fail(Exit::Failed, "where this program is")?;
    let text = Unit {
        role,
        binary: &binary,
        config: &config,
        credentials: &credentials?,
        of_user: args.place.user,
    }
    .text();
    if args.dry_run {
        say(text.trim_end());
        return Ok(());
    }
    let manager = Manager::of(&args.place)?;
    let (name, path) = unit_of(&manager, role);
    match fs::read_to_string(&path) {
        Ok(old) if old == text => say(&format!("{} is as it should be", path.display())),
        Ok(old) if !args.force && !unit::is_untouched(&old) => {
            return Err(changed_by_hand(&path, &old, &text));
        }
        _ => {
            fs::create_dir_all(&manager.units).or_fail(Exit::Failed, manager.units.display())?;
            places::write_public(&path, text.as_bytes()).map_err(needs_root)?;
            say(&format!("wrote {}", path.display()));
        }
    }
    let steps: [&[&str]; 3] = [
        &["daemon-reload"],
        &["enable", &name],
        // A unit that runs already takes the new text.
        &["restart", &name],
    ];
    told(&manager, &steps)
}

fn uninstall(args: &UninstallArgs) -> Result<(), Failure> {
    let manager = Manager::of(&args.place)?;
    let (name, path) = unit_of(&manager, args.role);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::new(
                Exit::Failed,
                format!("there is no {}", path.display()),
            ));
        }
        Err(error) => {
            return Err(Failure::new(
                Exit::Failed,
                format!("{}: {error}", path.display()),
            ));
        }
    };
    if !args.force && !unit::is_untouched(&text) {
        let message = format!("{} was changed by hand", path.display());
        return Err(Failure::new(Exit::InUse, message).advise("--force removes it all the same"));
    }
    if manager.runs() {
        manager.tell(&["disable", "--now", &name])?;
    }
    fs::remove_file(&path)
        .or_fail(Exit::Failed, format!("cannot remove {}", path.display()))
        .map_err(needs_root)?;
    say(&format!("removed {}", path.display()));
    told(&manager, &[&["daemon-reload"]])
}

fn status(place: &PlaceArgs) -> Result<(), Failure> {
    let manager = Manager::of(place)?;
    let mut found = false;
    for role in RoleName::ALL {
        let (name, path) = unit_of(&manager, role);
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        found = true;
        let show = |property: &str| {
            let value = manager.runs().then(|| manager.show(&name, property));
            value.flatten().unwrap_or_else(|| "unknown".into())
        };
        let by_hand = if unit::is_untouched(&text) {
            ""
        } else {
            ", changed by hand"
        };
        say(&format!(
            "{name}: {} ({}), {}{by_hand}",
            show("ActiveState"),
            show("SubState"),
            show("UnitFileState"),
        ));
    }
    if !found {
        say(&format!(
            "no unit of adit is in {}",
            manager.units.display()
        ));
    }
    if !manager.runs() {
        say("systemd does not run here, or was not to be asked");
    }
    Ok(())
}

fn unit_of(manager: &Manager, role: RoleName) -> (String, PathBuf) {
    let name = role.unit_name();
    let path = manager.units.join(&name);
    (name, path)
}

/// Takes the steps where systemd runs, and says them where it does not.
fn told(manager: &Manager, steps: &[&[&str]]) -> Result<(), Failure> {
    if !manager.runs() {
        say("systemd does not run here, or was not to be asked. Where it does:");
    }
    for step in steps {
        if manager.runs() {
            manager.tell(step)?;
        }
        say(&format!("  {}", manager.typed(step)));
    }
    Ok(())
}

fn changed_by_hand(path: &Path, old: &str, new: &str) -> Failure {
    let message = format!("{} was changed by hand", path.display());
    let failure = Failure::new(Exit::InUse, message);
    lines::difference(old, new)
        .iter()
        .fold(failure, Failure::advise)
        .advise("--force writes over it; `systemctl edit` keeps changes of your own apart")
}

fn needs_root(failure: Failure) -> Failure {
    failure.advise("the units of the system belong to root: sudo adit service …, or --user")
}

/// systemd wants absolute paths, and the files must be there.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let path = std::path::absolute(path).or_fail(Exit::Usage, path.display())?;
    if path.is_file() {
        Ok(path)
    } else {
        Err(Failure::new(
            Exit::Usage,
            format!("there is no {}", path.display()),
        ))
    }
}

fn say(line: &str) {
    // A reader that closed the pipe has heard enough.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
