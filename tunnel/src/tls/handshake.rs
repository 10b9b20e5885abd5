//! The handshake: rustls says what to send and when it wants more; this carries the bytes.

use std::{io, ops::DerefMut, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use rustls::{
    ClientConfig, ExtractedSecrets, ProtocolVersion, ServerConfig,
    client::{ClientConnectionData, UnbufferedClientConnection},
    pki_types::ServerName,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    TlsError, TlsStream,
    export::ExporterSecret,
    key::{Opener, Sealer},
    record::{Kernel, Records, Sealed},
};

/// One read: most flights of a handshake.
const READ: usize = 4096;
/// Bytes that may wait for the rest of their message: more than rustls lets a message have, with a record's overhead.
const WAITING: usize = 256 * 1024;

/// Takes `name` to be the peer's. Whoever drops the future gives up.
pub async fn connect<S>(
    config: &ClientConfig,
    name: ServerName<'static>,
    io: S,
) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut config, secret) = (config.clone(), Arc::new(ExporterSecret::default()));
    config.enable_secret_extraction = true;
    config.key_log = secret.clone();
    let connection = UnbufferedClientConnection::new(Arc::new(config), name);
    Shaking::new(connection.map_err(TlsError::from)?, io, secret)
        .run()
        .await
}

/// `first` was read of `io` already.
pub async fn accept<S>(config: &ServerConfig, first: &[u8], io: S) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut config, secret) = (config.clone(), Arc::new(ExporterSecret::default()));
    config.enable_secret_extraction = true;
    config.key_log = secret.clone();
    let connection = UnbufferedServerConnection::new(Arc::new(config)).map_err(TlsError::from)?;
    let mut shaking = Shaking::new(connection, io, secret);
    shaking.incoming.extend_from_slice(first);
    shaking.run().await
}

/// The two kinds of connection, which rustls keeps apart.
trait Half: Sized {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn is_handshaking(&self) -> bool;
    /// Whether it has something to encode.
    fn wants_write(&self) -> bool;
    fn version(&self) -> Option<ProtocolVersion>;
    fn finish(self) -> Result<(ExtractedSecrets, Kernel), rustls::Error>;
}

struct Shaking<C, S> {
    connection: C,
    io: S,
    incoming: BytesMut,
    out: Sealed,
    /// Content that came right behind the handshake.
    early: Vec<Bytes>,
    exporter: Arc<ExporterSecret>,
}

enum Step {
    Again,
    Read,
    Done,
}

impl<C: Half, S: AsyncRead + AsyncWrite + Unpin> Shaking<C, S> {
    fn new(connection: C, io: S, exporter: Arc<ExporterSecret>) -> Self {
        Self {
            connection,
            io,
            incoming: BytesMut::new(),
            out: Sealed::default(),
            early: Vec::new(),
            exporter,
        }
    }

    async fn run(mut self) -> io::Result<TlsStream<S>> {
        loop {
            match self.step() {
                Ok(Step::Again) => {}
                Ok(Step::Read) => {
                    self.write().await?;
                    self.read().await?;
                }
                Ok(Step::Done) => {
                    self.write().await?;
                    return Ok(self.finish()?);
                }
                Err(error) => {
                    self.say_why();
                    // The peer may be gone, and the error is what counts.
                    let _ = self.write().await;
                    return Err(error.into());
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, TlsError> {
        let UnbufferedStatus { discard, state } = self.connection.process(&mut self.incoming);
        let step = state.map_err(TlsError::from).and_then(|state| {
            Ok(match state {
                ConnectionState::EncodeTlsData(data) => {
                    encode(data, &mut self.out);
                    Step::Again
                }
                // What was encoded is written before anything else is read.
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    Step::Again
                }
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        self.early.push(Bytes::copy_from_slice(record?.payload));
                    }
                    Step::Again
                }
                ConnectionState::WriteTraffic(_) => Step::Done,
                ConnectionState::BlockedHandshake => Step::Read,
                // The peer has closed, or sends what was not offered to it.
                _ => return Err(TlsError::Left),
            })
        });
        self.incoming.advance(discard);
        let step = step?;
        // A server may speak before it knows that the client has finished.
        if matches!(step, Step::Done) && self.connection.is_handshaking() {
            return Ok(Step::Read);
        }
        Ok(step)
    }

    fn say_why(&mut self) {
        // Nothing else may be processed after an error.
        while self.connection.wants_write() {
            let status = self.connection.process(&mut self.incoming);
            let Ok(ConnectionState::EncodeTlsData(data)) = status.state else {
                return;
            };
            encode(data, &mut self.out);
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        let bytes = self.out.rest().len();
        self.io.write_all(self.out.rest()).await?;
        self.out.wrote(bytes);
        self.io.flush().await
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.incoming.len() > WAITING {
            return Err(TlsError::Broken(super::Fault::TooLong).into());
        }
        self.incoming.reserve(READ);
        match self.io.read_buf(&mut self.incoming).await? {
            0 => Err(TlsError::Left.into()),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<TlsStream<S>, TlsError> {
        if self.connection.version() != Some(ProtocolVersion::TLSv1_3) {
            return Err(TlsError::Version);
        }
        let exporter = self.exporter.channel_binding()?;
        let (secrets, kernel) = self.connection.finish()?;
        let sealer = Sealer::new(secrets.tx.0, &secrets.tx.1)?;
        let opener = Opener::new(secrets.rx.0, &secrets.rx.1)?;
        let records = Records::new(sealer, opener, kernel);
        Ok(TlsStream::new(
            self.io,
            records,
            self.incoming,
            self.early,
            exporter,
        ))
    }
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Sealed) {
    // The first call tells the size.
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        let mut bytes = vec![0; size.required_size];
        if let Ok(length) = data.encode(&mut bytes) {
            out.put(&bytes[..length]);
        }
    }
}

impl Half for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.deref_mut().process_tls_records(incoming)
    }

    fn is_handshaking(&self) -> bool {
        (***self).is_handshaking()
    }

    fn wants_write(&self) -> bool {
        (***self).wants_write()
    }

    fn version(&self) -> Option<ProtocolVersion> {
        self.protocol_version()
    }

    fn finish(self) -> Result<(ExtractedSecrets, Kernel), rustls::Error> {
        let (secrets, kernel) = self.dangerous_into_kernel_connection()?;
        Ok((secrets, Kernel::Client(kernel)))
    }
}

impl Half for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.deref_mut().process_tls_records(incoming)
    }

    fn is_handshaking(&self) -> bool {
        (***self).is_handshaking()
    }

    fn wants_write(&self) -> bool {
        (***self).wants_write()
    }

    fn version(&self) -> Option<ProtocolVersion> {
        self.protocol_version()
    }

    fn finish(self) -> Result<(ExtractedSecrets, Kernel), rustls::Error> {
        let (secrets, kernel) = self.dangerous_into_kernel_connection()?;
        Ok((secrets, Kernel::Server(kernel)))
    }
}
