// Choices of fields: the words of severities, from the least to the most pressing.

import type { SeverityName } from "./severity";

export const SEVERITY_NAMES: readonly SeverityName[] = ["low", "medium", "high", "critical"];

/** Choices for a select of severities; t: with the common words. */
export function severityChoices(t: (key: string) => string): { value: SeverityName; label: string }[] {
  return SEVERITY_NAMES.map((value) => ({ value, label: t(`common:severity.${value}`) }));
}
