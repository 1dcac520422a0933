// The shapes of the API as the pages read them. A report is the contract of docs/report.schema.json.

export type Verdict = "error" | "warning" | "note" | "pass" | "could-not-test" | "not-applicable";
export type State = "ok" | "warning" | "broken" | "could-not-test";

export interface Subject {
  kind: string;
  name: string;
}
export interface Evidence {
  source: string;
  place?: string;
  at?: string;
  raw: string;
}
export interface Step {
  kind: string;
  target: string;
  old?: string;
  new?: string;
}
export interface Ref {
  rfc?: number;
  section?: string;
  title?: string;
  url?: string;
}
export interface Finding {
  id: string;
  verdict: Verdict;
  outcome: string;
  severity: string;
  owner: string;
  subject: Subject;
  title: string;
  text: string;
  observed?: string;
  expected?: string;
  why?: string;
  repair?: string;
  evidence?: Evidence[];
  fix?: Step[];
  verify?: string;
  cannot?: { why: string; again?: string };
  causes?: string[];
  refs?: Ref[];
  at?: string; // on the overview
  monitor?: string;
  link?: string;
}
export interface Headline {
  state: State;
  text: string;
  owner: string;
  next?: string;
}
export interface Row {
  verdict?: Verdict;
  depth?: number;
  cells: string[];
}
export interface ChartData {
  kind: string; // bars, stacked, lines
  labels: string[];
  series: { name: string; values: number[] }[];
  unit?: string;
}
export interface Section {
  title?: string;
  columns?: string[];
  rows?: Row[];
  raw?: string;
  chart?: ChartData;
  folded?: boolean;
}
export interface Report {
  version: number;
  lang: string;
  command: string;
  target: Subject;
  headline: Headline;
  counts: Partial<Record<Verdict, number>>;
  findings: Finding[];
  sections?: Section[];
  started?: string;
  took_ms: number;
}

export interface User {
  name: string;
  role: string;
  domains?: string[];
  lang?: string;
  theme?: string;
  sign_on?: string; // the service that answers for the user
}
export interface Session {
  user?: User | null;
  setup_needed?: boolean;
  oidc?: { id: string; name: string }[];
  version?: string;
  languages?: string[];
  base_path?: string;
  pages?: string[];
}

export interface Field {
  name: string;
  label: string;
  type: string; // text, textarea, bool, number, choice, list, secret, file
  required?: boolean;
  choices?: (string | { value: string; label: string })[];
  help?: string;
  placeholder?: string;
  default?: unknown;
}
export interface Kind {
  kind: string;
  title: string;
  about?: string;
  group?: string;
  fields: Field[];
  roles?: string[];
}
export interface Catalogue {
  runs: Kind[];
  monitors?: Kind[];
  channels?: Kind[];
}
export interface List<T> {
  items: T[];
  next?: string;
}

export interface Cause {
  cause: string;
  title: string;
  owner: string;
  count: number;
  deferred?: number;
  bounced?: number;
  rejected?: number; // at our own door
  advice?: string;
}
export interface Newest {
  at: string;
  verdict: string;
  title: string;
  text: string;
  owner: string;
  next?: string;
  ended?: string;
  monitor?: string;
  queue?: string;
}
export interface LogSource {
  name: string;
  kind: string;
  lines: number;
  behind_bytes: number;
  spooled_bytes: number;
  dropped: number;
  stored?: string;
  trouble?: string;
}
export interface Share {
  run: string;
  kind: string;
  target: string;
  started: string;
  by: string;
  until: string;
}
export interface Channel {
  id: string;
  kind: string;
  title: string;
  severity?: string;
  monitors?: string[];
  only_named?: boolean;
  group_wait_s?: number;
  url?: string;
  chat?: string;
  server?: string;
  to?: string[];
  secrets: string[];
  editable: boolean;
}
export interface Plan {
  id?: string;
  monitors?: string[];
  reason: string;
  from?: string;
  to?: string;
  cron?: string;
  for_s?: number;
  zone?: string;
  by?: string;
  open: boolean;
  over: boolean;
  file: boolean;
}
export interface Overview {
  headline: Headline;
  totals: Record<string, number>;
  hours: { at: string; received: number; delivered: number; deferred: number; bounced: number; rejected: number }[];
  providers: { name: string; delivered: number; deferred: number; bounced: number; acceptance?: number }[];
  causes: Cause[];
  hosts: { name: string; last_seen?: string; lag_ms?: number; clock_skew_ms?: number }[];
  queue?: { size: number; oldest?: string; deferred?: number; host?: string };
  monitors?: { ok: number; failing: number; unknown: number; muted: number };
  newest: Newest[];
  sources?: LogSource[];
  lag_ms?: number;
}

