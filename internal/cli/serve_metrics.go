package cli

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// metricsPart gives /metrics. It is built last, when the other parts are there to be asked.
func metricsPart(_ context.Context, v *service) (*part, error) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &figures{v: v, began: v.now()})
	v.web.Metrics = promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second})
	return nil, nil
}

// figures collects what the parts know when Prometheus asks. What it can have many of is bounded: monitors, channels,
// sources and hosts by the configuration (and maxSeries), providers, causes and fates by our tables.
type figures struct {
	v     *service
	began time.Time

	mu   sync.Mutex
	mail *trace.Overview // sums of the store, asked at most every few seconds
	at   time.Time
}

// maxSeries bounds series of one kind that a configuration may make.
const maxSeries = 2000

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mailwhy_"+name, help, labels, nil)
}

// metrics are the names, each with its unit at the end, as Prometheus names things.
var metrics = struct {
	build, state, flapping, muted, runs, failures, blind, lastRun, response, remaining, oldest, findings,
	incidents, proposals, alerts, waiting,
	lines, bytes, dropped, refused, sinkErrors, behind, spooled, stored, hostSeen,
	mail, provider, causes *prometheus.Desc
}{
	build:     desc("build_info", "Version of mailwhy; the value is always 1.", "version"),
	state:     desc("monitor_state", "State of a monitor: 1 for the one it is in.", "monitor", "kind", "state"),
	flapping:  desc("monitor_flapping", "1 while a monitor changes too often to be told.", "monitor", "kind"),
	muted:     desc("monitor_muted", "1 while a monitor is muted.", "monitor", "kind"),
	runs:      desc("monitor_runs_total", "Runs of a monitor.", "monitor", "kind"),
	failures:  desc("monitor_failures_total", "Runs of a monitor that failed.", "monitor", "kind"),
	blind:     desc("monitor_untested_total", "Runs of a monitor that could not test.", "monitor", "kind"),
	lastRun:   desc("monitor_last_run_timestamp_seconds", "When a monitor ran last.", "monitor", "kind"),
	response:  desc("monitor_response_seconds", "How long the answer took in the last run that could test.", "monitor", "kind"),
	remaining: desc("monitor_certificate_remaining_seconds", "Time until the certificate expires.", "monitor", "kind"),
	oldest:    desc("monitor_queue_oldest_seconds", "Age of the oldest message in the mail queue.", "monitor", "kind"),
	findings:  desc("monitor_findings", "Counts of the last run: errors, warnings, untested, listings, messages, changes.", "monitor", "kind", "measure"),
	incidents: desc("incidents_open", "Incidents that are open."),
	proposals: desc("proposals_open", "Proposals that wait for a decision."),
	alerts:    desc("alerts_total", "Messages handed to channels, by result: sent, failed, given-up.", "channel", "result"),
	waiting:   desc("alerts_waiting", "Alerts that wait to be sent."),

	lines:      desc("intake_lines_total", "Log lines stored.", "source"),
	bytes:      desc("intake_bytes_total", "Bytes of log lines stored.", "source"),
	dropped:    desc("intake_dropped_lines_total", "Log lines lost.", "source"),
	refused:    desc("intake_refused_connections_total", "Connections not taken.", "source"),
	sinkErrors: desc("intake_store_errors_total", "Times the store did not take lines.", "source"),
	behind:     desc("intake_behind_bytes", "Bytes of the file being read that are not read yet.", "source"),
	spooled:    desc("intake_spooled_bytes", "Bytes that wait on disk for the store.", "source"),
	stored:     desc("intake_last_stored_timestamp_seconds", "When something was stored last.", "source"),
	hostSeen:   desc("host_last_line_timestamp_seconds", "Time of the latest line of a host.", "host"),

	mail:     desc("mail_messages_total", "Messages and recipients by fate, from the logs, since the hour before mailwhy started.", "fate"),
	provider: desc("mail_provider_attempts_total", "Deliveries to a provider by result, since the hour before mailwhy started.", "provider", "result"),
	causes:   desc("mail_causes_total", "Deferrals, bounces and refusals by cause, since the hour before mailwhy started.", "cause", "result"),
}

// Describe gives nothing: what there is depends on what is configured.
func (f *figures) Describe(chan<- *prometheus.Desc) {}

// Collect asks every part.
func (f *figures) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	gauge(out, metrics.build, 1, Version())
	if f.v.watch != nil {
		f.monitors(ctx, out)
	}
	if f.v.alerts != nil {
		f.alerts(ctx, out)
	}
	if f.v.taken != nil {
		f.intake(out)
	}
	if f.v.journeys != nil {
		f.flow(ctx, out)
	}
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, valid(labels)...)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, valid(labels)...)
}

// valid keeps what a log line brought along from breaking the exposition.
func valid(labels []string) []string {
	out := slices.Clone(labels)
	for i, s := range out {
		out[i] = toUTF8(s)
	}
	return out
}

func toUTF8(s string) string { return string([]rune(s)) }

func stamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (f *figures) monitors(ctx context.Context, out chan<- prometheus.Metric) {
	defs, store, now := f.v.watch.Definitions(), f.v.watch.Store(), f.v.now()
	for _, d := range defs[:min(len(defs), maxSeries)] {
		s, err := store.State(ctx, d.ID)
		if err != nil {
			f.v.log.Error("metrics", "monitor", d.ID, "error", err)
			return
		}
		mute, err := store.Mute(ctx, d.ID, now)
		if err != nil {
			f.v.log.Error("metrics", "monitor", d.ID, "error", err)
			return
		}
		shown := s.Known
		if s.Blind || shown == monitor.None {
			shown = monitor.Unknown
		}
		for _, v := range []monitor.Verdict{monitor.OK, monitor.Failing, monitor.Unknown} {
			gauge(out, metrics.state, flag(shown == v), d.ID, d.Kind, string(v))
		}
		gauge(out, metrics.flapping, flag(s.Flapping), d.ID, d.Kind)
		gauge(out, metrics.muted, flag(mute != nil), d.ID, d.Kind)
		counter(out, metrics.runs, float64(s.Runs), d.ID, d.Kind)
		counter(out, metrics.failures, float64(s.Failures), d.ID, d.Kind)
		counter(out, metrics.blind, float64(s.Blinds), d.ID, d.Kind)
		if s.Last != nil {
			gauge(out, metrics.lastRun, stamp(s.Last.At), d.ID, d.Kind)
		}
		for name, v := range s.Values {
			switch name {
			case monitor.Response:
				gauge(out, metrics.response, v, d.ID, d.Kind)
			case "remaining":
				gauge(out, metrics.remaining, v, d.ID, d.Kind)
			case "oldest":
				gauge(out, metrics.oldest, v, d.ID, d.Kind)
			default:
				gauge(out, metrics.findings, v, d.ID, d.Kind, name)
			}
		}
	}
	open, err := store.Incidents(ctx, monitor.IncidentQuery{Open: true, Limit: 10_000})
	if err != nil {
		f.v.log.Error("metrics", "error", err)
		return
	}
	gauge(out, metrics.incidents, float64(len(open)))
	ps, err := store.Proposals(ctx, true, 10_000)
	if err != nil {
		f.v.log.Error("metrics", "error", err)
		return
	}
	waiting := 0
	for i := range ps {
		if ps[i].State == monitor.ProposalOpen {
			waiting++
		}
	}
	gauge(out, metrics.proposals, float64(waiting))
}

func (f *figures) alerts(ctx context.Context, out chan<- prometheus.Metric) {
	counts := map[[2]string]int64{}
	for k, n := range f.v.alerts.Counts() {
		counts[[2]string{k.Channel, k.Result}] += n
	}
	for _, c := range f.v.alerts.Channels() { // every series is there from the start, so that a rate sees the first
		for _, result := range []string{"sent", "failed", "given-up"} {
			counter(out, metrics.alerts, float64(counts[[2]string{c.ID, result}]), c.ID, result)
		}
	}
	ds, err := f.v.state.Outbox().PendingDeliveries(ctx, 10_000)
	if err != nil {
		f.v.log.Error("metrics", "error", err)
		return
	}
	gauge(out, metrics.waiting, float64(len(ds)))
}

func (f *figures) intake(out chan<- prometheus.Metric) {
	st := f.v.taken()
	seen := map[string]bool{}
	for _, s := range st.Sources[:min(len(st.Sources), maxSeries)] {
		if seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		counter(out, metrics.lines, float64(s.Lines), s.Name)
		counter(out, metrics.bytes, float64(s.Bytes), s.Name)
		counter(out, metrics.dropped, float64(s.Dropped), s.Name)
		counter(out, metrics.refused, float64(s.Refused), s.Name)
		counter(out, metrics.sinkErrors, float64(s.SinkErrors), s.Name)
		gauge(out, metrics.behind, float64(s.Behind), s.Name)
		gauge(out, metrics.spooled, float64(s.Spooled), s.Name)
		if !s.Stored.IsZero() {
			gauge(out, metrics.stored, stamp(s.Stored), s.Name)
		}
	}
}

// flow gives the store's sums since the hour before the program started: they only grow while it runs.
func (f *figures) flow(ctx context.Context, out chan<- prometheus.Metric) {
	o, err := f.overview(ctx)
	if err != nil {
		f.v.log.Error("metrics", "error", err)
		return
	}
	t := &o.Totals
	for fate, n := range map[string]int64{"received": t.Received, "delivered": t.Delivered, "deferred": t.Deferred, "bounced": t.Bounced, "rejected": t.Rejected, "discarded": t.Discarded} {
		counter(out, metrics.mail, float64(n), fate)
	}
	for _, p := range o.Providers {
		id := p.Provider
		if id == "" {
			id = "other"
		}
		for result, n := range map[string]int64{"delivered": p.Delivered, "deferred": p.Deferred, "bounced": p.Bounced} {
			counter(out, metrics.provider, float64(n), id, result)
		}
	}
	for _, c := range o.Causes {
		for result, n := range map[string]int64{"deferred": c.Deferred, "bounced": c.Bounced, "rejected": c.Rejected} {
			counter(out, metrics.causes, float64(n), c.Cause, result)
		}
	}
	for _, h := range o.Hosts[:min(len(o.Hosts), maxSeries)] {
		if !h.LastSeen.IsZero() {
			gauge(out, metrics.hostSeen, stamp(h.LastSeen), h.Name)
		}
	}
}

func (f *figures) overview(ctx context.Context) (*trace.Overview, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.v.now()
	if f.mail != nil && now.Sub(f.at) < 5*time.Second && !f.at.After(now) {
		return f.mail, nil
	}
	o, err := f.v.journeys.Overview(ctx, trace.OverviewQuery{Since: f.began.Add(-time.Hour).Truncate(time.Hour)})
	if err == nil {
		f.mail, f.at = o, now
	}
	return o, err
}
