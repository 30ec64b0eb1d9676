//! What is counted, and how Prometheus reads it: [`Metrics`], [`Meter`].
//!
//! A [`Meter`] is fetched once, when the tree is built; a request then touches nothing but atomics. (prometheus-client's own
//! histogram takes a lock that all cores would share, and its families hash their labels: its encoder is used, its
//! metric types are not.)

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tokio::time::Instant;
use tollgate_layers::{Class, Ending, Hear, clock, retry::Budget};

/// Upper bounds of the histograms' buckets, in milliseconds: from a cache hit to a thinking model.
const BOUNDS: [u64; 14] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];

/// What one scope counts: the gateway, a group, or a deployment.
#[derive(Debug, Default)]
pub struct Meter {
    by_class: [AtomicU64; Class::COUNT],
    cancelled: AtomicU64,
    begun: AtomicU64,
    duration: Histogram,
    first_content: Histogram,
    broken_events: Arc<AtomicU64>,
}

impl Meter {
    /// Where events with broken JSON are counted.
    #[must_use]
    pub fn broken_events(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.broken_events)
    }

    /// One more has begun.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// The head went up, with the first content or the whole answer in hand.
    pub fn first_content(&self, after: Duration) {
        self.first_content.observe(after);
    }

    /// One has ended; without a class it was cancelled.
    pub fn end(&self, class: Option<Class>, after: Duration) {
        match class {
            Some(class) => self.by_class[class.index()].fetch_add(1, Ordering::Relaxed),
            None => self.cancelled.fetch_add(1, Ordering::Relaxed),
        };
        self.duration.observe(after);
    }

    /// How many are under way: those that began and have not ended, so that a request counts neither in nor out.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let ended: u64 = self.endings().map(|(_, count)| count).sum();
        // The two are not read at one moment.
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    /// How many ended in this class.
    #[must_use]
    pub fn ended(&self, class: Class) -> u64 {
        self.by_class[class.index()].load(Ordering::Relaxed)
    }

    fn endings(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let classes = Class::ALL.iter().map(|class| (class.as_str(), self.ended(*class)));
        classes.chain([("cancelled", self.cancelled.load(Ordering::Relaxed))])
    }
}

/// One request under way: counted when it ends, or as cancelled when it is dropped.
#[derive(Debug)]
pub struct Count {
    meter: Arc<Meter>,
    start: Instant,
    /// How long it took, where that is known before it ends.
    took: Option<Duration>,
    heard: bool,
}

impl Count {
    /// It begins now.
    #[must_use]
    pub fn begin(meter: Arc<Meter>) -> Self {
        meter.begin();
        Self { meter, start: clock::now(), took: None, heard: false }
    }

    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.start)
    }

    /// Its head goes up, with the first content in hand if it goes `well`, or, when it is `over`, with the whole answer.
    pub fn head(&mut self, well: bool, over: bool) {
        let after = self.elapsed();
        self.took = over.then_some(after); // one look at the clock is enough
        if well {
            self.meter.first_content(after);
        }
    }
}

impl Hear for Count {
    fn end(mut self, ending: &Ending) {
        self.heard = true;
        let after = self.took.unwrap_or_else(|| self.elapsed());
        self.meter.end(Some(ending.class()), after);
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if !self.heard {
            self.meter.end(None, self.elapsed());
        }
    }
}

/// A histogram of seconds, without a lock.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    fn observe(&self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanos <= bound * 1_000_000).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Sum in seconds, count, and the count of each bucket with its upper bound.
    fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
        let buckets: Vec<_> =
            bounds.zip(self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64(), count, buckets)
    }
}

/// All meters of one gateway. Cheap to clone; two gateways in one process share none.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// Meters by name. Locked when a tree is built and when the counters are read, never by a request.
type Kept<Key> = Mutex<BTreeMap<Key, Arc<Meter>>>;

#[derive(Debug, Default)]
struct Inner {
    gateway: Arc<Meter>,
    groups: Kept<Arc<str>>,
    /// By group and id.
    deployments: Kept<(Arc<str>, Arc<str>)>,
    budget: Mutex<Option<Budget>>,
}

impl Metrics {
    /// The gateway's own meter: one count per call of a model that the door let in.
    #[must_use]
    pub fn gateway(&self) -> Arc<Meter> {
        Arc::clone(&self.inner.gateway)
    }

    /// A group's meter: one count per request that reached it, however many attempts.
    #[must_use]
    pub fn group(&self, name: &Arc<str>) -> Arc<Meter> {
        let mut groups = self.inner.groups.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(groups.entry(Arc::clone(name)).or_default())
    }

    /// A deployment's meter: one count per attempt.
    #[must_use]
    pub fn deployment(&self, group: &Arc<str>, id: &Arc<str>) -> Arc<Meter> {
        let mut deployments = self.inner.deployments.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(deployments.entry((Arc::clone(group), Arc::clone(id))).or_default())
    }

