// The fields of a device as a form holds them, and as the server takes them. Pure.

import type { Device } from "~/api/devices";
import type { DeviceChanges, DeviceWanted } from "./queries";

export interface Fields {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly site_id: string | null;
  readonly room: string;
  readonly region: string;
  readonly rated_power_w: number | string;
  readonly idle_threshold_w: number | string;
  readonly status: Device["status"];
  readonly metadata: string;
}

export const NEW: Fields = {
  id: "", name: "", type: "appliance", site_id: null, room: "", region: "", rated_power_w: "", idle_threshold_w: "", status: "active", metadata: "{}",
};

export function fieldsOf(device: Device): Fields {
  return {
    id: device.id,
    name: device.name,
    type: device.type,
    site_id: device.site_id,
    room: device.room ?? "",
    region: device.region ?? "",
    rated_power_w: device.rated_power_w ?? "",
    idle_threshold_w: device.idle_threshold_w ?? "",
    status: device.status,
    metadata: JSON.stringify(device.metadata, null, 2),
  };
}

/** Whether a text can be the id of a device. */
export function isId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(text);
}

/** The metadata that a text says; null: it is no JSON object. */
export function metadataOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text.trim() || "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

const number = (value: number | string) => (value === "" ? null : Number(value));

/** What changes; metadata: as read from the form. */
export function changesOf(fields: Fields, metadata: Record<string, unknown>): DeviceChanges {
  return {
    name: fields.name.trim() || fields.id,
    type: fields.type.trim(),
    ...(fields.site_id && { site_id: fields.site_id }),
    room: fields.room.trim() || null,
    region: fields.region.trim() || null,
    rated_power_w: number(fields.rated_power_w),
    idle_threshold_w: number(fields.idle_threshold_w),
    status: fields.status,
    metadata,
  };
}

export function wantedDevice(fields: Fields, metadata: Record<string, unknown>): DeviceWanted {
  return { id: fields.id.trim(), ...changesOf(fields, metadata) };
}
