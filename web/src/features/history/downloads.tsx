// What a chart shows, as files: the same question to the server, answered in another form.

import { Button, Menu } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconDownload } from "@tabler/icons-react";
import { useState } from "react";
import { api, ask } from "~/api/client";
import { sentenceOf } from "~/api/problem";
import { useWords } from "~/language/use-words";
import { dayOf } from "~/period/civil";
import { energyParams, readingsParams, type EnergyAsked, type ReadingsAsked } from "./queries";

const FORMS = { csv: "text/csv", parquet: "application/vnd.apache.parquet" } as const;
type Form = keyof typeof FORMS;

export type Asked = ({ readonly kind: "energy" } & EnergyAsked) | ({ readonly kind: "readings" } & ReadingsAsked);

async function fetchFile(asked: Asked, form: Form): Promise<Blob> {
  const headers = { accept: FORMS[form] };
  const file =
    asked.kind === "energy"
      ? await ask(api.GET("/api/v1/sites/{site_id}/energy", { params: { ...energyParams(asked), header: headers }, parseAs: "blob" }))
      : await ask(api.GET("/api/v1/sites/{site_id}/readings", { params: { ...readingsParams(asked), header: headers }, parseAs: "blob" }));
  return file as unknown as Blob;
}

function save(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const fileName = (asked: Asked, zone: string, form: Form) => `${asked.kind}-${dayOf(asked.span.startMs, zone)}.${form}`;

interface DownloadsProps {
  readonly shown: Asked | null;
  readonly compared: Asked | null;
  /** The site's time zone. */
  readonly zone: string;
}

export function Downloads({ shown, compared, zone }: DownloadsProps) {
  const { t } = useWords("history");
  const [isBusy, setBusy] = useState(false);

  const download = async (asked: Asked, form: Form) => {
    setBusy(true);
    try {
      save(await fetchFile(asked, form), fileName(asked, zone, form));
    } catch (error) {
      notifications.show({ title: t("file.failed"), message: sentenceOf(error), color: "red" });
    } finally {
      setBusy(false);
    }
  };
  const items = (asked: Asked | null, word: string) =>
    asked && (["csv", "parquet"] as const).map((form) => (
      <Menu.Item key={`${word}${form}`} onClick={() => void download(asked, form)}>{t(`file.${word}-${form}`)}</Menu.Item>
    ));

  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button variant="default" size="xs" leftSection={<IconDownload size={16} />} loading={isBusy} disabled={!shown}>{t("file.open")}</Button>
      </Menu.Target>
      <Menu.Dropdown>
        {items(shown, "shown")}
        {items(compared, "compared")}
      </Menu.Dropdown>
    </Menu>
  );
}
