use proptest::prelude::*;

use super::*;

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn what_the_specification_shows_is_read() {
    let context = TraceContext::parse(GOOD.as_bytes()).unwrap();
    assert_eq!(
        context.trace.to_string(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(context.span.to_string(), "00f067aa0ba902b7");
    assert!(context.sampled);
    assert_eq!(context.to_string(), GOOD);
    // A later version, with more behind it, and flags that we do not know.
    let later = format!("cc-{}-09-more", &GOOD[3..52]);
    assert!(TraceContext::parse(later.as_bytes()).unwrap().sampled);
}

#[test]
fn what_is_malformed_is_none() {
    for bad in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad:?}");
    }
}

fn state(values: &[&str]) -> Option<String> {
    tracestate(values.iter().map(|value| value.as_bytes()))
}

#[test]
fn states_are_joined_or_dropped_as_a_whole() {
    assert_eq!(
        state(&[
            "rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE",
            ",",
            "fw529a3039@dt=x"
        ])
        .as_deref(),
        Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,fw529a3039@dt=x")
    );
    for bad in [
        "",
        "novalue",
        "A=1",
        "a=",
        "a=1,a=2",
        "a=1;b=\u{e9}",
        "1a=2",
        "a@1=2",
        "a==b",
    ] {
        assert_eq!(state(&[bad]), None, "{bad:?}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("k{n}=v")).collect();
    assert!(state(&[&many[..32].join(",")]).is_some());
    assert_eq!(state(&[&many.join(",")]), None);
    assert_eq!(
        state(&[&format!("a={},b={}", "x".repeat(250), "y".repeat(257))]),
        None
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(trace: u128, span: u64, sampled: bool) {
        let context = TraceContext {
            trace: TraceId::from_random(trace),
            span: SpanId::from_random(span),
            sampled,
        };
        prop_assert_eq!(TraceContext::parse(context.to_string().as_bytes()), Some(context));
        prop_assert_eq!(TraceContext::of_unique_id(&context.unique_id()), Some(context));
    }

    #[test]
    fn anything_else_is_taken_calmly(bytes: Vec<u8>) {
        if let Some(context) = TraceContext::parse(&bytes) {
            prop_assert_eq!(TraceContext::parse(context.to_string().as_bytes()), Some(context));
        }
        if let Some(list) = tracestate(std::iter::once(&bytes[..])) {
            prop_assert_eq!(tracestate(std::iter::once(list.as_bytes())), Some(list));
        }
    }
}
