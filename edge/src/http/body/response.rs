//! The answer's body on its way to the visitor, and what has to happen when it ends, breaks off or is not wanted any more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::http::{
    access::{End, Recorder},
    gate::Key,
    pool::Lease,
};

pub(in crate::http) struct ResponseBody {
    source: Source,
    /// None where something else writes the visit down.
    recorder: Option<Recorder>,
    over: bool,
}

enum Source {
    Page(Full<Bytes>),
    Origin {
        incoming: Incoming,
        lease: Option<Lease>,
        key: Option<Key>,
    },
}

impl ResponseBody {
    /// A page of the edge's own.
    pub(in crate::http) fn page(page: Bytes, recorder: Recorder) -> Self {
        Self::new(Source::Page(Full::new(page)), Some(recorder))
    }

    /// No body, and a request that is not over yet: its protocol changes.
    pub(in crate::http) fn switching() -> Self {
        Self::new(Source::Page(Full::default()), None)
    }

    /// What the origin says. The lease goes back when it has said all; the key tells a body that still waits that nobody wants it.
    pub(in crate::http) fn origin(
        incoming: Incoming,
        lease: Lease,
        key: Option<Key>,
        recorder: Recorder,
    ) -> Self {
        let source = Source::Origin {
            incoming,
            lease: Some(lease),
            key,
        };
        Self::new(source, Some(recorder))
    }

    fn new(source: Source, recorder: Option<Recorder>) -> Self {
        let mut body = Self {
            source,
            recorder,
            over: false,
        };
        if body.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.record_end(End::Complete);
        if let Source::Origin { lease, key, .. } = &mut self.source {
            if let Some(lease) = lease.take() {
                lease.finish();
            }
            if let Some(key) = key {
                key.finished();
            }
        }
    }

    fn record_end(&mut self, end: End) {
        if let Some(recorder) = &mut self.recorder {
            recorder.ended(end);
        }
    }

    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, hyper::Error>>) {
        match frame {
            Some(Ok(frame)) => {
                if let (Some(recorder), Some(data)) = (&self.recorder, frame.data_ref()) {
                    recorder.meter.add_down(data.len() as u64);
                }
                if self.is_end_stream() {
                    self.finish();
                }
            }
            Some(Err(_)) => {
                self.over = true;
                self.record_end(End::OriginBroke);
            }
            None => self.finish(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let next = match &mut self.source {
            Source::Page(page) => Pin::new(page)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Source::Origin { incoming, .. } => Pin::new(incoming).poll_frame(cx),
        };
        if let Poll::Ready(frame) = &next {
            self.note(frame.as_ref());
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Page(page) => page.is_end_stream(),
            Source::Origin { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Page(page) => page.size_hint(),
            Source::Origin { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    /// Dropped before its end: the visitor has gone. The lease notes that before the body itself goes.
    fn drop(&mut self) {
        if let Source::Origin { lease, key, .. } = &mut self.source {
            drop(lease.take());
            if let Some(key) = key {
                key.finished();
            }
        }
    }
}
