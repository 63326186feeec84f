// All rules, each as a sentence, to be paused, archived and opened.

import { Anchor, Badge, Button, Group, Paper, SegmentedControl, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Severity } from "~/ui/severity";
import { Empty, Shown } from "~/ui/states";
import { tellFailure } from "~/ui/tell";
import type { Rule } from "./draft";
import { RULE_VIEWS, rulesQuery, setStatus, type RuleView } from "./queries";
import { useSentence } from "./sentence";

export function RuleList() {
  const { t } = useWords("rules");
  const [view, setView] = useState<RuleView>("current");
  const asked = useQuery(rulesQuery(view));
  return (
    <Stack gap="sm">
      <Group>
        <SegmentedControl size="xs" aria-label={t("view.label")} data={RULE_VIEWS.map((value) => ({ value, label: t(`view.${value}`) }))} value={view} onChange={(chosen) => setView(chosen as RuleView)} />
      </Group>
      <Shown of={asked} height={300}>
        {(rules) =>
          rules.length ? (
            <Stack component="ul" gap="xs" p={0} m={0} style={{ listStyle: "none" }}>{rules.map((rule) => <One key={rule.id} rule={rule} />)}</Stack>
          ) : (
            <NoRule view={view} />
          )
        }
      </Shown>
    </Stack>
  );
}

function NoRule({ view }: { view: RuleView }) {
  const { t } = useWords("rules");
  const { data: session } = useQuery(sessionQuery);
  if (view === "archived") return <Empty title={t("empty.archived")} />;
  const make = may(session, "rules:create") && <Button component={Link} to="/rules/new">{t("new")}</Button>;
  return <Empty title={t("empty.title")} action={make}>{t("empty.hint")}</Empty>;
}

function One({ rule }: { rule: Rule }) {
  const { t } = useWords("rules");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const sentence = useSentence();
  const setting = useMutation({
    mutationFn: (status: Rule["status"]) => setStatus(rule.id, status),
    onError: tellFailure,
    onSettled: () => queries.invalidateQueries({ queryKey: ["rules"] }),
  });
  const isActive = rule.status === "active";
  const color = `var(${isActive ? "--kw-good" : "--kw-quiet"})`;
  return (
    <Paper component="li" withBorder p="sm" bg="var(--kw-card)" bd="1px solid var(--kw-edge)">
      <Group justify="space-between" gap="xs">
        <Stack gap={4} style={{ minWidth: 0, flex: "1 1 18rem" }}>
          <Group gap="xs">
            <Anchor renderRoot={(props) => <Link {...props} to="/rules/$rule" params={{ rule: rule.id } as never} />} fw={600} c="var(--kw-text)">{rule.name}</Anchor>
            <Severity of={rule.severity} />
            <Badge variant="outline" styles={{ root: { color, borderColor: color, textTransform: "none" } }}>{t(`status.${rule.status}`)}</Badge>
          </Group>
          <Text size="sm">{sentence(rule)}</Text>
        </Stack>
        {may(session, "rules:change") && (
          <Group gap="xs">
            <Button size="xs" variant="default" loading={setting.isPending} aria-label={t(isActive ? "pause-of" : "activate-of", { name: rule.name })} onClick={() => setting.mutate(isActive ? "paused" : "active")}>
              {t(isActive ? "pause" : "activate")}
            </Button>
            {rule.status !== "archived" && (
              <Button size="xs" variant="subtle" aria-label={t("archive-of", { name: rule.name })} onClick={() => setting.mutate("archived")}>{t("archive")}</Button>
            )}
          </Group>
        )}
      </Group>
    </Paper>
  );
}
