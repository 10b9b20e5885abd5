//! Bytes as visitors and origins see them.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::case::{Outcome, failed, within};

/// Everything up to the end, which is no reset.
pub(crate) async fn to_end(stream: &mut (impl AsyncRead + Unpin)) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    within("end of a direction", stream.read_to_end(&mut bytes)).await??;
    Ok(bytes)
}

pub(crate) async fn exactly(stream: &mut (impl AsyncRead + Unpin), wanted: &[u8]) -> Outcome {
    let mut bytes = vec![0; wanted.len()];
    within("bytes of the other side", stream.read_exact(&mut bytes)).await??;
    if bytes != wanted {
        return failed(format!("{bytes:02x?} came instead of {wanted:02x?}"));
    }
    Ok(())
}

/// Writes as much of `bytes` as is taken without a pause.
pub(crate) async fn pour(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    const PAUSE: Duration = Duration::from_millis(300);
    let mut rest = bytes;
    while let Ok(Ok(taken)) = tokio::time::timeout(PAUSE, stream.write(rest)).await {
        rest = &rest[taken..];
        if rest.is_empty() {
            return;
        }
    }
}
