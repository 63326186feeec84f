// The reader's account: look, language, signing out.

import { ActionIcon, Menu } from "@mantine/core";
import { IconCheck, IconUserCircle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, chooseOrganisation } from "~/api/client";
import { chooseSite } from "~/api/place";
import { sessionQuery } from "~/api/session";
import { chooseLanguage, LANGUAGES } from "~/language/language";
import { useWords } from "~/language/use-words";
import { LOOKS, useLook } from "~/ui/look";

async function signOut(): Promise<void> {
  await api.POST("/api/v1/auth/logout", { body: {} }).catch(() => undefined);
  await api.DELETE("/api/v1/session").catch(() => undefined);
  chooseOrganisation(null);
  chooseSite(null);
  location.assign("/sign-in");
}

export function AccountMenu() {
  const { t, language } = useWords();
  const { data: session } = useQuery(sessionQuery);
  const [look, chooseLook] = useLook();
  const name = session?.me?.name || session?.me?.email || t("user.key");
  const mark = (isChosen: boolean) => (isChosen ? <IconCheck size={14} /> : <span style={{ width: 14 }} />);
  return (
    <Menu position="bottom-end" width={220} closeOnItemClick={false}>
      <Menu.Target>
        <ActionIcon variant="subtle" size="lg" color="gray" aria-label={t("user.menu", { name })}>
          <IconUserCircle size={24} stroke={1.6} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{name}</Menu.Label>
        <Menu.Item component={Link} to="/settings" closeMenuOnClick>{t("nav.settings")}</Menu.Item>
        <Menu.Label>{t("theme.label")}</Menu.Label>
        {LOOKS.map((one) => (
          <Menu.Item key={one} leftSection={mark(one === look)} onClick={() => chooseLook(one)}>{t(`theme.${one}`)}</Menu.Item>
        ))}
        <Menu.Label>{t("language.label")}</Menu.Label>
        {LANGUAGES.map((one) => (
          <Menu.Item key={one} leftSection={mark(one === language)} onClick={() => void chooseLanguage(one)}>{t(`language.${one}`)}</Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item closeMenuOnClick onClick={() => void signOut()}>{t("user.sign-out")}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
