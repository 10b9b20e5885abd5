//! The visitor's body on its way to the origin.

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::http::{gate::Gate, meter::Meter};

pub(in crate::http) struct RequestBody {
    /// None where a request is sent again that never had a body.
    incoming: Option<Incoming>,
    gate: Option<Gate>,
    meter: Arc<Meter>,
}

impl RequestBody {
    pub(in crate::http) fn new(incoming: Incoming, gate: Option<Gate>, meter: Arc<Meter>) -> Self {
        if incoming.is_end_stream() {
            meter.upload_done();
        }
        Self {
            incoming: Some(incoming),
            gate,
            meter,
        }
    }

    pub(in crate::http) fn empty(meter: Arc<Meter>) -> Self {
        Self {
            incoming: None,
            gate: None,
            meter,
        }
    }

    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll(cx))?;
            self.gate = None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Err(error) = ready!(self.poll_gate(cx)) {
            return Poll::Ready(Some(Err(error)));
        }
        let Poll::Ready(next) = self.poll_incoming(cx) else {
            self.meter.upload_waits();
            return Poll::Pending;
        };
        match &next {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.meter.add_up(length as u64);
            }
            Some(Err(_)) => self.meter.upload_failed(),
            None => {}
        }
        if next.is_none() || self.is_end_stream() {
            self.meter.upload_done();
        }
        Poll::Ready(next.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
