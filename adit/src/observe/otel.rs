//! Traces over OTLP: a queue, a task that sends what is in it, and counts of what was sent and what was not.
//!
//! All of it is set by OpenTelemetry's own environment variables, and nothing is sent unless an endpoint is named by one.

use std::{
    env, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ::tunnel::trace::{Span, SpanKind, SpanSink, TraceId};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    trace::{
        SpanContext, SpanId as OtelSpanId, SpanKind as OtelKind, Status, TraceContextExt,
        TraceFlags, TraceId as OtelTraceId, TraceState,
    },
};
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{
        Config, SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanExporter, SpanLinks,
    },
};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry::Registry};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::ClientTlsConfig;

use super::figures::Figures;

/// Steps that wait to be sent (`OTEL_BSP_MAX_QUEUE_SIZE`); more are dropped and counted.
const QUEUE: usize = 2048;
/// Steps in one message (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
const BATCH: usize = 512;
/// The longest wait for a message to fill, in milliseconds (`OTEL_BSP_SCHEDULE_DELAY`).
const DELAY_MS: usize = 5000;
/// How long a process that ends waits for its last messages.
const FAREWELL: Duration = Duration::from_secs(2);

/// Sends traces until it is finished.
#[derive(Debug)]
pub(crate) struct Traces(Option<Running>);

#[derive(Debug)]
struct Running {
    queue: Sender<Message>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Sink {
    sampler: Box<dyn ShouldSample>,
    scope: InstrumentationScope,
    queue: Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Span(Box<SpanData>),
    Finish,
}

/// What became of steps, in this process.
static EXPORTED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

impl Traces {
    /// Begins, if an endpoint is named. To be called within the runtime.
    pub(crate) fn start() -> Self {
        if !is_wanted(|name| env::var(name).ok()) {
            return Self(None);
        }
        let mut exporter = match exporter() {
            Ok(exporter) => exporter,
            Err(error) => {
                tracing::error!(%error, "traces are not sent");
                return Self(None);
            }
        };
        exporter.set_resource(&resource());
        let (queue, spans) = channel(number("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE));
        ::tunnel::trace::install(Arc::new(Sink {
            sampler: Config::default().sampler,
            scope: InstrumentationScope::builder("adit")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
            queue: queue.clone(),
        }));
        let task = tokio::spawn(send_all(exporter, spans));
        Self(Some(Running { queue, task }))
    }

    /// Sends what is left, if the collector takes it soon.
    pub(crate) async fn finish(self) {
        let Some(Running { queue, task }) = self.0 else {
            return;
        };
        let finishing = async {
            // The task is gone only when it has nothing left to send.
            let _ = queue.send(Message::Finish).await;
            let _ = task.await;
        };
        if timeout(FAREWELL, finishing).await.is_err() {
            tracing::warn!("the collector of traces does not answer; the last ones are lost");
        }
    }
}

fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let says = |name: &str, value: &str| {
        variable(name).is_some_and(|said| said.trim().eq_ignore_ascii_case(value))
    };
    let names_endpoint = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]
    .iter()
    .any(|name| variable(name).is_some_and(|said| !said.trim().is_empty()));
    names_endpoint && !says("OTEL_SDK_DISABLED", "true") && !says("OTEL_TRACES_EXPORTER", "none")
}

fn number(name: &str, default: usize) -> usize {
    let said = env::var(name)
        .ok()
        .and_then(|said| said.trim().parse().ok());
    said.filter(|number| *number > 0).unwrap_or(default)
}

fn exporter() -> Result<OtlpExporter, opentelemetry_otlp::ExporterBuildError> {
    OtlpExporter::builder()
        .with_tonic()
        // Used for https:// endpoints only: whom this machine trusts.
        .with_tls_config(ClientTlsConfig::new().with_native_roots())
        .build()
}

fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    let is_named = env::var_os("OTEL_SERVICE_NAME").is_some()
        || env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|said| said.contains("service.name="));
    if is_named {
        builder.build()
    } else {
        builder.with_service_name("adit").build()
    }
}

async fn send_all(exporter: OtlpExporter, mut spans: Receiver<Message>) {
    let most = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH);
    let delay = number("OTEL_BSP_SCHEDULE_DELAY", DELAY_MS);
    let delay = Duration::from_millis(delay.try_into().unwrap_or(u64::MAX));
    loop {
        let (batch, over) = collect(&mut spans, most, delay).await;
        let count = batch.len() as u64;
        if count > 0 {
            match exporter.export(batch).await {
                Ok(()) => EXPORTED.fetch_add(count, Relaxed),
                Err(error) => {
                    tracing::warn!(%error, "traces cannot be sent");
                    FAILED.fetch_add(count, Relaxed)
                }
            };
        }
        if over {
            return;
        }
    }
}

