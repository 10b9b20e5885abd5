//! Calls to a control plane.

use proto::v1::{
    self, accounts_client::AccountsClient, edges_client::EdgesClient,
    endpoints_client::EndpointsClient, provider_client::ProviderClient,
    tokens_client::TokensClient, usage_client::UsageClient,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, OrFail};

/// A control plane and how to be known to it.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    server: String,
    channel: Channel,
    roots: RootCertStore,
    bearer: Option<MetadataValue<Ascii>>,
}

impl Provider {
    /// `ca` is PEM; the system's roots are trusted besides it.
    pub(crate) fn connect(
        server: &str,
        ca: Option<&str>,
        api_key: Option<&str>,
    ) -> Result<Self, Failure> {
        let roots = roots(ca)?;
        let channel = agent::channel(server, roots.clone()).or_fail(Exit::Usage, server)?;
        let bearer = api_key.map(|key| {
            let text = Zeroizing::new(format!("Bearer {key}"));
            let mut value: MetadataValue<Ascii> = text
                .parse()
                .or_fail(Exit::Credential, "the API key is not one")?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            server: server.to_owned(),
            channel,
            roots,
            bearer: bearer.transpose()?,
        })
    }

    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) const fn roots(&self) -> &RootCertStore {
        &self.roots
    }

    pub(crate) async fn discover(&self) -> Result<v1::DiscoverResponse, Failure> {
        let answer = ProviderClient::new(self.channel())
            .discover(v1::DiscoverRequest {})
            .await;
        self.answer(answer)
    }

    pub(crate) async fn who_am_i(&self) -> Result<v1::Identity, Failure> {
        self.answer(
            AccountsClient::new(self.channel())
                .who_am_i(self.request(v1::WhoAmIRequest {}))
                .await,
        )
    }

    pub(crate) async fn claim(&self, wish: v1::ClaimRequest) -> Result<v1::Endpoint, Failure> {
        self.answer(
            EndpointsClient::new(self.channel())
                .claim(self.request(wish))
                .await,
        )
    }

    /// Of an account; none named is one's own.
    pub(crate) async fn endpoints(&self, account: String) -> Result<Vec<v1::Endpoint>, Failure> {
        let answer = EndpointsClient::new(self.channel())
            .list(self.request(v1::ListEndpointsRequest { account }))
            .await;
        Ok(self.answer(answer)?.endpoints)
    }

    pub(crate) async fn issue(&self, wish: v1::IssueRequest) -> Result<v1::IssuedToken, Failure> {
        self.answer(
            TokensClient::new(self.channel())
                .issue(self.request(wish))
                .await,
        )
    }

    pub(crate) async fn report_usage(&self, report: v1::ReportUsageRequest) -> Result<(), Failure> {
        let request = self.request(report);
        self.answer(UsageClient::new(self.channel()).report(request).await)?;
        Ok(())
    }

    pub(crate) async fn join(&self, request: v1::JoinRequest) -> Result<v1::JoinResponse, Failure> {
        let answer = EdgesClient::new(self.channel())
            .join(self.request(request))
            .await;
        self.answer(answer)
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request
                .metadata_mut()
                .insert("authorization", bearer.clone());
        }
        request
    }

    pub(crate) fn answer<T>(
        &self,
        answer: Result<tonic::Response<T>, Status>,
    ) -> Result<T, Failure> {
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| self.failure(&status))
    }

    /// The one place where gRPC codes become exit codes.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        let said = status.message();
        match status.code() {
            Code::Unauthenticated => {
                Failure::new(Exit::Credential, said).advise(format!("adit login {}", self.server))
            }
            Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::ResourceExhausted => Failure::new(Exit::Refused, said),
            Code::InvalidArgument => Failure::new(Exit::Usage, said),
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown => Failure::new(
                Exit::Unreachable,
                format!("the provider at {} cannot be reached: {said}", self.server),
            )
            .advise(if said.contains(UNKNOWN_CA) {
                format!(
                    "if it has a CA of its own: adit login {} --ca ca.pem",
                    self.server
                )
            } else {
                "is it running, and is the address right?".to_owned()
            }),
            _ => Failure::new(Exit::Failed, format!("the provider failed: {said}")),
        }
    }
}

/// What rustls says of a certificate that nobody known has signed. tonic hands it on as text alone.
const UNKNOWN_CA: &str = "UnknownIssuer";

/// What this system trusts, and `ca`, which is PEM.
pub(crate) fn roots(ca: Option<&str>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in ca
        .into_iter()
        .flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes()))
    {
        let certificate = certificate.or_fail(Exit::Usage, "the CA is not PEM")?;
        roots
            .add(certificate)
            .or_fail(Exit::Usage, "the CA cannot be used")?;
    }
    Ok(roots)
}
