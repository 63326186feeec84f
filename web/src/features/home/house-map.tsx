// The house by its rooms: every device glows with its power.

import { Link } from "@tanstack/react-router";
import { useMemo, type CSSProperties } from "react";
import type { Device } from "~/api/devices";
import { useWords } from "~/language/use-words";
import type { Role } from "~/lib/role";
import { show } from "~/lib/units";
import { Card } from "~/ui/card";
import { DeviceIcon } from "~/ui/device-icon";
import type { Part } from "~/lib/balance";
import { glowOf } from "./glow";
import classes from "./home.module.css";

const COLORS: Record<Role, string> = {
  grid: "--kw-import", solar: "--kw-solar", generator: "--kw-solar", battery: "--kw-battery-out", car: "--kw-car", load: "--kw-solar",
};
const MOST_SHOWN = 60;

interface HouseMapProps {
  readonly devices: readonly Device[];
  readonly parts: readonly Part[];
}

export function HouseMap({ devices, parts }: HouseMapProps) {
  const { t, locale } = useWords("home");
  const rooms = useMemo(() => {
    const found = new Map<string, Device[]>();
    for (const device of devices.slice(0, MOST_SHOWN)) {
      const room = device.room ?? "";
      found.set(room, [...(found.get(room) ?? []), device]);
    }
    return [...found].sort(([one], [other]) => Number(one === "") - Number(other === "") || one.localeCompare(other));
  }, [devices]);
  const byId = useMemo(() => new Map(parts.map((part) => [part.id, part])), [parts]);
  return (
    <Card title={t("map.title")}>
      <ul className={classes.rooms}>
        {rooms.map(([room, those]) => {
          const known = those.map(({ id }) => byId.get(id)).filter((part) => part !== undefined && part.value !== null);
          const watts = known.length ? known.reduce((sum, part) => sum + (part?.role === "load" || part?.role === "car" ? (part.value ?? 0) : 0), 0) : null;
          return (
            <li key={room} className={classes.room} style={{ "--glow": glowOf(watts, null) } as CSSProperties}>
              <div className={classes.roomHead}>
                <strong>{room || t("map.no-room")}</strong>
                <span className="kw-number">{show(watts, "W", locale)}</span>
              </div>
              <ul className={classes.things}>
                {those.map((device) => <Thing key={device.id} device={device} part={byId.get(device.id)} />)}
              </ul>
            </li>
          );
        })}
      </ul>
      {devices.length > MOST_SHOWN && <Link to="/devices">{t("map.more", { count: devices.length - MOST_SHOWN })}</Link>}
    </Card>
  );
}

function Thing({ device, part }: { device: Device; part: Part | undefined }) {
  const { t, locale } = useWords("home");
  const value = part?.value ?? null;
  const text = show(value, "W", locale);
  const style = { "--glow": glowOf(value, device.rated_power_w), "--kw-role": `var(${COLORS[part?.role ?? "load"]})` } as CSSProperties;
  return (
    <li>
      <Link
        to="/devices/$device"
        params={{ device: device.id }}
        className={classes.thing}
        aria-label={value === null ? t("map.unknown", { name: device.name }) : `${device.name}, ${text}`}
      >
        <span className={classes.lamp} style={style} data-unknown={value === null ? "" : undefined}><DeviceIcon icon={device.icon} type={device.type} size={22} /></span>
        <span className={classes.thingName}>{device.name}</span>
        <span className="kw-number">{text}</span>
      </Link>
    </li>
  );
}