/// Waits for the first step, and then for more, until there are enough or the time is over. True when it was the last.
async fn collect(
    spans: &mut Receiver<Message>,
    most: usize,
    delay: Duration,
) -> (Vec<SpanData>, bool) {
    let mut batch = Vec::new();
    let mut over = false;
    let filling = async {
        while batch.len() < most {
            match spans.recv().await {
                Some(Message::Span(span)) => batch.push(*span),
                Some(Message::Finish) | None => {
                    over = true;
                    return;
                }
            }
        }
    };
    // Nothing but the time ends the wait early, and what came is kept.
    let _ = timeout(delay, filling).await;
    (batch, over)
}

impl SpanSink for Sink {
    fn samples(&self, trace: TraceId, parent: Option<bool>) -> bool {
        let trace = OtelTraceId::from_bytes(trace.bytes());
        let context = parent.map(|sampled| {
            let flags = TraceFlags::default().with_sampled(sampled);
            // Whose step it was makes no difference to a sampler.
            let span = OtelSpanId::from_bytes([1; 8]);
            let parent = SpanContext::new(trace, span, flags, true, TraceState::NONE);
            Context::new().with_remote_span_context(parent)
        });
        let asked = self.sampler.should_sample(
            context.as_ref(),
            trace,
            "visit",
            &OtelKind::Server,
            &[],
            &[],
        );
        asked.decision == SamplingDecision::RecordAndSample
    }

    fn ended(&self, span: Span) {
        let data = Box::new(self.data(span));
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Span(data)) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }
}

impl Sink {
    fn data(&self, span: Span) -> SpanData {
        let context = span.context;
        let parent = span.parent.map_or(OtelSpanId::INVALID, |parent| {
            OtelSpanId::from_bytes(parent.bytes())
        });
        SpanData {
            span_context: SpanContext::new(
                OtelTraceId::from_bytes(context.trace.bytes()),
                OtelSpanId::from_bytes(context.span.bytes()),
                TraceFlags::default().with_sampled(context.sampled),
                false,
                TraceState::NONE,
            ),
            parent_span_id: parent,
            parent_span_is_remote: span.kind == SpanKind::Server,
            span_kind: match span.kind {
                SpanKind::Server => OtelKind::Server,
                SpanKind::Client => OtelKind::Client,
                SpanKind::Internal => OtelKind::Internal,
            },
            name: span.name.into(),
            start_time: span.began,
            end_time: span.began + span.took,
            attributes: span
                .attributes
                .into_iter()
                .map(|(name, value)| KeyValue::new(name, value))
                .collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(OfTraces));
}

#[derive(Debug)]
struct OfTraces;

impl Collector for OfTraces {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut figures = Figures::new(encoder, "otel");
        for (name, help, count) in [
            (
                "spans_exported",
                "Steps of traces that were sent",
                &EXPORTED,
            ),
            ("spans_dropped", "Steps that found the queue full", &DROPPED),
            (
                "spans_failed",
                "Steps that the collector did not take",
                &FAILED,
            ),
        ] {
            figures.counter(name, help, None, count.load(Relaxed))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_unless_an_endpoint_is_named() {
        let wanted = |said: &[(&str, &str)]| {
            is_wanted(|name| {
                let found = said.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        assert!(!wanted(&[]));
        assert!(wanted(&[named]));
        assert!(!wanted(&[named, ("OTEL_SDK_DISABLED", "true")]));
        assert!(!wanted(&[named, ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_goes_when_it_is_full_or_late_and_at_the_end() {
        let sink_of = |queue| Sink {
            sampler: Config::default().sampler,
            scope: InstrumentationScope::default(),
            queue,
        };
        let (queue, mut spans) = channel(3);
        let sink = sink_of(queue);
        let before = DROPPED.load(Relaxed);
        for _ in 0..4 {
            sink.ended(step());
        }
        assert_eq!(DROPPED.load(Relaxed), before + 1);
        let late = Duration::from_secs(5);
        let (batch, over) = collect(&mut spans, 2, late).await;
        assert_eq!((batch.len(), over), (2, false));
        let (batch, over) = collect(&mut spans, 2, late).await;
        assert_eq!((batch.len(), over), (1, false));
        sink.ended(step());
        sink.queue.send(Message::Finish).await.unwrap();
        let (batch, over) = collect(&mut spans, 2, late).await;
        assert_eq!((batch.len(), over), (1, true));
    }

    fn step() -> Span {
        use ::tunnel::trace::{SpanId, TraceContext};
        Span {
            context: TraceContext {
                trace: TraceId::from_random(1),
                span: SpanId::from_random(2),
                sampled: true,
            },
            parent: None,
            name: "visit",
            kind: SpanKind::Server,
            began: std::time::SystemTime::UNIX_EPOCH,
            took: Duration::from_secs(1),
            attributes: Vec::new(),
            error: None,
        }
    }
}
