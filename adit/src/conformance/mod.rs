//! `adit conformance`: the kit's cases, asked of a peer, as a table or as JSON.

mod command;

use std::{io::Write, path::Path, sync::Arc};

use conformance::{
    Binding, Case, Report, agent,
    edge::{self, Edge},
};
use serde_json::json;
use tunnel::Secret;
use zeroize::Zeroizing;

use self::command::Template;
use crate::{
    cli::{ConformanceCommand, TestedAgentArgs, TestedEdgeArgs, WhichArgs},
    credentials::{read_bounded, read_stdin},
    failure::{Exit, Failure, OrFail},
    share,
};

pub(crate) async fn run(command: ConformanceCommand) -> Result<(), Failure> {
    match command {
        ConformanceCommand::Edge(args) => of_edge(args).await,
        ConformanceCommand::Agent(args) => of_agent(args).await,
    }
}

async fn of_edge(args: TestedEdgeArgs) -> Result<(), Failure> {
    let cases = chosen(edge::cases(), &args.which.cases)?;
    let (Some(url), Some(token)) = (&args.url, &args.token_file) else {
        list(&cases, args.which.json);
        return Ok(());
    };
    if args.which.list {
        list(&cases, args.which.json);
        return Ok(());
    }
    let (host, port, mut address) = edge::find(url).await.or_fail(Exit::Usage, url)?;
    if let Some(ip) = args.address {
        address.set_ip(ip);
    }
    let ca = args.ca.as_deref().map(read_bounded).transpose()?;
    let expired = args.expired_token_file.as_deref().map(secret);
    let edge = Edge {
        host,
        port,
        address,
        roots: share::roots(ca.as_deref())?,
        token: secret(token)?,
        expired: expired.transpose()?,
        patience: args.which.patience.unwrap_or(conformance::PATIENCE),
    };
    let bindings = bindings(&args.which);
    match edge::run(edge, cases, &bindings).await {
        Ok(report) => tell(&report, &args.which),
        Err(finding) => Err(
            Failure::new(Exit::Unreachable, format!("no session: {finding}"))
                .advise("adit doctor looks at what is between this machine and an edge"),
        ),
    }
}

async fn of_agent(args: TestedAgentArgs) -> Result<(), Failure> {
    let cases = chosen(agent::cases(), &args.which.cases)?;
    let Some(command) = args.run.filter(|_| !args.which.list) else {
        list(&cases, args.which.json);
        return Ok(());
    };
    let patience = args.which.patience.unwrap_or(conformance::PATIENCE);
    let how = (bindings(&args.which), patience);
    let start = Arc::new(Template(command));
    let report = agent::run(start, args.address, cases, (&how.0, how.1)).await;
    tell(&report.or_fail(Exit::Failed, "the kit broke")?, &args.which)
}

fn bindings(which: &WhichArgs) -> Vec<Binding> {
    if which.bindings.is_empty() {
        Binding::ALL.to_vec()
    } else {
        which.bindings.clone()
    }
}

fn chosen<P>(mut cases: Vec<Case<P>>, names: &[String]) -> Result<Vec<Case<P>>, Failure> {
    let unknown = names
        .iter()
        .find(|name| cases.iter().all(|case| case.name != name.as_str()));
    if let Some(unknown) = unknown {
        let failure = Failure::new(Exit::Usage, format!("there is no case {unknown}"));
        return Err(failure.advise("--list says which there are"));
    }
    cases.retain(|case| names.is_empty() || names.iter().any(|name| name == case.name));
    Ok(cases)
}

fn list<P>(cases: &[Case<P>], as_json: bool) {
    let row = |case: &Case<P>| json!({"case": case.name, "section": case.section, "says": case.says, "bindings": case.bindings});
    let text = if as_json {
        format!("{}\n", cases.iter().map(row).collect::<serde_json::Value>())
    } else {
        let line =
            |case: &Case<P>| format!("{:<5}  {:<24}  {}\n", case.section, case.name, case.says);
        cases.iter().map(line).collect()
    };
    print(&text);
}

fn tell(report: &Report, which: &WhichArgs) -> Result<(), Failure> {
    if which.json {
        let text = serde_json::to_string(report).or_fail(Exit::Failed, "the report")?;
        print(&format!("{text}\n"));
    } else {
        print(&report.to_string());
    }
    if report.failed > 0 {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} failed", report.failed),
        ));
    }
    if which.all && report.not_tested > 0 {
        let message = format!("{} could not be tested", report.not_tested);
        return Err(Failure::new(Exit::Failed, message));
    }
    Ok(())
}

fn print(text: &str) {
    // A reader that closed the pipe has read enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn secret(path: &Path) -> Result<Secret, Failure> {
    let text = if path.as_os_str() == "-" {
        read_stdin("the token")?
    } else {
        read_bounded(path)?
    };
    let text = Zeroizing::new(text);
    Ok(Secret::from(text.trim().to_owned()))
}
