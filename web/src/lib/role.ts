// What a device is in the picture of a home. Pure. Signs: consumption is positive, so is what solar plants and
// generators give, import from the grid, and what a battery gives.

export const ROLES = ["grid", "solar", "generator", "battery", "car", "load"] as const;
export type Role = (typeof ROLES)[number];
/** Those that only use energy. */
export const USERS: readonly Role[] = ["load", "car"];

const BY_TYPE = new Map<string, Role>(Object.entries({
  grid: "grid", connection: "grid", "grid-meter": "grid", "grid-connection": "grid", "main-meter": "grid",
  solar: "solar", pv: "solar", inverter: "solar", photovoltaics: "solar",
  wind: "generator", generator: "generator", diesel: "generator", chp: "generator",
  battery: "battery", storage: "battery",
  car: "car", charger: "car", "ev-charger": "car", ev: "car", wallbox: "car",
} as const));
const METER = "meter";

interface Named {
  readonly type: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

function told({ metadata }: Named): Role | null {
  const word = metadata?.role;
  return ROLES.find((role) => role === word) ?? null;
}

/** The role of each device of a site, in the same order: what its metadata says as `role`, else what follows from its
type. A meter that is the only one beside other devices is taken for the one at the grid, where none else is. */
export function rolesOf(devices: readonly Named[]): Role[] {
  const roles = devices.map((device) => told(device) ?? BY_TYPE.get(device.type) ?? "load");
  const meters = devices.flatMap((device, at) => (device.type === METER && told(device) === null ? [at] : []));
  const [only] = meters;
  if (only !== undefined && meters.length === 1 && devices.length > 1 && !roles.includes("grid")) roles[only] = "grid";
  return roles;
}
