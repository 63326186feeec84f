// Home without devices: how to connect one, or a home to try.

import { Button, Group, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useSite, type Site } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Empty, Failure } from "~/ui/states";
import { useDemoHome } from "./queries";

export function NoDevices({ site }: { site: Site | null }) {
  const { t } = useWords("home");
  const { data: session } = useQuery(sessionQuery);
  const { sites } = useSite();
  const demo = useDemoHome(sites);
  const mayConnect = may(session, "devices:create");
  const mayTry = may(session, "sites:create");
  return (
    <Card title={site?.name ?? t("title")}>
      <Empty
        title={t("empty.title")}
        action={
          <Stack gap="sm" align="center">
            <Group justify="center">
              {mayTry && <Button loading={demo.isPending} onClick={() => demo.mutate()}>{t("empty.demo")}</Button>}
              {mayConnect && <Button component={Link} {...({ to: "/devices", search: { new: true } } as object)} variant="default">{t("empty.connect")}</Button>}
            </Group>
            {demo.error && <Failure error={demo.error} onRetry={() => demo.mutate()} />}
          </Stack>
        }
      >
        {t(mayConnect ? "empty.hint" : "empty.ask")}
      </Empty>
    </Card>
  );
}
