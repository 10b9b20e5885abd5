//! Tables in Markdown, made from raw samples and from nothing else.

mod goals;
mod scale;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    problem::{Doing, Outcome},
    sample::Sample,
};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// The directory that `run` wrote to
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Put the tables between the markers of this file instead of printing them
    #[arg(long)]
    into: Option<PathBuf>,
}

/// Samples by row and metric, in the order in which rows came.
pub(crate) struct Samples {
    pub(crate) rows: Vec<String>,
    by: BTreeMap<(String, String), Vec<Sample>>,
}

pub(crate) fn run(args: &ReportArgs) -> Outcome<()> {
    let samples = Samples::read(&args.out.join("samples.jsonl"))?;
    let scale = scale::write(&args.out.join("scale.jsonl"))?;
    let (goals, tables) = (goals::write(&samples), table::write(&samples));
    let text = format!("{tables}\n{goals}{scale}");
    match &args.into {
        None => print!("{text}"),
        Some(file) => between_markers(file, &text)?,
    }
    Ok(())
}

impl Samples {
    fn read(path: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(path).doing(&path.display().to_string())?;
        let (mut rows, mut by) = (Vec::new(), BTreeMap::<_, Vec<Sample>>::new());
        for line in text.lines() {
            let sample: Sample = serde_json::from_str(line).doing("a sample")?;
            if !rows.contains(&sample.row) {
                rows.push(sample.row.clone());
            }
            let key = (sample.row.clone(), sample.metric.clone());
            by.entry(key).or_default().push(sample);
        }
        Ok(Self { rows, by })
    }

    pub(crate) fn of(&self, row: &str, metric: &str) -> &[Sample] {
        let found = self.by.get(&(row.to_owned(), metric.to_owned()));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Sample> {
        self.by.values().flatten()
    }

    /// The median of a value over the samples of a row.
    pub(crate) fn median(
        &self,
        row: &str,
        metric: &str,
        value: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        median(self.of(row, metric).iter().filter_map(value).collect())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

const BEGIN: &str = "<!-- made by `benches report`: begin -->";
const END: &str = "<!-- made by `benches report`: end -->";

fn between_markers(file: &Path, text: &str) -> Outcome<()> {
    let name = file.display().to_string();
    let page = fs::read_to_string(file).doing(&name)?;
    let (before, rest) = page
        .split_once(BEGIN)
        .ok_or("no begin marker")
        .doing(&name)?;
    let (_, after) = rest.split_once(END).ok_or("no end marker").doing(&name)?;
    fs::write(file, format!("{before}{BEGIN}\n\n{text}\n{END}{after}")).doing(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("page.md");
        fs::write(&file, format!("head\n{BEGIN}\nold\n{END}\ntail\n")).unwrap();
        between_markers(&file, "new\n").unwrap();
        let page = fs::read_to_string(&file).unwrap();
        assert_eq!(page, format!("head\n{BEGIN}\n\nnew\n\n{END}\ntail\n"));
    }
}
