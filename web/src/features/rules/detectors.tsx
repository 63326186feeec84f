// Detectors: on or off, how pressing, and their limits; for the whole organisation or one site.

import { Button, Group, NumberInput, Paper, Select, Stack, Switch, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { severityChoices } from "~/ui/severity-choices";
import type { SeverityName } from "~/ui/severity";
import { Shown } from "~/ui/states";
import { tellDone, tellFailure } from "~/ui/tell";
import { limitsWanted, limitUnit } from "./limits";
import { detectorsQuery, setDetector, type Detector } from "./queries";

export function Detectors() {
  const { t } = useWords("rules");
  const { sites } = useSite();
  const [site, setSite] = useState<string | null>(null);
  const asked = useQuery(detectorsQuery(site));
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">{t("detector.hint")}</Text>
      <Select label={t("detector.where")} maw={320} clearable searchable clearButtonProps={{ "aria-label": t("detector.everywhere") }} placeholder={t("detector.everywhere")} data={sites.map((one) => ({ value: one.id, label: one.name }))} value={site} onChange={setSite} />
      <Shown of={asked} height={480}>
        {(detectors) => <Stack gap="xs">{detectors.map((one) => <One key={`${site} ${one.kind}`} detector={one} site={site} />)}</Stack>}
      </Shown>
    </Stack>
  );
}

function One({ detector, site }: { detector: Detector; site: string | null }) {
  const { t } = useWords("rules");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const [limits, setLimits] = useState<Record<string, number>>(detector.limits);
  const isLocked = !may(session, "detectors:change");
  const setting = useMutation({
    mutationFn: (changes: Schemas["DetectorChanges"]) => setDetector(detector.kind, site, changes),
    onError: tellFailure,
    onSuccess: () => {
      tellDone(t("detector.saved"));
      return queries.invalidateQueries({ queryKey: ["detectors"] });
    },
  });
  const name = t(`detector.${detector.kind}.name`);
  const isChanged = Object.keys(limits).some((one) => limits[one] !== detector.limits[one]);
  return (
    <Paper withBorder p="sm" bg="var(--kw-card)" bd="1px solid var(--kw-edge)">
      <Group justify="space-between" align="flex-start" gap="md">
        <Stack gap={4} style={{ flex: "1 1 16rem" }}>
          <Switch label={name} fw={600} checked={detector.is_on} disabled={isLocked} onChange={(event) => setting.mutate({ is_on: event.currentTarget.checked })} />
          <Text size="sm" c="dimmed">{t(`detector.${detector.kind}.says`)}</Text>
        </Stack>
        <Group gap="xs" align="flex-end">
          <Select label={t("form.severity")} aria-label={t("detector.severity-of", { name })} size="xs" w={120} allowDeselect={false} disabled={isLocked} data={severityChoices(t)} value={detector.severity} onChange={(severity) => setting.mutate({ severity: severity as SeverityName })} />
          {Object.entries(limits).map(([limit, value]) => (
            <NumberInput key={limit} label={t(`limit.${limit}`)} size="xs" w={150} disabled={isLocked} suffix={limitUnit(limit) && ` ${limitUnit(limit)}`} value={value} onChange={(typed) => setLimits({ ...limits, [limit]: Number(typed) || 0 })} />
          ))}
          {!isLocked && (
            <Button size="xs" variant="default" disabled={!isChanged} loading={setting.isPending} aria-label={t("detector.save-of", { name })} onClick={() => setting.mutate({ limits: limitsWanted(limits, detector.by_type as Record<string, number>) })}>
              {t("common:action.save")}
            </Button>
          )}
        </Group>
      </Group>
    </Paper>
  );
}
