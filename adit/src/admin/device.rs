//! `adit admin device`: programs that wait with a code.

use proto::v1;
use serde_json::{Value, json};

use super::{Answer, names};
use crate::{
    cli::{DeviceCommand, NamesArgs},
    failure::{Exit, Failure},
    share::Provider,
};

pub(super) async fn run(provider: &Provider, command: DeviceCommand) -> Result<Answer, Failure> {
    match command {
        DeviceCommand::Show { code } => {
            let device = look(provider, code).await?;
            Ok(Answer::line(to_json(&device), describe(&device)))
        }
        DeviceCommand::Approve { code, names } => {
            let device = look(provider, code).await?;
            approve(provider, &device, &names).await
        }
        DeviceCommand::Deny { code } => {
            let no = v1::AnswerDeviceRequest {
                user_code: code,
                ..v1::AnswerDeviceRequest::default()
            };
            provider.answer_device(no).await?;
            Ok(Answer::line(json!({"denied": true}), "the device hears no"))
        }
    }
}

async fn look(provider: &Provider, user_code: String) -> Result<v1::Device, Failure> {
    provider
        .get_device(v1::GetDeviceRequest { user_code })
        .await
}

async fn approve(
    provider: &Provider,
    device: &v1::Device,
    names: &NamesArgs,
) -> Result<Answer, Failure> {
    let endpoints = endpoints(provider, device, names).await?;
    let yes = v1::AnswerDeviceRequest {
        user_code: device.user_code.clone(),
        agree: true,
        claims: endpoints.iter().map(|own| own.claim.clone()).collect(),
    };
    let grant = provider.answer_device(yes).await?.grant;
    let names: Vec<_> = endpoints.into_iter().map(|own| own.name).collect();
    let client = &device.client;
    let line = if names.is_empty() {
        format!("{client} may act for this account; adit admin consent end {grant} takes it back")
    } else {
        let names = names.join(", ");
        format!("{client} may serve {names}; adit admin consent end {grant} takes it back")
    };
    Ok(Answer::line(
        json!({"grant": grant, "endpoints": names}),
        line,
    ))
}

/// One for each wish: those that were typed, else what is wished for.
async fn endpoints(
    provider: &Provider,
    device: &v1::Device,
    typed: &NamesArgs,
) -> Result<Vec<v1::Endpoint>, Failure> {
    let wishes = &device.endpoints;
    let typed_names = names::resolve(provider, typed).await?;
    if !typed_names.is_empty() && typed_names.len() != wishes.len() {
        let why = format!(
            "the device asks for {} endpoints, and {} are named",
            wishes.len(),
            typed_names.len()
        );
        return Err(Failure::new(Exit::Usage, why));
    }
    let own = provider.endpoints(String::new()).await?;
    let mut chosen = Vec::new();
    for (at, wish) in wishes.iter().enumerate() {
        let kind = typed.kind.or_else(|| wish.kind.parse().ok());
        let endpoint = match typed_names.get(at) {
            Some(name) => names::ensure(provider, &own, name, kind).await?,
            None if !wish.identifier.is_empty() => {
                let zone = provider.discover().await?.zone;
                let name = names::whole(&wish.identifier, &zone)?;
                names::ensure(provider, &own, &name, kind).await?
            }
            None => {
                let any = v1::ClaimRequest {
                    kind: proto::kind_to_proto(kind.unwrap_or(model::Kind::Http)).into(),
                    ..v1::ClaimRequest::default()
                };
                provider.claim(any).await?
            }
        };
        chosen.push(endpoint);
    }
    Ok(chosen)
}

fn describe(device: &v1::Device) -> String {
    let client = &device.client;
    if device.endpoints.is_empty() {
        return format!("{client} (as it calls itself) asks to act for this account");
    }
    let wishes = device.endpoints.iter().map(|wish| {
        let name = match wish.identifier.as_str() {
            "" => "any name".to_owned(),
            name => name.to_owned(),
        };
        format!("{name} ({})", wish.kind)
    });
    let wishes = wishes.collect::<Vec<_>>().join(", ");
    format!("{client} (as it calls itself) asks to serve {wishes}")
}

fn to_json(device: &v1::Device) -> Value {
    let wishes = device
        .endpoints
        .iter()
        .map(|wish| json!({"kind": wish.kind, "identifier": wish.identifier}));
    json!({
        "user_code": device.user_code, "client": device.client, "scope": device.scope, "endpoints": wishes.collect::<Value>(),
    })
}
