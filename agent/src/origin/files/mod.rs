//! A directory served as files: what tower-http serves, without what a person would not expect to be public.
//!
//! Hidden files (`.git`, `.env`) and files that a symbolic link fetches from outside the directory are not there, as far
//! as visitors can tell; `.well-known` is (RFC 8615). A directory without index.html shows what is in it.

mod listing;
mod path;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;
use tower_http::services::ServeDir;

type Body = UnsyncBoxBody<Bytes, io::Error>;

#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    serve: ServeDir,
}

/// What a request's path leads to.
enum Found {
    File,
    /// A directory whose index.html is there to be served.
    Indexed,
    Directory(PathBuf),
    Nothing,
}

impl Files {
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let root = directory.canonicalize()?;
        Ok(Self {
            serve: ServeDir::new(&root),
            root,
        })
    }

    pub(crate) async fn serve(
        self: Arc<Self>,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), hyper::Error> {
        let service = service_fn(|request: Request<Incoming>| {
            let files = Arc::clone(&self);
            async move { files.answer(request).await }
        });
        http1::Builder::new()
            .serve_connection(TokioIo::new(io), service)
            .await
    }

    async fn answer<B: Send + 'static>(&self, request: Request<B>) -> io::Result<Response<Body>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allowed);
            return Ok(response);
        }
        match self.find(request.uri().path()).await {
            Found::Nothing => Ok(plain(StatusCode::NOT_FOUND, "not found")),
            Found::Directory(_) if !request.uri().path().ends_with('/') => {
                Ok(with_slash(request.uri()))
            }
            Found::Directory(directory) => listing::page(&directory, request.uri().path()).await,
            Found::File | Found::Indexed => self.file(request).await,
        }
    }

    async fn file<B: Send + 'static>(&self, request: Request<B>) -> io::Result<Response<Body>> {
        let response = match self.serve.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let mut response = response.map(BodyExt::boxed_unsync);
        let guess_nothing = HeaderValue::from_static("nosniff");
        response
            .headers_mut()
            .insert(header::X_CONTENT_TYPE_OPTIONS, guess_nothing);
        Ok(response)
    }

    async fn find(&self, path: &str) -> Found {
        let Some(relative) = path::visible(path) else {
            return Found::Nothing;
        };
        let Some(there) = self.inside(&self.root.join(relative)).await else {
            return Found::Nothing;
        };
        match tokio::fs::metadata(&there).await {
            Ok(found) if found.is_file() => Found::File,
            Ok(found) if found.is_dir() => self.directory(there).await,
            _ => Found::Nothing,
        }
    }

    async fn directory(&self, there: PathBuf) -> Found {
        let index = there.join("index.html");
        match tokio::fs::try_exists(&index).await {
            Ok(true) if self.inside(&index).await.is_some() => Found::Indexed,
            Ok(false) => Found::Directory(there),
            _ => Found::Nothing,
        }
    }

    /// The real path of `path`, if it exists below the root and no part of it is hidden.
    async fn inside(&self, path: &Path) -> Option<PathBuf> {
        let real = tokio::fs::canonicalize(path).await.ok()?;
        let below = real.strip_prefix(&self.root).ok()?;
        path::is_visible(below).then_some(real)
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Relative links of a listing need the slash at the end. Only a path is written, so the visitor stays on this host.
fn with_slash(uri: &Uri) -> Response<Body> {
    // `//host` at the front would be read as another host.
    let path = format!("/{}/", uri.path().trim_matches('/'));
    let mut response = plain(StatusCode::TEMPORARY_REDIRECT, "");
    match HeaderValue::try_from(path) {
        Ok(path) => {
            response.headers_mut().insert(header::LOCATION, path);
            response
        }
        Err(_) => plain(StatusCode::NOT_FOUND, "not found"),
    }
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

#[cfg(test)]
mod tests;
