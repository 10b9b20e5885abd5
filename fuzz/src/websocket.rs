//! Frames of a WebSocket (`tunnel`), as a client may send them to an edge.

use bolero::check;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{SLOW_ITERATIONS, recipe::Recipe};

/// A message in parts with a ping between them and a close; a long frame; a text.
const FRAMES: [&[u8]; 3] = [
    b"\x02\x82\0\0\0\0ab\x89\x81\0\0\0\0p\x80\x81\x01\x02\x03\x04c\x88\x82\0\0\0\0\x03\xe8",
    b"\x82\xfe\0\x80\x37\xfa\x21\x3d0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
];

#[test]
fn websocket_frames() {
    let mut paused = tokio::runtime::Builder::new_current_thread();
    let runtime = paused.enable_time().start_paused(true).build().unwrap();
    check!()
        .with_iterations(SLOW_ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let sent = recipe.bytes(&FRAMES);
            let (read, said) = runtime.block_on(async {
                let (near, far) = tokio::io::duplex(4096);
                let (mut hear, mut say) = tokio::io::split(far);
                let saying = async {
                    // A server that was told enough hangs up.
                    let _ = say.write_all(&sent).await;
                    let _ = say.shutdown().await;
                };
                let reading = async {
                    let mut server = tunnel::websocket::reading(near);
                    let mut read = Vec::new();
                    let _ = server.read_to_end(&mut read).await;
                    read
                };
                let hearing = async {
                    let mut said = Vec::new();
                    hear.read_to_end(&mut said).await.unwrap();
                    said
                };
                let ((), read, said) = tokio::join!(saying, reading, hearing);
                (read, said)
            });
            // Nothing is made up, and nothing that is said is longer than what asked for it.
            assert!(read.len() <= sent.len());
            assert!(said.len() <= sent.len().max(4));
        });
}
