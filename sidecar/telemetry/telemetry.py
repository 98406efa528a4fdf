"""Counts what happens: every event becomes its log line and its metrics here, and nowhere else.

Invariants
- Counters exist from the start, at 0, for every configured rule, channel and input, so that a rate over them is never
  missing; those of what a reload removed disappear.
- Labels are bounded: configured names and closed enums.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product

import msgspec
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase

from sidecar import __version__
from sidecar.core.daemon import Trouble
from sidecar.core.decisions import DiscardReason, HeartbeatResult, SettledAs, SuppressedReason
from sidecar.core.decode.base import Rejected
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.outcome import Result
from sidecar.core.pagerduty_events import EventType, WebhookOutcome
from sidecar.telemetry import events
from sidecar.telemetry.events import Event
from sidecar.telemetry.events import webhooks as webhook_events
from sidecar.telemetry.log import Log

HTTP_CODES = ("200", "400", "401", "403", "404", "405", "413", "415", "503")
"""Every status that the HTTP input answers with."""

SECONDS_TO_PAGE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
"""From a local answer to an outage of the service: finest where a healthy page falls, then up to an hour."""

SECONDS_TO_DETECT = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)
"""A threshold's window lies in it: minutes are normal."""

SECONDS_OF_PEOPLE = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800)
"""Acknowledging takes minutes, resolving up to a day, and a day of silence more where an application went dead."""

SECONDS_OF_LOOP = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
"""A loop that keeps up is late by less than 10 ms; beyond 50 ms something holds it that should not."""

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # untyped upstream


class RuleGauge(msgspec.Struct, frozen=True):
    """What one rule holds right now."""

    groups: int
    largest: int
    open: int
    acknowledged: int


class OutboxGauge(msgspec.Struct, frozen=True):
    """What waits for one channel right now."""

    notifications: int
    oldest_seconds: float


class Gauges(msgspec.Struct, frozen=True):
    """What is read when metrics are asked for."""

    rules: dict[str, RuleGauge]
    outbox: dict[str, OutboxGauge]
    store_healthy: bool
    config_ok: bool
    ready: bool = True
    troubles: Mapping[str, int] = {}
    """What is wrong with the daemon itself, by kind: how many parts have it."""
    tasks: int = 0
    """Of the event loop."""
    silences: int = 0
    inputs: dict[str, bool] = {}
    """Whether each runs and can read."""


