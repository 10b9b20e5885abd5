//! What a command answers with.

use std::io::{IsTerminal, Write};

use serde_json::Value;

/// Between columns.
const GAP: &str = "  ";

/// One value for programs; a table, one line or nothing for people.
pub(super) struct Answer {
    json: Value,
    text: Text,
}

enum Text {
    Table(Table),
    Line(String),
    Nothing,
}

pub(super) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Answer {
    pub(super) const fn table(json: Value, table: Table) -> Self {
        Self {
            json,
            text: Text::Table(table),
        }
    }

    /// Also a secret alone.
    pub(super) fn line(json: Value, line: impl Into<String>) -> Self {
        Self {
            json,
            text: Text::Line(line.into()),
        }
    }

    pub(super) const fn nothing() -> Self {
        Self {
            json: Value::Null,
            text: Text::Nothing,
        }
    }

    pub(super) fn print(&self, as_json: bool) {
        let mut out = std::io::stdout().lock();
        let text = match &self.text {
            Text::Nothing => return,
            _ if as_json => format!("{}\n", self.json),
            Text::Line(line) => format!("{line}\n"),
            Text::Table(table) => table.draw(out.is_terminal()),
        };
        // A reader that closed the pipe has heard enough.
        let _ = out.write_all(text.as_bytes());
    }
}

impl Table {
    pub(super) fn new<const N: usize>(
        header: [&'static str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Self {
        Self {
            header: header.into(),
            rows: rows.into_iter().map(Into::into).collect(),
        }
    }

    /// Columns as wide as their widest cell; the header stands out on a terminal and is plain elsewhere.
    fn draw(&self, on_terminal: bool) -> String {
        let mut widths: Vec<usize> = self.header.iter().map(|cell| cell.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<_> = cells
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            padded.join(GAP).trim_end().to_owned()
        };
        let header = line(&mut self.header.iter().copied());
        let mut text = if on_terminal {
            format!("\x1b[1m{header}\x1b[0m\n")
        } else {
            format!("{header}\n")
        };
        for row in &self.rows {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_pipes_get_no_escapes() {
        let rows = [
            ["a".to_owned(), "long cell".to_owned(), String::new()],
            [
                "\u{e4}\u{f6}\u{fc} wide".to_owned(),
                "b".to_owned(),
                "c".to_owned(),
            ],
        ];
        let table = Table::new(["ONE", "TWO", "THREE"], rows);
        assert_eq!(
            table.draw(false),
            "ONE       TWO        THREE\na         long cell\n\u{e4}\u{f6}\u{fc} wide  b          c\n"
        );
        assert!(table.draw(true).starts_with("\x1b[1mONE"));
    }
}
