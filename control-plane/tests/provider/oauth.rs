//! Device codes, as a stock OAuth client uses them (the oauth2 crate) and as others may misuse them.

use std::{future::Future, pin::Pin, time::Duration};

use oauth2::{
    AsyncHttpClient, AuthUrl, ClientId, DeviceAuthorizationUrl, DeviceCodeErrorResponseType,
    HttpRequest, HttpResponse, RequestTokenError, Scope, StandardDeviceAuthorizationResponse,
    TokenResponse, TokenUrl, basic::BasicClient, http,
};
use proto::v1::{self, consents_client::ConsentsClient, endpoints_client::EndpointsClient};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Status};

use crate::harness::{Account, Provider, code, http as http_name, with_key};

const CLIENT: &str = "Camera/1.0";

/// HTTP for a client that brings none.
struct Http;

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Self::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let authority = request.uri().authority().unwrap().to_string();
            let path = request.uri().path().to_owned();
            let body = String::from_utf8(request.body().clone()).unwrap();
            let (status, body) = post(&authority, &path, &body).await;
            let response = http::Response::builder()
                .status(status)
                .header("content-type", "application/json");
            Ok(response.body(body.into_bytes()).unwrap())
        })
    }
}

async fn post(authority: &str, path: &str, form: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

impl Provider {
    async fn metadata(&self) -> Value {
        let (status, body) = self.get("/.well-known/oauth-authorization-server").await;
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }

    async fn form(&self, path: &str, form: &str) -> (u16, Value) {
        let (status, body) = post(&self.addr.to_string(), path, form).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn consents(&self) -> ConsentsClient<tonic::transport::Channel> {
        ConsentsClient::new(self.channel.clone())
    }

    async fn look(&self, who: &Account, user_code: &str) -> Result<v1::Device, Status> {
        let asked = v1::GetDeviceRequest {
            user_code: user_code.into(),
        };
        let found = self.consents().get_device(who.sign(asked)).await?;
        Ok(found.into_inner())
    }

    async fn answer(
        &self,
        who: &Account,
        user_code: &str,
        claims: Option<Vec<String>>,
    ) -> Result<String, Status> {
        let answer = v1::AnswerDeviceRequest {
            user_code: user_code.into(),
            agree: claims.is_some(),
            claims: claims.unwrap_or_default(),
        };
        let answered = self.consents().answer_device(who.sign(answer)).await?;
        Ok(answered.into_inner().grant)
    }
}

fn url(metadata: &Value, name: &str) -> String {
    metadata[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_stock_client_gets_a_token_from_the_metadata_alone() {
    let provider = Provider::start().await;
    let owner = provider.account("someone", false).await;
    let endpoint = provider.claim(&owner, http_name("shop")).await.unwrap();
    let metadata = provider.metadata().await;
    assert_eq!(metadata["issuer"], format!("http://{}", provider.addr));
    let client = BasicClient::new(ClientId::new(CLIENT.into()))
        // The crate wants one for every client; this one has no browser.
        .set_auth_uri(AuthUrl::new(url(&metadata, "issuer")).unwrap())
        .set_token_uri(TokenUrl::new(url(&metadata, "token_endpoint")).unwrap())
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(url(&metadata, "device_authorization_endpoint")).unwrap(),
        )
        .set_auth_type(oauth2::AuthType::RequestBody);
    let waiting: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .add_scope(Scope::new("tunnel".into()))
        .request_async(&Http)
        .await
        .unwrap();
    let user_code = waiting.user_code().secret().to_lowercase();
    let device = provider.look(&owner, &user_code).await.unwrap();
    assert_eq!(
        (device.client.as_str(), device.scope.as_str()),
        (CLIENT, "tunnel")
    );
    assert_eq!(device.endpoints.len(), 1);
    provider
        .answer(&owner, &user_code, Some(vec![endpoint.claim.clone()]))
        .await
        .unwrap();
    let tokens = client
        .exchange_device_access_token(&waiting)
        .request_async(
            &Http,
            |_| std::future::ready(()),
            Some(Duration::from_secs(60)),
        )
        .await
        .unwrap();
    let next = client
        .exchange_refresh_token(tokens.refresh_token().unwrap())
        .request_async(&Http)
        .await
        .unwrap();
    assert_ne!(next.access_token().secret(), tokens.access_token().secret());
    // The crate revokes over https only.
    let back = next.refresh_token().unwrap().secret();
    let form = format!("token={back}&client_id={CLIENT}");
    let (status, _) = provider.form("/oauth/revoke", &form).await;
    assert_eq!(status, 200);
    let late = client
        .exchange_refresh_token(next.refresh_token().unwrap())
        .request_async(&Http)
        .await;
    assert!(
        matches!(late, Err(RequestTokenError::ServerResponse(_))),
        "{late:?}"
    );
}

#[tokio::test]
async fn a_stock_client_hears_no() {
    let provider = Provider::start().await;
    let owner = provider.account("someone", false).await;
    let metadata = provider.metadata().await;
    let client = BasicClient::new(ClientId::new(CLIENT.into()))
        .set_token_uri(TokenUrl::new(url(&metadata, "token_endpoint")).unwrap())
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(url(&metadata, "device_authorization_endpoint")).unwrap(),
        )
        .set_auth_type(oauth2::AuthType::RequestBody);
    let waiting: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .request_async(&Http)
        .await
        .unwrap();
    provider
        .answer(&owner, waiting.user_code().secret(), None)
        .await
        .unwrap();
    let refused = client
        .exchange_device_access_token(&waiting)
        .request_async(&Http, |_| std::future::ready(()), None)
        .await
        .unwrap_err();
    let RequestTokenError::ServerResponse(said) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(*said.error(), DeviceCodeErrorResponseType::AccessDenied);
}

#[tokio::test]
async fn the_answer_says_what_was_given_and_where() {
    let provider = Provider::start().await;
    let owner = provider.account("someone", false).await;
    let endpoint = provider.claim(&owner, http_name("shop")).await.unwrap();
    let details = "authorization_details=%5B%7B%22type%22%3A%22tunnel%22%2C%22identifier%22%3A%22shop%22%7D%5D";
    let (status, begun) = provider
        .form("/oauth/device", &format!("client_id=x&{details}"))
        .await;
    assert_eq!(status, 200, "{begun}");
    assert_eq!(
        (&begun["expires_in"], &begun["interval"]),
        (&600.into(), &5.into())
    );
    let user_code = begun["user_code"].as_str().unwrap();
    let device = provider.look(&owner, user_code).await.unwrap();
    assert_eq!(device.endpoints[0].identifier, "shop");
    let claims = Some(vec![endpoint.claim]);
    let grant = provider.answer(&owner, user_code, claims).await.unwrap();
    let poll = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=x&device_code={}",
        begun["device_code"].as_str().unwrap()
    );
    let (status, given) = provider.form("/oauth/token", &poll).await;
    assert_eq!(status, 200, "{given}");
    assert_eq!(given["token_type"], "Bearer");
    assert_eq!(given["scope"], "tunnel");
    let detail = &given["authorization_details"][0];
    assert_eq!(detail["identifier"], "shop.t.example");
    assert_eq!(detail["kinds"], serde_json::json!(["http"]));
    assert!(detail["locations"].is_array());
    let mut consents = provider.consents();
    let listed = consents
        .list(owner.sign(v1::ListConsentsRequest::default()))
        .await
        .unwrap()
        .into_inner()
        .consents;
    assert_eq!(
        (listed[0].grant.as_str(), listed[0].client.as_str()),
        (grant.as_str(), "x")
    );
}

#[tokio::test]
async fn a_token_of_the_api_calls_for_the_account_and_no_more() {
    let provider = Provider::start().await;
    let admin = provider.account("someone", true).await;
    let (_, begun) = provider
        .form("/oauth/device", "client_id=laptop&scope=api")
        .await;
    let user_code = begun["user_code"].as_str().unwrap();
    let grant = provider
        .answer(&admin, user_code, Some(Vec::new()))
        .await
        .unwrap();
    let poll = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=laptop&device_code={}",
        begun["device_code"].as_str().unwrap()
    );
    let (_, given) = provider.form("/oauth/token", &poll).await;
    let token = given["access_token"].as_str().unwrap();
    let mut endpoints = EndpointsClient::new(provider.channel.clone());
    let claimed = endpoints
        .claim(with_key(token, http_name("shop")))
        .await
        .unwrap();
    assert_eq!(claimed.into_inner().account, admin.id.as_str());
    // An administrator gave it, and it is a member's for all that.
    let mut accounts = v1::accounts_client::AccountsClient::new(provider.channel.clone());
    let all = accounts
        .list(with_key(token, v1::ListAccountsRequest::default()))
        .await;
    assert_eq!(code(&all.unwrap_err()), "not-allowed");
    // Tokens for edges are none for the control plane.
    let end = v1::EndConsentRequest { grant };
    provider.consents().end(admin.sign(end)).await.unwrap();
    let late = endpoints.claim(with_key(token, http_name("late"))).await;
    assert_eq!(late.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_token_for_edges_does_not_call() {
    let provider = Provider::start().await;
    let owner = provider.account("someone", false).await;
    let endpoint = provider.claim(&owner, http_name("shop")).await.unwrap();
    let issued = v1::IssueRequest {
        claims: vec![endpoint.claim],
        ..v1::IssueRequest::default()
    };
    let mut tokens = v1::tokens_client::TokensClient::new(provider.channel.clone());
    let token = tokens
        .issue(owner.sign(issued))
        .await
        .unwrap()
        .into_inner()
        .token;
    let mut endpoints = EndpointsClient::new(provider.channel.clone());
    for wrong in [token.as_str(), "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30."] {
        let refused = endpoints.claim(with_key(wrong, http_name("more"))).await;
        assert_eq!(
            refused.unwrap_err().code(),
            Code::Unauthenticated,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn codes_that_are_guessed_are_stopped() {
    let provider = Provider::start().await;
    let owner = provider.account("someone", false).await;
    let (_, begun) = provider.form("/oauth/device", "client_id=x").await;
    let right = begun["user_code"].as_str().unwrap();
    for _ in 0..9 {
        assert_eq!(
            code(&provider.look(&owner, "BCDF-GHJK").await.unwrap_err()),
            "not-found"
        );
    }
    // One that is right begins the count anew.
    provider.look(&owner, right).await.unwrap();
    for _ in 0..10 {
        assert_eq!(
            code(&provider.look(&owner, "nonsense").await.unwrap_err()),
            "not-found"
        );
    }
    assert_eq!(
        code(&provider.look(&owner, right).await.unwrap_err()),
        "too-many"
    );
    // It is counted by key, so nobody can take the codes of others.
    let other = provider.account("other", false).await;
    assert!(provider.look(&other, right).await.is_ok());
}

#[tokio::test]
async fn requests_that_are_wrong_say_why() {
    let provider = Provider::start().await;
    for (path, form, status, error) in [
        ("/oauth/token", "", 400, "invalid_request"),
        (
            "/oauth/token",
            "grant_type=password",
            400,
            "unsupported_grant_type",
        ),
        (
            "/oauth/token",
            "grant_type=refresh_token",
            400,
            "invalid_request",
        ),
        (
            "/oauth/token",
            "grant_type=refresh_token&refresh_token=x&client_id=y",
            400,
            "invalid_grant",
        ),
        ("/oauth/device", "", 400, "invalid_request"),
        ("/oauth/device", "client_id=a%20b", 401, "invalid_client"),
        (
            "/oauth/device",
            "client_id=a&client_id=b",
            400,
            "invalid_request",
        ),
        (
            "/oauth/device",
            "client_id=a&scope=admin",
            400,
            "invalid_scope",
        ),
        (
            "/oauth/device",
            "client_id=a&resource=https://x.example",
            400,
            "invalid_target",
        ),
        (
            "/oauth/device",
            "client_id=a&authorization_details=%5B%7B%22type%22%3A%22payment%22%7D%5D",
            400,
            "invalid_authorization_details",
        ),
        ("/oauth/revoke", "token=x", 400, "invalid_request"),
    ] {
        let (told, body) = provider.form(path, form).await;
        assert_eq!(
            (told, body["error"].as_str()),
            (status, Some(error)),
            "{path} {form}"
        );
        assert!(!body["error_description"].as_str().unwrap().is_empty());
    }
    // What is not there is revoked.
    let (status, _) = provider.form("/oauth/revoke", "token=x&client_id=y").await;
    assert_eq!(status, 200);
    let (status, _) = provider
        .form("/oauth/token", &format!("a={}", "x".repeat(20_000)))
        .await;
    assert_eq!(status, 413);
}
