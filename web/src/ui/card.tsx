// A block of a page with a heading of its own.

import { Group, Paper, Title } from "@mantine/core";
import { useId, type ReactNode } from "react";

interface CardProps {
  readonly title: string;
  /** At the right of the heading. */
  readonly aside?: ReactNode;
  readonly children: ReactNode;
  readonly className?: string;
}

export function Card({ title, aside, children, className }: CardProps) {
  const id = useId();
  return (
    <Paper component="section" aria-labelledby={id} withBorder p="md" bg="var(--kw-card)" bd="1px solid var(--kw-edge)" className={className}>
      <Group justify="space-between" mb="sm" wrap="wrap" gap="xs">
        <Title order={2} size="h4" id={id}>{title}</Title>
        {aside}
      </Group>
      {children}
    </Paper>
  );
}
