// The list of devices with its filters, and the dialog that makes one.

import { Button, Stack, Text } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useDeferredValue, useMemo } from "react";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";
import { Empty, Shown } from "~/ui/states";
import { DeviceDialog } from "./device-dialog";
import { Filters } from "./filters";
import { List } from "./list";
import { searchOf, sieve, wantedOf, type Order, type Wanted } from "./sieve";
import { powerOf, useDevices, useLiveDevices, useTick } from "./use-devices";

const HEIGHT = 480;
/** How often the order is looked at anew where it follows live values. */
const REORDER_MS = 5_000;

/** The choice, mirrored in the address. */
function useWanted() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const go = useNavigate();
  const wanted = useMemo(() => wantedOf(search), [search]);
  const isNew = search.new === true;
  const put = (next: Wanted, isOpen: boolean) =>
    void go({ to: "/devices", search: { ...searchOf(next), ...(isOpen && { new: true }) } as never, replace: true });
  return { wanted, isNew, want: (change: Partial<Wanted>) => put({ ...wanted, ...change }, false), setNew: (isOpen: boolean) => put(wanted, isOpen) };
}

export function Devices() {
  const { t } = useWords("devices");
  const { data: session } = useQuery(sessionQuery);
  const { site, sites } = useSite();
  const devices = useDevices(site?.id ?? null);
  useLiveDevices(site?.id ?? null);
  const { wanted, isNew, want, setNew } = useWanted();
  const mayCreate = may(session, "devices:create");
  const create = mayCreate && <Button leftSection={<IconPlus size={16} />} onClick={() => setNew(true)}>{t("create")}</Button>;
  const onOrder = (order: Order) => want({ order, isDown: wanted.order === order ? !wanted.isDown : order === "power" || order === "seen" });
  const names = useMemo(() => (site || sites.length < 2 ? null : new Map(sites.map((one) => [one.id, one.name]))), [site, sites]);
  return (
    <Page title={t("title")} aside={create}>
      <Shown of={devices} height={HEIGHT}>
        {(all) =>
          all.length === 0 ? (
            <Empty title={t("empty.title")} action={create}>{t(mayCreate ? "empty.hint" : "empty.ask")}</Empty>
          ) : (
            <Stack gap="sm">
              <Filters devices={all} wanted={wanted} onWant={want} />
              <Found all={all} wanted={wanted} isWhole={devices.isWhole} names={names} onOrder={onOrder} onAll={() => want({ text: "", type: null, status: null, room: null })} />
            </Stack>
          )
        }
      </Shown>
      {mayCreate && <DeviceDialog isOpen={isNew} onClose={() => setNew(false)} known={devices.data ?? []} />}
    </Page>
  );
}

interface FoundProps {
  readonly all: NonNullable<ReturnType<typeof useDevices>["data"]>;
  readonly wanted: Wanted;
  readonly isWhole: boolean;
  readonly names: ReadonlyMap<string, string> | null;
  readonly onOrder: (order: Order) => void;
  readonly onAll: () => void;
}

function Found({ all, wanted, isWhole, names, onOrder, onAll }: FoundProps) {
  const { t, locale } = useWords("devices");
  const soon = useDeferredValue(wanted);
  const tick = useTick(REORDER_MS);
  const moment = soon.order === "power" ? tick : 0;
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the moment stands for the live values that the order follows
  const found = useMemo(() => sieve(all, soon, powerOf), [all, soon, moment]);
  const count = t("count", { shown: found.length.toLocaleString(locale), count: all.length, all: all.length.toLocaleString(locale) });
  return (
    <>
      <Text size="sm" c="dimmed" role="status">{isWhole ? count : `${count} ${t("more-coming")}`}</Text>
      {found.length ? (
        <List devices={found} wanted={wanted} onOrder={onOrder} sites={names} />
      ) : (
        <Empty title={t("none-found")} action={<Button variant="default" onClick={onAll}>{t("show-all")}</Button>} />
      )}
    </>
  );
}