export interface Summary {
  id: string;
  started?: string;
  ended?: string;
  from?: string | null;
  recipients?: { to: string; status: string; relay?: string; code?: number; text?: string }[];
  state: string;
  subject?: string;
  message_ids?: string[];
  queue_ids?: string[];
  hosts?: string[];
  sentence?: string;
  cause?: string;
  owner?: string;
}
export interface JourneyStep {
  at?: string;
  host?: string;
  program?: string;
  pid?: number;
  kind: string;
  queue_id?: string;
  ref?: string;
  ref_is?: string;
  from?: string | null;
  to?: string;
  orig_to?: string;
  client?: string;
  client_ip?: string;
  helo?: string;
  user?: string;
  status?: string;
  relay?: string;
  relay_ip?: string;
  relay_socket?: string; // where the next hop is a program on the same machine
  port?: number;
  code?: number;
  dsn?: string;
  stage?: string;
  text?: string;
  subject?: string;
  size?: number;
  delay_ns?: number;
  tls?: string;
  filter?: string;
  verdict?: string;
  score?: number;
  folder?: string;
  action?: string;
  message_id?: string;
  file?: string;
  offset?: number;
  line?: string;
}
export interface Journey {
  queue_ids?: string[];
  message_ids?: string[];
  hosts?: string[];
  from?: string | null;
  subject?: string;
  size?: number;
  client?: { name?: string; ip?: string; helo?: string; user?: string; tls?: string };
  state: string;
  direction?: string;
  recipients?: {
    to: string;
    orig_to?: string;
    status: string;
    attempts: number;
    at?: string;
    relay?: string;
    relay_ip?: string;
    relay_socket?: string;
    code?: number;
    dsn?: string;
    text?: string;
    folder?: string;
  }[];
  rejects?: { to?: string }[] | null; // turned away at our door
  started?: string;
  ended?: string;
  steps?: JourneyStep[] | null;
}
export interface JourneyAnswer {
  journey: Journey;
  report?: Report;
  lines?: { host: string; at?: string; raw: string }[];
  lines_gone?: boolean; // raw lines were let go by the retention
}

export interface Run {
  id: string;
  kind: string;
  args: Record<string, unknown>;
  target?: string;
  state: string; // running, done, failed
  by?: string;
  started?: string;
  ended?: string;
  result?: State; // of the report's headline
  headline?: Headline;
  report?: Report;
  problem?: string;
}
export interface Diff {
  appeared?: Finding[] | null;
  gone?: Finding[] | null;
  changed?: { before: Finding; after: Finding }[] | null;
}

export interface Monitor {
  id: string;
  kind: string;
  kind_title?: string;
  title?: string;
  target?: string;
  terms?: { label: string; value: string }[] | null;
  suspect?: number; // runs in a row that failed, and are not called failing yet
  args?: Record<string, unknown>;
  every_s?: number;
  fail_after?: number;
  clear_after?: number;
  armed?: boolean;
  state: string;
  since?: string;
  known?: string; // the last known state, where the present one is unknown
  flapping?: boolean;
  last?: { at?: string; state: string; text?: string; owner?: string; next?: string; value?: number; unit?: string; ms?: number };
  slower_than_ms?: number;
  fail_on?: string;
  ignore?: string[];
  window?: Plan; // the maintenance window that is open now
  editable?: boolean; // false: it stands in the configuration file
  muted?: { reason: string; until?: string; by?: string } | null;
  acked?: { by?: string; at?: string } | null;
  channels?: string[];
}
export interface Sample {
  at: string;
  state: string;
  ms?: number;
  value?: number;
  unit?: string;
  text?: string;
}
export interface Incident {
  id: string;
  monitor?: string;
  title: string;
  started: string;
  ended?: string;
  text?: string;
  owner?: string;
  next?: string;
  acked?: { by?: string; at?: string } | null;
}
export interface Proposal {
  id: string;
  title: string;
  text?: string;
  monitor?: string;
  at?: string;
  steps?: Step[];
  evidence?: Evidence[];
  hash?: string;
  until?: string;
  state?: string;
  by?: string;
  hands?: string; // who carries it out once it is approved: mailwhy or people
}
export interface Replay {
  samples?: number;
  fired: number;
  flaps: number;
  longest_ms?: number;
  incidents?: { from: string; until?: string; text?: string }[];
}
export interface RuleRow {
  id: string;
  severity: string;
  owner: string;
  title: string;
  says?: string;
  why?: string;
  repair?: string;
  refs?: Ref[];
  after?: string[];
}
