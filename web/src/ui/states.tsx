// What a part of a page shows while it has no data: loading, empty (with what to do next), failed (with a retry).

import { Alert, Button, Skeleton, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { sentenceOf } from "~/api/problem";
import { useWords } from "~/language/use-words";

/** Grey bars in the place of what will be there; height: as much as the data will need, so nothing jumps. */
export function Loading({ height = 160 }: { height?: number | string }) {
  const { t } = useWords();
  return (
    <div role="status" aria-label={t("state.loading")}>
      <Skeleton height={height} radius="md" />
    </div>
  );
}

/** Nothing is there yet: says so, and what to do next. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Stack align="center" gap="xs" py="xl" ta="center">
      <Title order={2} size="h4">{title}</Title>
      {children && <Text c="dimmed" maw="34rem" component="div">{children}</Text>}
      {action}
    </Stack>
  );
}

/** What went wrong, and a way to try again. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { t } = useWords();
  return (
    <Alert color="red" variant="outline" title={t("state.failed")} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm" c="var(--kw-text)">{sentenceOf(error)}</Text>
        {onRetry && <Button size="xs" variant="default" onClick={onRetry}>{t("state.retry")}</Button>}
      </Stack>
    </Alert>
  );
}

interface Asked<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  readonly isPending: boolean;
  readonly refetch: () => unknown;
}

/** Shows the data of a query, or the state it is in. Data that is there stays while newer is fetched. */
export function Shown<T>({ of, height, children }: { of: Asked<T>; height?: number | string; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  if (of.error) return <Failure error={of.error} onRetry={() => void of.refetch()} />;
  return <Loading height={height} />;
}
