//! Datagrams (`tunnel`), in a stream and in frames: lengths and numbers that a peer wrote.

use bolero::check;
use tunnel::datagram::{Splitter, frame, framed};

use crate::{ITERATIONS, recipe::Recipe};

#[test]
fn datagrams() {
    let seeds = [b"".as_slice(), b"a", &[7; 1200]];
    let seeds = seeds.map(|datagram| framed(datagram).unwrap()).to_vec();
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Vec<u8>, u8)>()
        .for_each(|(recipe, behind, size)| {
            let bytes = [recipe.bytes(&seeds), behind.clone()].concat();
            let mut splitter = Splitter::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(usize::from(*size).max(1)) {
                splitter.push(piece);
                while let Some(datagram) = splitter.next_datagram() {
                    seen.extend(framed(&datagram).unwrap());
                }
            }
            assert!(bytes.starts_with(&seen), "nothing is added or changed");
            assert_eq!(splitter.is_empty(), seen.len() == bytes.len());
        });
}

#[test]
fn frames() {
    let seeds = [0, 63, 64, 16_383, 16_384, 1 << 30, (1 << 62) - 1];
    let seeds = seeds.map(|flow| frame::encode(flow, b"datagram").unwrap());
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let bytes = recipe.bytes(&seeds);
            let Some((flow, datagram)) = frame::decode(&bytes) else {
                return;
            };
            assert!(bytes.ends_with(datagram), "nothing is added or changed");
            let again = frame::encode(flow, datagram).unwrap();
            assert_eq!(frame::decode(&again), Some((flow, datagram)));
        });
}
