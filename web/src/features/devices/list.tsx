// The devices as a table of which only the rows in sight exist.

import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useRef, type MouseEvent } from "react";
import type { Device } from "~/api/devices";
import { useWords } from "~/language/use-words";
import { showAge } from "~/lib/time";
import { show } from "~/lib/units";
import { useNewest } from "~/live/hooks";
import { DeviceIcon } from "~/ui/device-icon";
import classes from "./devices.module.css";
import type { Order, Wanted } from "./sieve";
import { seenOf, useNow } from "./use-devices";

const ROW_PX = 54;
const BEYOND = 12;
const AGES_MS = 5_000;

interface ListProps {
  readonly devices: readonly Device[];
  readonly wanted: Wanted;
  readonly onOrder: (order: Order) => void;
  /** Names of sites; null where only one is looked at. */
  readonly sites: ReadonlyMap<string, string> | null;
}

export function List({ devices, wanted, onOrder, sites }: ListProps) {
  const { t } = useWords("devices");
  const place = useRef<HTMLDivElement>(null);
  const now = useNow(AGES_MS);
  const navigate = useNavigate();
  const go = useCallback((id: string) => void navigate({ to: "/devices/$device", params: { device: id } }), [navigate]);
  // eslint-disable-next-line react-hooks/incompatible-library -- what it returns is used here only
  const rows = useVirtualizer({
    count: devices.length,
    getScrollElement: () => place.current,
    estimateSize: () => ROW_PX,
    overscan: BEYOND,
    getItemKey: (at) => devices[at]?.id ?? at,
  });
  const head = (order: Order, className?: string) => (
    <Head key={order} order={order} wanted={wanted} onOrder={onOrder} className={className} />
  );
  return (
    <div ref={place} className={classes.scroll} role="table" aria-label={t("title")} aria-rowcount={devices.length + 1} tabIndex={0}>
      <div role="rowgroup" style={{ display: "contents" }}>
        <div role="row" aria-rowindex={1} className={`${classes.row} ${classes.head}`} data-single={sites ? undefined : ""}>
          {head("name")}
          {sites && <div role="columnheader" className={classes.wideOnly}>{t("common:place.site")}</div>}
          <div role="columnheader">{t("column.state")}</div>
          {head("power", classes.end)}
          {head("seen", `${classes.end} ${classes.wideOnly}`)}
        </div>
      </div>
      <div role="rowgroup" className={classes.body} style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => {
          const device = devices[item.index];
          return device && <Row key={item.key} device={device} at={item.index} top={item.start} site={sites?.get(device.site_id)} now={now} onGo={go} />;
        })}
      </div>
    </div>
  );
}

function Head({ order, wanted, onOrder, className }: { order: Order; wanted: Wanted; onOrder: (order: Order) => void; className?: string }) {
  const { t } = useWords("devices");
  const isHere = wanted.order === order;
  const Arrow = wanted.isDown ? IconArrowDown : IconArrowUp;
  return (
    <div role="columnheader" className={className} aria-sort={isHere ? (wanted.isDown ? "descending" : "ascending") : "none"}>
      <button type="button" className={classes.sort} onClick={() => onOrder(order)}>
        {t(`column.${order}`)}
        {isHere && <Arrow size={14} aria-hidden />}
      </button>
    </div>
  );
}

interface RowProps {
  readonly device: Device;
  readonly at: number;
  readonly top: number;
  readonly site: string | undefined;
  readonly now: number;
  readonly onGo: (device: string) => void;
}

/** A row is made often while the list is scrolled: plain elements, and its words come from above. */
const Row = memo(function Row({ device, at, top, site, now, onGo }: RowProps) {
  const { t, locale } = useWords("devices");
  const power = useNewest(device.id, "power");
  const seen = seenOf(device);
  const isActive = device.status === "active";
  const go = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    onGo(device.id);
  };
  return (
    <div
      role="row"
      aria-rowindex={at + 2}
      className={`${classes.row} ${classes.line}`}
      data-single={site === undefined ? "" : undefined}
      style={{ height: ROW_PX, transform: `translateY(${top}px)` }}
    >
      <div role="cell" className={classes.name}>
        <DeviceIcon icon={device.icon} type={device.type} />
        <div style={{ minWidth: 0 }}>
          <a href={`/devices/${encodeURIComponent(device.id)}`} onClick={go}>{device.name}</a>
          <div className={classes.small}>{[device.room, device.type, device.name === device.id ? null : device.id].filter(Boolean).join(" · ")}</div>
        </div>
      </div>
      {site !== undefined && <div role="cell" className={`${classes.small} ${classes.wideOnly}`}>{site}</div>}
      <div role="cell" className={classes.mark} data-state={isActive ? device.state : device.status}>{t(isActive ? `state.${device.state}` : `status.${device.status}`)}</div>
      <div role="cell" className={`${classes.end} kw-number`}>{show(power, "W", locale)}</div>
      <div role="cell" className={`${classes.end} ${classes.small} ${classes.wideOnly}`}>{seen === null ? t("common:time.never") : showAge((now - seen) / 1_000, locale)}</div>
    </div>
  );
});
