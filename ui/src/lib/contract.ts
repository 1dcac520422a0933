// Holds what the pages read against the API's own document: a key that the pages cannot do without and the API does not
// have, or has in another shape, does not compile. Findings and reports have a contract of their own (docs/json.md).
import type { Api } from "./openapi";
import type * as Mine from "./types";

type Needed<T> = { [K in keyof T]-?: undefined extends T[K] ? never : K }[keyof T];
type Scalar = string | number | boolean;
// What of Mine the API lacks: the names of keys, as an error shows them.
type Lacks<M, A> = {
  [K in Needed<M>]: K extends keyof A ? (NonNullable<A[K]> extends Scalar ? (NonNullable<M[K]> extends NonNullable<A[K]> ? never : NonNullable<A[K]> extends NonNullable<M[K]> ? never : K) : never) : K;
}[Needed<M>];
const none = <T extends never>(_?: T): void => undefined;

none<Lacks<Mine.Session, Api["SessionOutBody"]>>();
none<Lacks<Mine.User, Api["Me"]>>();
none<Lacks<Mine.Kind, Api["KindRow"]>>();
none<Lacks<Mine.Field, Api["FieldRow"]>>();
none<Lacks<Omit<Mine.Overview, "totals">, Api["OverviewOutBody"]>>();
none<Lacks<Mine.Overview["hours"][number], Api["HourTotals"]>>();
none<Lacks<Mine.Overview["providers"][number], Api["ProviderTotal"]>>();
none<Lacks<Mine.Overview["hosts"][number], Api["HostRow"]>>();
none<Lacks<Mine.Cause, Api["CauseRow"]>>();
none<Lacks<Mine.Summary, Api["JourneyRow"]>>();
none<Lacks<Mine.Journey, Api["Journey"]>>();
none<Lacks<Mine.JourneyStep, Api["Step"]>>();
none<Lacks<Mine.Run, Api["RunRow"]>>();
none<Lacks<Mine.Monitor, Api["MonitorRow"]>>();
none<Lacks<Mine.Sample, Api["SampleRow"]>>();
none<Lacks<Mine.Incident, Api["IncidentRow"]>>();
none<Lacks<Mine.Proposal, Api["ProposalRow"]>>();
none<Lacks<Mine.Replay, Api["ReplayOutBody"]>>();
none<Lacks<Mine.RuleRow, Api["RuleView"]>>();
none<Lacks<Mine.Newest, Api["NewestRow"]>>();
none<Lacks<Mine.LogSource, Api["Source"]>>();
none<Lacks<Mine.Share, Api["ShareRow"]>>();
none<Lacks<Mine.Channel, Api["ChannelRow"]>>();
none<Lacks<Mine.Plan, Api["PlanRow"]>>();
