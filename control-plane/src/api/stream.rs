//! Calls that answer for long: so many at a time, and each ends when its caller leaves.

use std::future::Future;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Api;
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// Answers that wait for a caller who reads slowly; the rest waits in the store.
const WAITING: usize = 4;

pub(super) type Answers<T> = ReceiverStream<Result<T, Status>>;

impl Api {
    /// Runs `answer` beside the call until it ends or the caller leaves.
    pub(super) fn answer_for_long<T, F>(
        &self,
        answer: impl FnOnce(mpsc::Sender<Result<T, Status>>) -> F,
    ) -> Result<Answers<T>, ControlError>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), ControlError>> + Send + 'static,
    {
        let place = self.long_calls.clone().try_acquire_owned().map_err(|_| {
            self.core.metrics.hit(Hit::LongCalls);
            ControlError::new(
                ErrorCode::TooMany,
                "too many backups and followers of the audit log are under way: try again later",
            )
        })?;
        let (answers, taken) = mpsc::channel(WAITING);
        let answering = answer(answers.clone());
        tokio::spawn(async move {
            let _place = place;
            let ended = tokio::select! {
                ended = answering => ended,
                () = answers.closed() => Ok(()),
            };
            if let Err(error) = ended {
                // Nobody is left to be told when the caller has gone.
                let _ = answers.send(Err(error.into())).await;
            }
        });
        Ok(ReceiverStream::new(taken))
    }
}
