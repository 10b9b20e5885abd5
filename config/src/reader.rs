//! Takes the keys of a table one by one, notes what is wrong with each, and at the end what nobody asked for.

use std::{ops::Range, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{Places, Position, Problem, similar};

/// What all tables of a file share.
pub(crate) struct Reading<'t> {
    text: &'t str,
    pub(crate) places: Places,
    pub(crate) problems: Vec<Problem>,
}

/// One table, and the keys of it that were asked for.
pub(crate) struct Table<'t> {
    /// Empty for the file itself.
    path: String,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

type Entry<'t> = Spanned<DeValue<'t>>;

impl<'t> Reading<'t> {
    /// The file's own table; of a file that is not TOML, as much as can be read.
    pub(crate) fn begin(text: &'t str) -> (Self, Table<'t>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut reading = Self {
            text,
            places: Places::default(),
            problems: Vec::new(),
        };
        for error in errors {
            let at = error.span().map(|span| reading.position(&span));
            let problem = Problem::new("", error.message().trim()).at(at);
            reading.problems.push(problem);
        }
        let table = Table::new(String::new(), root.into_inner());
        (reading, table)
    }

    fn position(&self, span: &Range<usize>) -> Position {
        Position::of(self.text, span.start)
    }

    pub(crate) fn complain(
        &mut self,
        key: &str,
        span: &Range<usize>,
        message: impl std::fmt::Display,
    ) {
        let at = self.position(span);
        self.problems.push(Problem::new(key, message).at(Some(at)));
    }
}

impl<'t> Table<'t> {
    const fn new(path: String, table: DeTable<'t>) -> Self {
        Self {
            path,
            table,
            known: Vec::new(),
        }
    }

    fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Where this table is, for a problem with the whole of it.
    pub(crate) fn path_if_missing(&self, missing: bool) -> Option<String> {
        missing.then(|| self.path.clone())
    }

    fn take(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
    ) -> Option<(String, Entry<'t>)> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        let path = self.path(key);
        let at = reading.position(&value.span());
        reading.places.note(path.clone(), at);
        Some((path, value))
    }

    /// A table below this one; an empty one where there is none.
    pub(crate) fn section(&mut self, reading: &mut Reading<'t>, key: &'static str) -> Self {
        match self.take(reading, key) {
            None => Self::new(self.path(key), DeTable::new()),
            Some((path, value)) => section(reading, path, value),
        }
    }

    /// `[[key]]`, each time that it stands there.
    pub(crate) fn sections(&mut self, reading: &mut Reading<'t>, key: &'static str) -> Vec<Self> {
        let Some((path, value)) = self.take(reading, key) else {
            return Vec::new();
        };
        let span = value.span();
        let DeValue::Array(items) = value.into_inner() else {
            reading.complain(&path, &span, format!("write it as [[{path}]]"));
            return Vec::new();
        };
        let items = items.into_iter().enumerate();
        items
            .map(|(nth, item)| {
                let path = format!("{path}[{nth}]");
                let at = reading.position(&item.span());
                reading.places.note(path.clone(), at);
                section(reading, path, item)
            })
            .collect()
    }

    /// A string that `T` is parsed from.
    pub(crate) fn text<T>(&mut self, reading: &mut Reading<'t>, key: &'static str) -> Option<T>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        self.parsed(reading, key, |text| {
            text.parse().map_err(|error: T::Err| error.to_string())
        })
    }

    pub(crate) fn parsed<T>(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (path, value) = self.take(reading, key)?;
        one(reading, &path, &value, &parse)
    }

    /// A list of strings. One string alone is a list of one.
    pub(crate) fn list<T>(&mut self, reading: &mut Reading<'t>, key: &'static str) -> Option<Vec<T>>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let (path, value) = self.take(reading, key)?;
        let parse = |text: &str| text.parse().map_err(|error: T::Err| error.to_string());
        match value.get_ref() {
            DeValue::Array(items) => {
                let read = |item| one(reading, &path, item, &parse);
                Some(items.iter().filter_map(read).collect())
            }
            _ => one(reading, &path, &value, &parse).map(|one| vec![one]),
        }
    }

    /// A whole number within `allowed`.
    pub(crate) fn number(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
        allowed: Range<u64>,
    ) -> Option<u64> {
        let (path, value) = self.take(reading, key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| allowed.contains(number));
        if number.is_none() {
            let message = format!(
                "a whole number from {} to {} is expected",
                allowed.start,
                allowed.end - 1
            );
            reading.complain(&path, &value.span(), message);
        }
        number
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        reading: &mut Reading<'t>,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.parsed(reading, key, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                format!("{text:?} is none of {}", all.join(", "))
            })
        })
    }

    /// Complains of the keys that nobody asked for.
    pub(crate) fn finish(self, reading: &mut Reading<'t>) {
        for (key, _) in &self.table {
            let name: &str = key.get_ref();
            let path = self.path(name);
            let at = reading.position(&key.span());
            let problem = similar::no_such_key(&path, name, &self.known).at(Some(at));
            reading.problems.push(problem);
        }
    }
}

fn section<'t>(reading: &mut Reading<'t>, path: String, value: Entry<'t>) -> Table<'t> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(table) => Table::new(path, table),
        _ => {
            reading.complain(&path, &span, format!("a table is expected: [{path}]"));
            Table::new(path, DeTable::new())
        }
    }
}

fn one<T>(
    reading: &mut Reading<'_>,
    path: &str,
    value: &Entry<'_>,
    parse: &impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let parsed = match value.get_ref() {
        DeValue::String(text) => parse(text),
        _ => Err("a string in quotes is expected".into()),
    };
    parsed
        .map_err(|message| reading.complain(path, &value.span(), message))
        .ok()
}
