// Which devices a list shows, and in which order. Pure.

import type { Device } from "~/api/devices";

export const ORDERS = ["name", "power", "room", "type", "seen"] as const;
export type Order = (typeof ORDERS)[number];

export interface Wanted {
  readonly text: string;
  readonly type: string | null;
  readonly status: string | null;
  readonly room: string | null;
  readonly order: Order;
  readonly isDown: boolean;
}

export const EVERYTHING: Wanted = { text: "", type: null, status: null, room: null, order: "name", isDown: false };

/** The choice that an address says, whatever it says. */
export function wantedOf(search: Readonly<Record<string, unknown>>): Wanted {
  const word = (name: string) => (typeof search[name] === "string" && search[name] ? (search[name] as string) : null);
  return {
    text: word("q") ?? "",
    type: word("type"),
    status: word("status"),
    room: word("room"),
    order: ORDERS.find((one) => one === search.sort) ?? "name",
    isDown: search.down === true,
  };
}

/** The address of a choice: only what differs from everything. */
export function searchOf(wanted: Wanted): Record<string, string | boolean> {
  const { text, type, status, room, order, isDown } = wanted;
  return {
    ...(text && { q: text }),
    ...(type && { type }),
    ...(status && { status }),
    ...(room && { room }),
    ...(order !== "name" && { sort: order }),
    ...(isDown && { down: true }),
  };
}

const DIGITS = 12;

/** A text that sorts as people count and spell: numbers by their value, letters without case or accents. */
function sortable(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/\d+/g, (digits) => digits.padStart(DIGITS, "0"));
}

const lessOrMore = <T extends number | string>(one: T, other: T) => (one < other ? -1 : Number(one > other));

function keyOf(device: Device, order: Order, power: (id: string) => number | null): number | string | null {
  if (order === "power") return power(device.id);
  if (order === "seen") return device.last_seen === null ? null : Date.parse(device.last_seen);
  const value = device[order];
  return value === null ? null : sortable(value);
}

/** The devices that are wanted, in the wanted order; those without the value stand last. power: now, null if unknown. */
export function sieve(devices: readonly Device[], wanted: Wanted, power: (id: string) => number | null): Device[] {
  const text = wanted.text.trim().toLowerCase();
  const { type, status, room, order, isDown } = wanted;
  const found = devices.filter(
    (device) =>
      (type === null || device.type === type) &&
      (status === null || device.status === status) &&
      (room === null || device.room === room) &&
      (!text || `${device.name} ${device.id} ${device.room ?? ""} ${device.type}`.toLowerCase().includes(text)),
  );
  const keyed = found.map((device) => ({ device, key: keyOf(device, order, power), name: sortable(device.name) }));
  keyed.sort((one, other) => {
    if (one.key === null || other.key === null) return Number(one.key === null) - Number(other.key === null);
    return (isDown ? -1 : 1) * lessOrMore(one.key, other.key) || lessOrMore(one.name, other.name);
  });
  return keyed.map(({ device }) => device);
}

/** The values of a field that occur, in order. */
export function choicesOf(devices: readonly Device[], field: "type" | "room"): string[] {
  return [...new Set(devices.map((device) => device[field]))].filter((one) => one !== null).sort((one, other) => one.localeCompare(other));
}
