//! The log, on standard error: text for people, JSON for machines.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// text on a terminal, json elsewhere
    #[default]
    Auto,
    Text,
    Json,
}

/// Starts the log. `RUST_LOG` wins over `-v`.
pub(crate) fn start_log(verbose: u8, format: LogFormat) {
    start(level(verbose), format);
}

/// The log of a provider's process: flags win over its configuration.
pub(crate) fn start_provider_log(settings: &config::LogSettings, verbose: u8, format: LogFormat) {
    let default = match verbose {
        0 => settings.level.as_str(),
        _ => level(verbose),
    };
    let format = match (format, settings.format) {
        (LogFormat::Auto, config::LogFormat::Text) => LogFormat::Text,
        (LogFormat::Auto, config::LogFormat::Json) => LogFormat::Json,
        (format, _) => format,
    };
    start(default, format);
}

const fn level(verbose: u8) -> &'static str {
    match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug,h2=info,hyper=info,quinn=info,rustls=info",
    }
}

fn start(default: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(BoxMakeWriter::new(std::io::stderr));
    match format {
        LogFormat::Auto if terminal => log.init(),
        LogFormat::Text => log.init(),
        LogFormat::Auto | LogFormat::Json => {
            log.json().flatten_event(true).with_span_list(false).init();
        }
    }
}
