//! What a visitor says of the trace that a request belongs to (`tunnel::trace`).

use bolero::check;
use tunnel::trace::{TraceContext, tracestate};

use crate::{ITERATIONS, recipe::Recipe};

const PARENTS: [&[u8]; 4] = [
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-what-comes",
    b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"",
];

const STATES: [&[u8]; 4] = [
    b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    b"fw529a3039@dt=FfQ0NDpjOTA3ZjUx , a=1",
    b"a/b*c-d_e=!~",
    b"",
];

#[test]
fn trace_parent() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let bytes = recipe.bytes(&PARENTS);
            for context in [
                TraceContext::parse(&bytes),
                TraceContext::of_unique_id(&bytes),
            ] {
                let Some(context) = context else { continue };
                // What is passed on is what was understood.
                assert_eq!(
                    TraceContext::parse(context.to_string().as_bytes()),
                    Some(context)
                );
                assert_eq!(
                    TraceContext::of_unique_id(&context.unique_id()),
                    Some(context)
                );
            }
        });
}

#[test]
fn trace_state() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Recipe)>()
        .for_each(|(one, two)| {
            let (one, two) = (one.bytes(&STATES), two.bytes(&STATES));
            let Some(list) = tracestate([&one[..], &two[..]].into_iter()) else {
                return;
            };
            assert!(list.len() <= tunnel::trace::MAX_TRACESTATE);
            // It is a value of a header field, and reads the same again.
            assert!(
                list.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                "{list}"
            );
            assert_eq!(tracestate(std::iter::once(list.as_bytes())), Some(list));
        });
}
