//! `adit admin usage`.

use std::time::Duration;

use clap::ValueEnum;

use super::duration::duration;

/// What one row sums up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsageStep {
    Hour,
    #[default]
    Day,
    Total,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UsageArgs {
    /// Another account than your own; for administrators
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,

    /// One claim instead of all
    #[arg(long, value_name = "ID")]
    pub(crate) claim: Option<String>,

    /// How far to look back, in hours or days
    #[arg(long, value_name = "36h|7d", default_value = "30d", value_parser = duration)]
    pub(crate) since: Duration,

    /// What one row sums up
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: UsageStep,
}
