use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::message::{AgentMessage, EdgeMessage};

fn lines(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, LineError> {
    let mut splitter = LineSplitter::default();
    let mut lines = Vec::new();
    for piece in pieces {
        splitter.push(piece);
        while let Some(line) = splitter.next_line()? {
            lines.push(line);
        }
    }
    Ok(lines)
}

#[test]
fn a_line_may_have_exactly_its_bound() {
    let mut longest = vec![b'x'; limits::CONTROL_LINE - 1];
    longest.push(b'\n');
    assert_eq!(
        lines(&[&longest]).unwrap()[0].len(),
        limits::CONTROL_LINE - 1
    );
    longest.insert(0, b'x');
    assert!(matches!(lines(&[&longest]), Err(LineError::TooLong)));
    let endless = vec![b'x'; limits::CONTROL_LINE];
    assert!(matches!(lines(&[&endless]), Err(LineError::TooLong)));
}

#[test]
fn blank_lines_are_passed_over() {
    assert_eq!(
        lines(&[b"\n\r\n a\n", b"  ", b"\nb\r\n"]).unwrap(),
        [&b" a"[..], b"b\r"]
    );
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_how_they_arrive(bytes in proptest::collection::vec(select_byte(), 0..300), cuts: Vec<prop::sample::Index>) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let expected: Vec<_> = bytes
            .split_inclusive(|b| *b == b'\n')
            .filter_map(|line| line.strip_suffix(b"\n"))
            .filter(|line| !line.trim_ascii().is_empty())
            .collect();
        prop_assert_eq!(lines(&pieces).unwrap(), expected);
    }
}

fn select_byte() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(b'\n'), 2 => Just(b' '), 5 => any::<u8>()]
}

#[tokio::test]
async fn messages_cross_a_stream_and_its_end_is_told_from_a_cut() {
    let (here, mut there) = tokio::io::duplex(64);
    let mut reader = ControlReader::new(here);
    let sending = async {
        let mut writer = ControlWriter::new(&mut there);
        for n in 0..100 {
            writer.send(&AgentMessage::Ping { n }).await.unwrap();
        }
        writer.finish().await.unwrap();
    };
    let receiving = async {
        for n in 0..100 {
            let message = reader.next().await.unwrap();
            assert_eq!(message, Some(AgentMessage::Ping { n }));
        }
        assert!(reader.next::<AgentMessage>().await.unwrap().is_none());
    };
    tokio::join!(sending, receiving);

    let (here, mut there) = tokio::io::duplex(64);
    there.write_all(b"{\"t\":\"pi").await.unwrap();
    drop(there);
    let cut = ControlReader::new(here).next::<EdgeMessage>().await;
    assert!(matches!(cut, Err(ControlError::Truncated)));
}

#[tokio::test]
async fn a_message_that_no_line_holds_is_not_sent() {
    let token = "x".repeat(limits::CONTROL_LINE).into();
    let mut sent = Vec::new();
    let result = ControlWriter::new(&mut sent)
        .send(&AgentMessage::Token { token })
        .await;
    assert!(matches!(
        result,
        Err(ControlError::Line(LineError::TooLong))
    ));
    assert!(sent.is_empty());
}

#[tokio::test]
async fn a_reader_that_is_dropped_half_way_loses_nothing() {
    let (here, mut there) = tokio::io::duplex(64);
    let mut reader = ControlReader::new(here);
    there.write_all(b"{\"t\":\"ping\"").await.unwrap();
    tokio::select! {
        biased;
        _ = reader.next::<AgentMessage>() => panic!("half a line"),
        () = tokio::task::yield_now() => {}
    }
    there.write_all(b",\"n\":1}\n").await.unwrap();
    assert_eq!(
        reader.next().await.unwrap(),
        Some(AgentMessage::Ping { n: 1 })
    );
}