    /// Shows the retry budget too.
    pub fn watch(&self, budget: Budget) {
        *self.inner.budget.lock().unwrap_or_else(PoisonError::into_inner) = Some(budget);
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// When the encoder refuses a value, which would be a fault of ours.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("tollgate");
        registry.register_collector(Box::new(self.clone()));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

type Scope = (Vec<(&'static str, Arc<str>)>, Arc<Meter>);

impl Metrics {
    fn groups(&self) -> Vec<Scope> {
        let groups = self.inner.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.iter().map(|(name, meter)| (vec![("group", Arc::clone(name))], Arc::clone(meter))).collect()
    }

    fn deployments(&self) -> Vec<Scope> {
        let deployments = self.inner.deployments.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = |(group, id): &(Arc<str>, Arc<str>)| {
            vec![("group", Arc::clone(group)), ("deployment", Arc::clone(id))]
        };
        deployments.iter().map(|(key, meter)| (labels(key), Arc::clone(meter))).collect()
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gateway = vec![(Vec::new(), self.gateway())];
        let scopes = [
            ("requests", "calls of models by clients", gateway),
            ("group_requests", "requests that reached a group", self.groups()),
            ("deployment_attempts", "calls of a deployment", self.deployments()),
        ];
        for (name, help, scopes) in &scopes {
            encode_scopes(&mut encoder, name, help, scopes)?;
        }
        let mut broken = encoder.encode_descriptor(
            "deployment_broken_events",
            "Events of streams that were no JSON",
            None,
            MetricType::Counter,
        )?;
        for (labels, meter) in self.deployments() {
            let count = meter.broken_events.load(Ordering::Relaxed);
            ConstCounter::new(count).encode(broken.encode_family(&Labels(&labels))?)?;
        }
        let budget = self.inner.budget.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(counts) = budget.map(|budget| budget.counts()) {
            let counts = [
                ("retry_budget_first_attempts", "First attempts that fed the retry budget", counts.deposits),
                ("retry_budget_repeats", "Repeats that the retry budget paid for", counts.withdrawals),
                ("retry_budget_refused", "Repeats that the retry budget refused", counts.refused),
            ];
            for (name, help, count) in counts {
                let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
                ConstCounter::new(count).encode(metric)?;
            }
        }
        Ok(())
    }
}

fn encode_scopes(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    scopes: &[Scope],
) -> Result<(), fmt::Error> {
    let ended = format!("How they ended: {help}");
    let mut family = encoder.encode_descriptor(name, &ended, None, MetricType::Counter)?;
    for (labels, meter) in scopes {
        for (class, count) in meter.endings() {
            let mut labels = labels.clone();
            labels.push(("class", class.into()));
            ConstCounter::new(count).encode(family.encode_family(&Labels(&labels))?)?;
        }
    }
    let in_flight = format!("{name}_in_flight");
    let now = format!("How many are in flight: {help}");
    let mut family = encoder.encode_descriptor(&in_flight, &now, None, MetricType::Gauge)?;
    for (labels, meter) in scopes {
        ConstGauge::new(meter.in_flight()).encode(family.encode_family(&Labels(labels))?)?;
    }
    for (what, until) in [("duration_seconds", "their end"), ("first_content_seconds", "their first content")]
    {
        let name = format!("{name}_{what}");
        let taken = format!("Seconds until {until}: {help}");
        let mut family = encoder.encode_descriptor(&name, &taken, None, MetricType::Histogram)?;
        for (labels, meter) in scopes {
            let histogram = if what == "duration_seconds" { &meter.duration } else { &meter.first_content };
            let (sum, count, buckets) = histogram.read();
            let labels = Labels(labels);
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
    }
    Ok(())
}

/// Labels known when the tree was built.
struct Labels<'a>(&'a [(&'static str, Arc<str>)]);

impl prometheus_client::encoding::EncodeLabelSet for Labels<'_> {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        self.0.iter().try_for_each(|(name, value)| {
            prometheus_client::encoding::EncodeLabel::encode(&(*name, value.as_ref()), encoder.encode_label())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_scope_with_its_labels_escaped() {
        let metrics = Metrics::default();
        let group: Arc<str> = "gpt \"4\"\n".into();
        metrics.group(&group).begin();
        metrics.group(&group).end(Some(Class::RateLimited), Duration::from_millis(30));
        metrics.deployment(&group, &"eu-1".into()).begin();
        let text = metrics.render().unwrap();
        assert!(
            text.contains(r#"tollgate_group_requests_total{group="gpt \"4\"\n",class="rate_limited"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(
                r#"tollgate_deployment_attempts_in_flight{group="gpt \"4\"\n",deployment="eu-1"} 1"#
            ),
            "{text}"
        );
        assert!(
            text.contains(
                r#"tollgate_group_requests_duration_seconds_bucket{le="0.05",group="gpt \"4\"\n"} 1"#
            ),
            "{text}"
        );
    }

    #[test]
    fn whoever_is_dropped_unheard_counts_as_cancelled() {
        let meter = Meter::default();
        meter.begin();
        meter.end(None, Duration::ZERO);
        assert_eq!(meter.in_flight(), 0);
        assert_eq!(meter.endings().find(|(name, _)| *name == "cancelled"), Some(("cancelled", 1)));
    }
}
