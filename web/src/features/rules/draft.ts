// A rule as the form keeps it, and as the server takes it. Pure.

import type { Schemas } from "~/api/client";
import { chooseScale, showIn } from "~/lib/units";
import type { SeverityName } from "~/ui/severity";

export type Rule = Schemas["RuleShown"];
export const INPUTS = ["value", "rate_per_minute", "energy_15m", "energy_1m", "no_data"] as const;
export type Input = (typeof INPUTS)[number];
export const OPERATORS = [">", ">=", "<", "<=", "=", "!="] as const;
export type Operator = (typeof OPERATORS)[number];
export const SCOPES = ["all", "device", "site", "type"] as const;
export type Scope = (typeof SCOPES)[number];

export interface Draft {
  readonly name: string;
  readonly scope: Scope;
  /** A device's id, a site's id or a device type; empty for all. */
  readonly subject: string;
  readonly input: Input;
  readonly metric: string;
  readonly operator: Operator;
  /** As typed; empty: none. */
  readonly threshold: number | "";
  readonly clear: number | "";
  readonly forS: number;
  readonly cooldownS: number;
  readonly severity: SeverityName;
  readonly channels: readonly string[];
}

/** A new rule, about a device and a metric where these are known. */
export function newDraft(device: string | undefined, metric: string | undefined): Draft {
  return {
    name: "", scope: device ? "device" : "all", subject: device ?? "", input: "value", metric: metric ?? "power", operator: ">",
    threshold: "", clear: "", forS: 300, cooldownS: 0, severity: "high", channels: [],
  };
}

function scopeOf(rule: Rule): Pick<Draft, "scope" | "subject"> {
  if (rule.device_id !== null) return { scope: "device", subject: rule.device_id };
  if (rule.site_id !== null) return { scope: "site", subject: rule.site_id };
  if (rule.device_type !== null) return { scope: "type", subject: rule.device_type };
  return { scope: "all", subject: "" };
}

export function draftOf(rule: Rule): Draft {
  return {
    ...scopeOf(rule), name: rule.name, input: rule.input, metric: rule.metric ?? "", operator: rule.operator ?? ">",
    threshold: rule.threshold ?? "", clear: rule.clear_threshold ?? "", forS: rule.for_s, cooldownS: rule.cooldown_s,
    severity: rule.severity, channels: rule.channels,
  };
}

const isEnergy = (input: Input) => input === "energy_15m" || input === "energy_1m";
const orNull = (value: number | "") => (value === "" ? null : value);

/** Whether the rule looks at a metric that is chosen. */
export const hasMetric = (input: Input) => !isEnergy(input);
export const hasLimit = (input: Input) => input !== "no_data";

export type Wanted = Omit<Schemas["RuleWanted"], "status">;

/** The draft as the server takes it; what its input has no use for is left out. */
export function wantedOf(draft: Draft): Wanted {
  const limited = hasLimit(draft.input);
  return {
    name: draft.name.trim(),
    device_id: draft.scope === "device" ? draft.subject : null,
    site_id: draft.scope === "site" ? draft.subject : null,
    device_type: draft.scope === "type" ? draft.subject : null,
    input: draft.input,
    metric: hasMetric(draft.input) && draft.metric ? draft.metric : null,
    operator: limited ? draft.operator : null,
    threshold: limited ? orNull(draft.threshold) : null,
    clear_threshold: limited ? orNull(draft.clear) : null,
    for_s: draft.forS,
    cooldown_s: draft.cooldownS,
    severity: draft.severity,
    channels: [...draft.channels],
  };
}

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const;
export type LengthUnit = (typeof UNITS)[number][0];

/** A length of time in the largest unit in which it is whole. */
export function splitLength(seconds: number): { count: number; unit: LengthUnit } {
  if (seconds === 0) return { count: 0, unit: "min" };
  const [unit, length] = UNITS.find(([, one]) => seconds % one === 0) ?? ["s", 1];
  return { count: seconds / length, unit };
}

export function joinLength(count: number, unit: LengthUnit): number {
  const [, length] = UNITS.find(([one]) => one === unit) ?? ["s", 1];
  return Math.round(count * length);
}

const MOST_DIGITS = 3;

/** A limit with the digits that it has, so that it is never shown as another one. */
export function showLimit(value: number, unit: string, locale: string): string {
  const scale = chooseScale(unit, value);
  const shown = value * scale.factor;
  let digits = 0;
  while (digits < MOST_DIGITS && Math.abs(shown - Number(shown.toFixed(digits))) > 1e-9) digits += 1;
  return showIn(value, { ...scale, digits }, locale);
}

/** The unit of the threshold, of a metric in this unit. */
export function unitOf(input: Input, unit: string): string {
  if (isEnergy(input)) return "Wh";
  return input === "rate_per_minute" ? `${unit}/min` : unit;
}
