// The body of a page: its heading, what can be done, and its blocks.

import { Group, Stack, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";

export function Page({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  useDocumentTitle(`${title} · Kilowatch`);
  return (
    <Stack gap="md">
      <Group justify="space-between" gap="sm">
        <Title order={1} size="h2">{title}</Title>
        {aside}
      </Group>
      {children}
    </Stack>
  );
}
