import { Stack, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { may, sessionQuery } from "~/api/session";
import { Organisations } from "~/features/account/organisations";
import { Profile } from "~/features/account/profile";
import { SecondFactor } from "~/features/account/second-factor";
import { Farewell, Password, Sessions } from "~/features/account/security";
import { SiteSettings } from "~/features/account/site-form";
import { Channels } from "~/features/notifications/channels";
import { Preferences } from "~/features/notifications/preferences";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Page } from "~/ui/page";
import { Shown } from "~/ui/states";

const TABS = ["profile", "security", "notifications", "organisations", "site"] as const;

export function SettingsPage() {
  const { t } = useWords("settings");
  const go = useNavigate();
  const search = useSearch({ strict: false }) as { tab?: unknown };
  const session = useQuery(sessionQuery);
  const me = session.data?.me ?? null;
  const tabs = TABS.filter((one) => (one === "site" ? may(session.data, "sites:change") : one === "notifications" || me !== null));
  const tab = tabs.find((one) => one === search.tab) ?? tabs[0] ?? null;
  return (
    <Page title={t("title")}>
      <Tabs value={tab} onChange={(chosen) => void go({ to: "/settings", search: { tab: chosen } as never, replace: true })} keepMounted={false}>
        <Tabs.List mb="md">{tabs.map((one) => <Tabs.Tab key={one} value={one}>{t(`tab.${one}`)}</Tabs.Tab>)}</Tabs.List>
        <Shown of={session} height={320}>
          {() => (
            <>
              {!me && <Text size="sm" c="dimmed" mb="md">{t("account:of-person")}</Text>}
              {me && <Tabs.Panel value="profile"><Profile me={me} /></Tabs.Panel>}
              {me && (
                <Tabs.Panel value="security">
                  <Stack><Password email={me.email} /><SecondFactor isOn={me.second_factor} /><Sessions /><Farewell /></Stack>
                </Tabs.Panel>
              )}
              <Tabs.Panel value="notifications">
                <Stack>
                  <Card title={t("notifications:channel.title")}><Channels /></Card>
                  {me && <Card title={t("notifications:wish.title")}><Preferences /></Card>}
                </Stack>
              </Tabs.Panel>
              {me && <Tabs.Panel value="organisations"><Stack><Organisations me={me} /></Stack></Tabs.Panel>}
              <Tabs.Panel value="site"><SiteSettings /></Tabs.Panel>
            </>
          )}
        </Shown>
      </Tabs>
    </Page>
  );
}