class Telemetry:
    """The daemon's log and metrics."""

    def __init__(self, log: Log | None = None) -> None:
        self.log = log if log is not None else Log(clock=time.time)
        self.registry = CollectorRegistry()
        self._gauges: Callable[[], Gauges] | None = None
        r = self.registry
        self.input_bytes = Counter("luminalog_input_bytes", "Bytes read", ["input"], registry=r)
        self.records = Counter("luminalog_records_decoded", "Records decoded", ["input"], registry=r)
        self.lag = Gauge("luminalog_input_lag_bytes", "Bytes there and not yet read", ["input"], registry=r)
        self.files = Gauge("luminalog_input_files", "Files followed", ["input"], registry=r)
        self.unreadable = Gauge("luminalog_input_files_unreadable", "Files that cannot be read", ["input"], registry=r)
        self.rejected = Counter("luminalog_records_rejected", "Undecodable records", ["input", "reason"], registry=r)
        self.truncated = Counter("luminalog_lines_truncated", "Lines over max_line_bytes", ["input"], registry=r)
        self.skewed = Counter("luminalog_records_skewed", "Records from the future", ["input"], registry=r)
        self.prefilter = Gauge(
            "luminalog_prefilter_active",
            "Whether only records that rules may ask for are decoded",
            ["input"],
            registry=r,
        )
        self.loss = Counter("luminalog_input_possible_loss", "Times that bytes may be lost", ["input"], registry=r)
        self.failures = Counter("luminalog_input_failures", "Times that it could not be read", ["input"], registry=r)
        self.requests = Counter("luminalog_http_requests", "Requests answered", ["input", "code"], registry=r)
        self.repeated = Counter("luminalog_http_requests_repeated", "Requests not counted again", ["input"], registry=r)
        self.connections_refused = Counter(
            "luminalog_http_connections_refused", "Connections beyond the limit", ["input"], registry=r
        )
        self.admin_cut = Counter(
            "luminalog_admin_connections_cut", "Connections that made way for newer ones", registry=r
        )
        self.matches = Counter("luminalog_rule_matches", "Records that matched", ["rule", "level"], registry=r)
        self.conditions = Counter(
            "luminalog_rule_condition_seconds",
            "Time that conditions with regular expressions took",
            ["rule"],
            registry=r,
        )
        self.opened = Counter("luminalog_incidents_opened", "Incidents opened", ["rule", "level", "kind"], registry=r)
        self.notifications = Counter(
            "luminalog_notifications", "Notifications settled", ["channel", "action", "outcome"], registry=r
        )
        self.pages = Counter(
            "luminalog_pages", "Triggers that a pager accepted", ["rule", "channel", "level"], registry=r
        )
        self.suppressed = Counter("luminalog_suppressed", "Notifications not sent", ["rule", "reason"], registry=r)
        self.discarded = Counter(
            "luminalog_matches_discarded", "Matches that changed nothing", ["rule", "reason"], registry=r
        )
        self.attempts = Counter("luminalog_delivery_attempts", "Attempts", ["channel", "result"], registry=r)
        self.page_latency = Histogram(
            "luminalog_page_latency_seconds",
            "From reading the breaching record to the channel's acceptance",
            ["channel"],
            buckets=SECONDS_TO_PAGE,
            registry=r,
        )
        self.detect = Histogram(
            "luminalog_time_to_detect_seconds",
            "From an incident's first matching record to the first channel's acceptance (MTTD)",
            ["rule"],
            buckets=SECONDS_TO_DETECT,
            registry=r,
        )
        self.acknowledge = Histogram(
            "luminalog_time_to_acknowledge_seconds",
            "From an incident's first matching record to its acknowledgement (MTTA)",
            ["rule"],
            buckets=SECONDS_OF_PEOPLE,
            registry=r,
        )
        self.resolve = Histogram(
            "luminalog_time_to_resolve_seconds",
            "From an incident's first matching record to its end (MTTR)",
            ["rule"],
            buckets=SECONDS_OF_PEOPLE,
            registry=r,
        )
        self.webhooks = Counter("luminalog_webhooks", "Webhooks from PagerDuty", ["event", "outcome"], registry=r)
        self.commit = Histogram("luminalog_store_commit_seconds", "Commits", buckets=SECONDS_TO_PAGE, registry=r)
        self.loop_lag = Histogram(
            "luminalog_event_loop_lag_seconds",
            "How late a task that asked to be woken was woken",
            buckets=SECONDS_OF_LOOP,
            registry=r,
        )
        self.heartbeats = Counter("luminalog_heartbeats", "Signs of life that were due", ["result"], registry=r)
        for result in HeartbeatResult:
            self.heartbeats.labels(result)
        self.log_lost = Counter("luminalog_log_lines_lost", "Own log lines that could not be written", registry=r)
        self.log_repeated = Counter("luminalog_log_lines_suppressed", "Own log lines left out", registry=r)
        self.build = Gauge("luminalog_build_info", "Version of the daemon", ["version"], registry=r)
        self.build.labels(__version__).set(1)
        r.register(_Pulled(self))
        prometheus_client.ProcessCollector(registry=r)
        self.log.on_lost = self.log_lost.inc
        self.log.on_repeated = self.log_repeated.inc

    def emit(self, event: Event) -> None:
        """Log and count one event."""
        self._count(event)
        self.log.write(event)

    def set_gauges(self, read: Callable[[], Gauges]) -> None:
        """Say how gauges are read when metrics are asked for."""
        self._gauges = read

    def configure(self, *, rules: Iterable[str], channels: Iterable[str], inputs: Iterable[str]) -> None:
        """Make every counter of the configured names exist, and those of names that are gone disappear."""
        wanted = {"rule": tuple(rules), "channel": tuple(channels), "input": tuple(inputs)}
        closed: dict[str, tuple[str, ...]] = {
            "level": tuple(level.label for level in Level),
            "kind": tuple(Kind),
            "action": tuple(Action),
            "outcome": tuple(SettledAs),
            "result": tuple(Result),
            "code": HTTP_CODES,
            "event": tuple(EventType),
        }
        reasons: dict[MetricWrapperBase, tuple[str, ...]] = {
            self.rejected: tuple(Rejected),
            self.suppressed: tuple(SuppressedReason),
            self.discarded: tuple(DiscardReason),
        }
        for metric in self._labelled():
            known = {"reason": reasons.get(metric, ()), **closed, **wanted}
            if metric is self.webhooks:
                known["outcome"] = tuple(WebhookOutcome)
            values = [known[label] for label in metric._labelnames]
            for label, names in wanted.items():
                if label in metric._labelnames:
                    position = metric._labelnames.index(label)
                    for labels in [labels for labels in metric._metrics if labels[position] not in names]:
                        metric.remove(*labels)
            for labels in product(*values):
                metric.labels(*labels)

    def value(self, name: str, **labels: str) -> float:
        """Return one sample's value; 0 if there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def _labelled(self) -> Iterator[MetricWrapperBase]:
        for metric in vars(self).values():
            fixed = metric in (self.build, self.heartbeats)  # have no label that a configuration changes
            if isinstance(metric, MetricWrapperBase) and not fixed and metric._labelnames:
                yield metric

    def _count(self, event: Event) -> None:
        match event:
            case events.Read():
                self.input_bytes.labels(event.input).inc(event.bytes)
                self.records.labels(event.input).inc(event.records)
            case events.Matched():
                self.matches.labels(event.rule, event.level.label).inc(event.matches)
            case events.ConditionsTimed():
                self.conditions.labels(event.rule).inc(event.seconds)
            case events.Rejected():
                self.rejected.labels(event.input, event.reason).inc(event.records)
            case events.LinesTruncated():
                self.truncated.labels(event.input).inc(event.lines)
            case events.Skewed():
                self.skewed.labels(event.input).inc(event.records)
            case events.PrefilterChosen():
                self.prefilter.labels(event.input).set(not event.reason)
            case events.PossibleLoss():
                self.loss.labels(event.input).inc()
            case events.InputFailed():
                self.failures.labels(event.input).inc()
            case events.FileUnreadable():
                self.unreadable.labels(event.input).inc()
            case events.FileReadable():
                self.unreadable.labels(event.input).dec()
            case events.InputLag():
                self.lag.labels(event.input).set(event.unread_bytes)
            case events.InputFiles():
                self.files.labels(event.input).set(event.files)
            case events.RequestAnswered():
                self.requests.labels(event.input, str(event.status)).inc()
            case events.RequestRepeated():
                self.repeated.labels(event.input).inc()
            case events.ConnectionRefused():
                self.connections_refused.labels(event.input).inc()
            case events.InputStopped() | events.InputCrashed():
                if isinstance(event, events.InputCrashed):
                    self.failures.labels(event.input).inc()
                for gauge in (self.lag, self.files, self.unreadable):
                    gauge.labels(event.input).set(0)
            case events.Discarded():
                self.discarded.labels(event.rule, event.reason).inc(event.matches)
            case events.IncidentOpened():
                self.opened.labels(event.rule, event.level.label, event.kind).inc()
            case events.IncidentAcknowledged():
                self.acknowledge.labels(event.rule).observe(event.seconds)
            case events.IncidentResolved():
                self.resolve.labels(event.rule).observe(event.seconds)
            case events.Suppressed():
                self._count_suppressed(event)
            case _:
                self._count_delivery(event)

    def _count_suppressed(self, event: events.Suppressed) -> None:
        self.suppressed.labels(event.rule, event.reason).inc(event.notifications)
        if event.channel is not None:
            self.notifications.labels(event.channel, event.action, SettledAs.SUPPRESSED).inc(event.notifications)

    def _count_delivery(self, event: Event) -> None:
        match event:
            case events.DeliveryAttempt():
                self.attempts.labels(event.channel, event.result).inc()
            case events.NotificationSettled():
                self.notifications.labels(event.channel, event.action, event.outcome).inc()
            case events.PageDelivered():
                self.pages.labels(event.rule, event.channel, event.level.label).inc()
            case events.Delivered():
                self.page_latency.labels(event.channel).observe(event.latency_seconds)
            case events.FirstDelivered():
                self.detect.labels(event.rule).observe(event.detect_seconds)
            case webhook_events.WebhookWorked() | webhook_events.WebhookRefused() | webhook_events.WebhookFailed():
                self.webhooks.labels(event.event, event.outcome).inc()
            case events.Committed():
                self.commit.observe(event.seconds)
            case events.Heartbeat():
                self.heartbeats.labels(event.result).inc()
            case events.AdminConnectionCut():
                self.admin_cut.inc()
            case events.LoopLag():
                self.loop_lag.observe(event.seconds)
            case _:
                pass  # logged only

    def pulled(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges that are read when asked for."""
        if self._gauges is None:
            return
        now = self._gauges()
        windows = GaugeMetricFamily(
            "luminalog_rule_window_matches", "Largest window count over the rule's groups", labels=["rule"]
        )
        groups = GaugeMetricFamily("luminalog_rule_groups", "Groups of the rule", labels=["rule"])
        incidents = GaugeMetricFamily("luminalog_incidents_open", "Open incidents", labels=["rule", "state"])
        for rule, held in now.rules.items():
            windows.add_metric([rule], held.largest)
            groups.add_metric([rule], held.groups)
            incidents.add_metric([rule, "open"], held.open)
            incidents.add_metric([rule, "acknowledged"], held.acknowledged)
        outbox = GaugeMetricFamily("luminalog_outbox_notifications", "Notifications not settled", labels=["channel"])
        oldest = GaugeMetricFamily(
            "luminalog_outbox_oldest_seconds", "Age of the oldest notification not settled", labels=["channel"]
        )
        for channel, waiting in now.outbox.items():
            outbox.add_metric([channel], waiting.notifications)
            oldest.add_metric([channel], waiting.oldest_seconds)
        running = GaugeMetricFamily("luminalog_input_running", "Whether it runs and can read", labels=["input"])
        for name, runs in now.inputs.items():
            running.add_metric([name], runs)
        yield from (windows, groups, incidents, outbox, oldest, running)
        yield GaugeMetricFamily(
            "luminalog_config_last_reload_successful", "Whether the file on disk is what runs", value=now.config_ok
        )
        troubles = GaugeMetricFamily(
            "luminalog_daemon_troubles", "Parts of the daemon that cannot do their job", labels=["trouble"]
        )
        for trouble in Trouble:
            troubles.add_metric([trouble], now.troubles.get(trouble, 0))
        yield troubles
        yield GaugeMetricFamily("luminalog_event_loop_tasks", "Tasks of the event loop", value=now.tasks)
        yield GaugeMetricFamily("luminalog_ready", "Whether /readyz answers 200", value=now.ready)
        yield GaugeMetricFamily("luminalog_silences_active", "Silences that hold now", value=now.silences)
        yield GaugeMetricFamily("luminalog_store_healthy", "Whether state can be written", value=now.store_healthy)


class _Pulled:
    """A collector over what is read when asked for."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families (the interface of prometheus_client)."""
        yield from self._telemetry.pulled()
