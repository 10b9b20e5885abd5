//! Datagrams in a stream (`tunnel`): lengths that a peer wrote.

use bolero::check;
use tunnel::datagram::{Splitter, framed};

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
