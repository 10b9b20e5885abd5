//! `adit admin consent`: what programs were given.

use proto::v1;
use serde_json::{Value, json};

use super::{Answer, Table, time::moment};
use crate::{cli::ConsentCommand, failure::Failure, share::Provider};

pub(super) async fn run(provider: &Provider, command: ConsentCommand) -> Result<Answer, Failure> {
    match command {
        ConsentCommand::List => list(provider).await,
        ConsentCommand::End { grant } => {
            let line = format!("ended {grant}");
            let json = json!({"ended": grant});
            provider
                .end_consent(v1::EndConsentRequest { grant })
                .await?;
            Ok(Answer::line(json, line))
        }
    }
}

async fn list(provider: &Provider) -> Result<Answer, Failure> {
    let asked = v1::ListConsentsRequest::default();
    let consents = provider.list_consents(asked).await?.consents;
    let row = |consent: &v1::Consent| {
        [
            consent.client.clone(),
            moment(consent.given),
            consent.by.clone(),
            consent.grant.clone(),
        ]
    };
    let table = Table::new(["CLIENT", "GIVEN", "BY", "GRANT"], consents.iter().map(row));
    Ok(Answer::table(consents.iter().map(to_json).collect(), table))
}

fn to_json(consent: &v1::Consent) -> Value {
    json!({
        "grant": consent.grant, "client": consent.client, "by": consent.by, "given": consent.given,
    })
}
