//! Backups, part by part, so that no process holds all of one.

use proto::v1;
use store::backup::{Export, ExportError};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::{Api, now, stream::Answers};
use crate::{
    core::{Action, Deed},
    error::{ControlError, ErrorCode},
};

#[tonic::async_trait]
impl v1::backups_server::Backups for Api {
    type ExportStream = Answers<v1::BackupPart>;

    async fn export(
        &self,
        request: Request<v1::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let caller = self.caller(&request).await?;
        let allowed = caller.must_be_admin();
        self.noted(&caller, Action::BackupExport, "", allowed)
            .await?;
        let deed = Deed {
            by: Some(&caller),
            action: Action::BackupExport,
            account: None,
            target: &"everything",
        };
        self.core.note(&deed, now()).await?;
        let export = Export::start(self.core.store.clone(), self.core.issuer(), now())
            .await
            .map_err(failed)?;
        let answers = self.answer_for_long(|answers| send(export, answers))?;
        Ok(Response::new(answers))
    }
}

async fn send(
    mut export: Export,
    answers: mpsc::Sender<Result<v1::BackupPart, Status>>,
) -> Result<(), ControlError> {
    while let Some(bytes) = export.next().await.map_err(failed)? {
        for data in bytes.chunks(PART) {
            let part = v1::BackupPart {
                data: data.to_vec(),
            };
            if answers.send(Ok(part)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Octets of one message: far below what clients take.
const PART: usize = 256 * 1024;

fn failed(error: ExportError) -> ControlError {
    ControlError::new(ErrorCode::Unavailable, error)
}
