//! The table of goals: met or missed.

use std::fmt::Write;

use super::{
    Samples,
    table::{ratio, value},
};
use crate::goals::{self, Bound, Goal};

pub(super) fn write(samples: &Samples) -> String {
    let mut text =
        "### Goals\n\n| goal | row | wanted | measured | |\n|---|---|---|---|---|\n".to_owned();
    for goal in goals::ALL {
        for row in samples.rows.iter().filter(|row| row.starts_with(goal.row)) {
            if let Some(reached) = reached(samples, row, &goal) {
                let (wanted, measured) = said(goal.bound, reached);
                let verdict = if met(goal.bound, reached) {
                    "met"
                } else {
                    "**missed**"
                };
                let _ = writeln!(
                    text,
                    "| {} | {row} | {wanted} | {measured} | {verdict} |",
                    goal.what
                );
            }
        }
    }
    text
}

/// The geometric mean over the goal's metrics; none where one was not measured.
fn reached(samples: &Samples, row: &str, goal: &Goal) -> Option<f64> {
    let values: Option<Vec<f64>> = goal
        .metrics
        .iter()
        .map(|metric| match goal.bound {
            Bound::TimesNginx(_) => ratio(samples, row, metric),
            Bound::AtMost(_) => samples.median(row, metric, value),
        })
        .collect();
    let values = values?;
    let product: f64 = values.iter().product();
    Some(product.powf(1.0 / values.len() as f64))
}

fn met(bound: Bound, reached: f64) -> bool {
    match bound {
        Bound::TimesNginx(least) => reached >= least,
        Bound::AtMost(most) => reached <= most,
    }
}

fn said(bound: Bound, reached: f64) -> (String, String) {
    match bound {
        Bound::TimesNginx(least) => (
            format!("at least {least} x nginx-x2"),
            format!("{reached:.2} x"),
        ),
        Bound::AtMost(most) => (format!("at most {most}"), format!("{reached:.0}")),
    }
}
