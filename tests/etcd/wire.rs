//! A connection to etcd that can be cut and mended.

use std::sync::{Arc, Mutex};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Wire {
    endpoint: String,
    /// Ends every connection there is; none while it is cut.
    open: Arc<Mutex<Option<CancellationToken>>>,
    _stop: DropGuard,
}

impl Wire {
    /// A way to the member at `endpoint`.
    pub(crate) async fn to(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let open = Arc::new(Mutex::new(Some(CancellationToken::new())));
        let stop = CancellationToken::new();
        let accepting = accept(listener, endpoint.replace("http://", ""), open.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Self {
            endpoint: own,
            open,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn cut(&self) {
        if let Some(open) = self.open.lock().unwrap().take() {
            open.cancel();
        }
    }

    pub(crate) fn mend(&self) {
        *self.open.lock().unwrap() = Some(CancellationToken::new());
    }
}

async fn accept(listener: TcpListener, to: String, open: Arc<Mutex<Option<CancellationToken>>>) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        // Dropped at once while it is cut.
        let Some(open) = open.lock().unwrap().clone() else {
            continue;
        };
        let to = to.clone();
        tokio::spawn(open.run_until_cancelled_owned(async move {
            let mut far = TcpStream::connect(to).await?;
            copy_bidirectional(&mut near, &mut far).await
        }));
    }
}
