//! What a process tells about itself at `/metrics`.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::problem::{Doing, Outcome};

/// By what stands before the value, labels included.
pub(super) type Figures = BTreeMap<String, f64>;

pub(super) fn read(from: SocketAddr) -> Outcome<Figures> {
    let mut stream = TcpStream::connect(from).doing("the metrics of a process")?;
    // HTTP/1.0: nothing comes in chunks.
    let request = b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).doing("ask for metrics")?;
    let mut text = String::new();
    stream.read_to_string(&mut text).doing("read metrics")?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Figures {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let figure = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    lines.filter_map(figure).collect()
}

/// Of all series of one name.
pub(super) fn sum(figures: &Figures, name: &str) -> f64 {
    let of_name = |series: &str| {
        let rest = series.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
    };
    let wanted = figures.iter().filter(|(series, _)| of_name(series));
    wanted.map(|(_, value)| value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added_and_no_others() {
        let figures = parse("# TYPE a gauge\na{x=\"one two\"} 2\na{x=\"3\"} 1.5\nab 7\nb 1e+06\n");
        assert_eq!(sum(&figures, "a"), 3.5);
        assert_eq!(sum(&figures, "b"), 1e6);
        assert_eq!(sum(&figures, "c"), 0.0);
    }
}
