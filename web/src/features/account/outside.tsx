// What surrounds pages for people who are not signed in.

import { Box, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";
import { useWords } from "~/language/use-words";

export function Outside({ title, children }: { title: string; children: ReactNode }) {
  const { t } = useWords();
  useDocumentTitle(`${title} · ${t("app")}`);
  return (
    <Box component="main" mih="100dvh" p="md" style={{ display: "grid", placeItems: "center" }}>
      <Stack w="100%" maw={400} gap="lg">
        <Group justify="center" gap="sm">
          <img src="/icon.svg" alt="" width={36} height={36} />
          <Text fw={700} size="xl">{t("app")}</Text>
        </Group>
        <Paper p="lg" withBorder bg="var(--kw-card)" bd="1px solid var(--kw-edge)">
          <Title order={1} size="h3" mb="md">{title}</Title>
          {children}
        </Paper>
      </Stack>
    </Box>
  );
}
