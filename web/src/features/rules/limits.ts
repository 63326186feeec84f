// The limits of detectors, as the server names them. Pure.

/** What a limit is measured in, by its name. */
export function limitUnit(name: string): string {
  if (name.endsWith("_s")) return "s";
  if (name.endsWith("_kwh")) return "kWh";
  return name.endsWith("_h") ? "h" : "";
}

/** Limits as they are asked for: those of device types stay as they are. */
export function limitsWanted(limits: Readonly<Record<string, number>>, byType: Readonly<Record<string, number>>): Record<string, unknown> {
  return Object.keys(byType).length ? { ...limits, by_type: byType } : { ...limits };
}
