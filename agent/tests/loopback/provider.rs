//! Tokens from a control plane, over gRPC.

use std::net::Ipv4Addr;

use agent::{ControlPlane, TokenSource, TokenSourceErrorKind, TokenWhy, channel};
use proto::v1::{
    IssueRequest, IssuedToken, RefreshRequest, RevokeRequest, RevokeResponse,
    tokens_server::{Tokens, TokensServer},
};
use rustls::RootCertStore;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use tunnel::Secret;

struct Provider;

#[tonic::async_trait]
impl Tokens for Provider {
    async fn issue(&self, request: Request<IssueRequest>) -> Result<Response<IssuedToken>, Status> {
        let key = request.metadata().get("authorization");
        if key.and_then(|key| key.to_str().ok()) != Some("Bearer adit_key_good") {
            return Err(Status::unauthenticated("the API key is not known"));
        }
        let asked = request.into_inner();
        if asked.claims != ["clm_mine"] {
            return Err(Status::permission_denied("not your claim"));
        }
        Ok(Response::new(IssuedToken {
            token: format!("token for {}", asked.agent),
            expires: 600,
            session_expires: 43_200,
            locations: vec!["https://edge.localhost:4443".into()],
            ..IssuedToken::default()
        }))
    }

    async fn refresh(&self, _: Request<RefreshRequest>) -> Result<Response<IssuedToken>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn revoke(&self, _: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tokio::test]
async fn tokens_are_issued_and_refusals_are_told_apart() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = Server::builder()
        .add_service(TokensServer::new(Provider))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    // No resolver knows this name.
    let server = format!("http://provider.adit.localhost:{port}");
    let source = |key: &str, claim: &str| {
        let channel = channel(&server, RootCertStore::empty()).unwrap();
        let claims = [claim.parse().unwrap()];
        ControlPlane::new(channel, &Secret::from(key.to_owned()), &claims, "laptop").unwrap()
    };

    let good = source("adit_key_good", "clm_mine");
    assert!(!format!("{good:?}").contains("adit_key"));
    let issued = good.token(TokenWhy::Initial).await.unwrap();
    assert_eq!(issued.token.expose(), "token for laptop");
    assert_eq!(issued.locations, ["https://edge.localhost:4443"]);
    assert_eq!(issued.session_expires.unwrap().as_secs(), 43_200);

    for (key, claim, kind) in [
        ("adit_key_bad", "clm_mine", TokenSourceErrorKind::Credential),
        (
            "adit_key_good",
            "clm_other",
            TokenSourceErrorKind::Forbidden,
        ),
    ] {
        let error = source(key, claim).token(TokenWhy::Refresh).await;
        assert_eq!(error.unwrap_err().kind, kind);
    }
    serving.abort();
    let _ = serving.await;
    let error = source("adit_key_good", "clm_mine")
        .token(TokenWhy::Refresh)
        .await;
    let error = error.unwrap_err();
    assert!(!error.is_fatal(), "{error}");
}
