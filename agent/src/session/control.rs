//! The control stream of a session that was welcomed: answers the edge, renews the token, carries orders out.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tunnel::{
    Code, Secret, Transport,
    message::{self, AgentMessage, Bind, EdgeMessage, ErrorMessage, Welcome},
};

use super::{
    Ended, Farewell, Notice, Order,
    binds::Binds,
    greet::{Reader, Writer, next_line},
    renewal::{Asked, Renewal},
};
use crate::{
    Connected, Event, TokenSourceErrorKind,
    bounds::{self, Bound},
    shared::Shared,
};

/// How long the edge may leave a line of ours unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) writer: Writer,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) connected: watch::Sender<Arc<Connected>>,
    pub(super) notice: watch::Sender<Option<Notice>>,
    pub(super) resume: watch::Sender<Option<Secret>>,
    pub(super) binds: Binds,
    /// Nothing is bound any more in a session that says farewell.
    pub(super) leaving: bool,
    /// Fired when the edge has answered the ping that followed a farewell.
    pub(super) heard: Option<oneshot::Sender<()>>,
}

impl Control {
    /// Runs until the session is over, and says why.
    pub(super) async fn run(mut self, mut reader: Reader, cancel: CancellationToken) -> Ended {
        let mut renewal = Renewal::new(self.connected.borrow().session_expires);
        let mut wanted = self.shared.wanted.subscribe();
        // It may have changed since the hello was written.
        wanted.mark_changed();
        loop {
            let done = tokio::select! {
                () = cancel.cancelled() => Err(Ended::Lost("this end closed it".into())),
                line = read(&*self.transport, &mut reader) => self.line(line, &mut renewal).await,
                Some(order) = self.orders.recv() => self.order(order).await,
                Ok(()) = wanted.changed(), if !self.leaving => {
                    wanted.mark_unchanged();
                    self.reconsider(&mut renewal).await
                }
                asked = renewal.next(&self.shared) => self.renewed(asked, &mut renewal).await,
                reason = self.transport.closed() => Err(reason.into()),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn line(
        &mut self,
        line: Result<EdgeMessage, Ended>,
        renewal: &mut Renewal,
    ) -> Result<(), Ended> {
        match line? {
            EdgeMessage::Ping { n } => self.send(AgentMessage::Pong { n }).await?,
            EdgeMessage::Pong { .. } => {
                if let Some(heard) = self.heard.take() {
                    let _ = heard.send(());
                }
            }
            EdgeMessage::Error(error) => match error.id {
                None => return Err(Ended::Refused(error)),
                Some(id) => self.lose_bind(id, error)?,
            },
            EdgeMessage::Bound(bound) => self.bound(bound),
            EdgeMessage::Unbound { id } if self.binds.is_released(id) => self.unbound(id),
            EdgeMessage::Unbound { id } => {
                let msg = "the edge no longer serves this endpoint";
                self.lose_bind(id, ErrorMessage::new(Code::Forbidden, msg))?;
            }
            EdgeMessage::Welcome(welcome) => self.welcomed_again(welcome, renewal),
            EdgeMessage::Drain(drain) => {
                self.notice.send_replace(Some(Notice::from(drain)));
            }
            EdgeMessage::Visit(visit) => self.shared.tell(Event::Visit(visit)),
            // What is new to us is ignored; the reader has refused what must not be.
            _ => {}
        }
        Ok(())
    }

    /// One bind of several may go; with the last one the session has no purpose.
    fn lose_bind(&mut self, id: u32, error: ErrorMessage) -> Result<(), Ended> {
        if self.binds.is_released(id) {
            // Lost in the moment in which it was given back.
            self.unbound(id);
            return Ok(());
        }
        self.binds.lost(id);
        let left = self.forget(id);
        if left == 0 && !self.binds.expects_more(&self.shared.wanted()) {
            return Err(Ended::Refused(error));
        }
        let ErrorMessage { code, msg, .. } = error;
        self.shared.tell(Event::BindLost {
            id,
            code,
            reason: msg,
        });
        Ok(())
    }

    fn bound(&mut self, bound: message::Bound) {
        self.binds.bound(bound.id);
        self.connected.send_modify(|connected| {
            let all = &mut Arc::make_mut(connected).bound;
            all.retain(|other| other.id != bound.id);
            all.push(bound.clone());
        });
        self.shared.tell(Event::Bound(bound));
    }

    fn unbound(&mut self, id: u32) {
        self.binds.released(id);
        self.forget(id);
        self.shared.tell(Event::Unbound { id });
    }

    /// How many binds are left.
    fn forget(&self, id: u32) -> usize {
        let mut left = 0;
        self.connected.send_modify(|connected| {
            let bound = &mut Arc::make_mut(connected).bound;
            bound.retain(|bound| bound.id != id);
            left = bound.len();
        });
        left
    }

    /// The owner wants other binds than before. For more of them a token that grants them is needed first.
    async fn reconsider(&mut self, renewal: &mut Renewal) -> Result<(), Ended> {
        if self.binds.lack(&self.shared.wanted()) {
            renewal.hasten();
            Ok(())
        } else {
            self.settle(&self.shared.wanted()).await
        }
    }

    /// Brings the session to what is wanted. What is given back goes first, so that a name can change its bind.
    async fn settle(&mut self, wanted: &[Bind]) -> Result<(), Ended> {
        if self.leaving {
            return Ok(());
        }
        let due = self.binds.settle(wanted);
        for id in due.unbind {
            self.send(AgentMessage::Unbind { id }).await?;
        }
        for bind in due.bind {
            self.send(AgentMessage::Bind(bind)).await?;
        }
        Ok(())
    }

    fn welcomed_again(&self, welcome: Welcome, renewal: &mut Renewal) {
        renewal.renewed(welcome.session_exp);
        self.connected.send_modify(|connected| {
            Arc::make_mut(connected).session_expires = welcome.session_exp;
        });
        if welcome.resume.is_some() {
            self.resume.send_replace(welcome.resume);
        }
        let now = Arc::clone(&self.connected.borrow());
        self.shared.tell(Event::Refreshed(now));
    }

    async fn order(&mut self, order: Order) -> Result<(), Ended> {
        let message = match order.farewell {
            Farewell::Drain => AgentMessage::Drain,
            Farewell::Drained => AgentMessage::Drained,
        };
        self.leaving = true;
        self.heard = Some(order.heard);
        self.send(message).await?;
        self.send(AgentMessage::Ping { n: 0 }).await
    }

    async fn renewed(&mut self, asked: Asked, renewal: &mut Renewal) -> Result<(), Ended> {
        let Asked { result, wanted } = asked;
        match result {
            Ok(issued) => {
                let token = issued.token.clone();
                self.shared.keep_token(issued, Arc::clone(&wanted));
                self.send(AgentMessage::Token { token }).await?;
                self.settle(&wanted).await
            }
            Err(error) => {
                tracing::warn!(%error, "the session's token is not renewed");
                renewal.failed(error.kind);
                // The one token that there is may grant it, or else the edge says no.
                if error.kind == TokenSourceErrorKind::Fixed {
                    return self.settle(&wanted).await;
                }
                Ok(())
            }
        }
    }

    async fn send(&mut self, message: AgentMessage) -> Result<(), Ended> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.writer.send(&message)).await {
            Ok(sent) => sent.map_err(Ended::from),
            Err(_) => {
                bounds::hit(Bound::ControlWrite);
                Err(Ended::Lost("the edge does not read".into()))
            }
        }
    }
}

/// May be dropped half way: the reader keeps what has come.
async fn read(transport: &dyn Transport, reader: &mut Reader) -> Result<EdgeMessage, Ended> {
    let line = next_line(transport, reader).await?;
    line.ok_or_else(|| Ended::Lost("the edge ended the session".into()))
}
