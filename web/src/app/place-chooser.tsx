// Which organisation and which site are looked at.

import { Menu, Text, UnstyledButton } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { chooseOrganisation } from "~/api/client";
import { chooseSite, useSite } from "~/api/place";
import { sessionQuery, type Session } from "~/api/session";
import { useWords } from "~/language/use-words";
import classes from "./frame.module.css";

function namesOf(session: Session | null | undefined) {
  const organisations = session?.me?.organisations ?? [];
  const here = organisations.find((one) => one.id === session?.organisationId);
  return { organisations, here, name: here?.name ?? session?.organisation ?? "" };
}

function move(slug: string): void {
  chooseOrganisation(slug);
  chooseSite(null);
  location.assign("/");
}

export function PlaceChooser() {
  const { t } = useWords();
  const { data: session } = useQuery(sessionQuery);
  const { site, sites } = useSite();
  const { organisations, here, name } = namesOf(session);
  const shown = site?.name ?? (sites.length > 1 ? t("place.all-sites") : "");
  return (
    <Menu position="bottom-start" width={260}>
      <Menu.Target>
        <UnstyledButton className={classes.chooser} aria-label={`${t("place.organisation")}, ${t("place.site")}: ${name} ${shown}`}>
          <Text size="sm" component="span" truncate>
            {name}
            {shown && ` · ${shown}`}
          </Text>
          <IconChevronDown size={14} className={classes.more} />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t("place.site")}</Menu.Label>
        {sites.length > 1 && <Menu.Item onClick={() => chooseSite(null)}>{t("place.all-sites")}</Menu.Item>}
        {sites.slice(0, 30).map((one) => (
          <Menu.Item key={one.id} fw={one.id === site?.id ? 650 : undefined} onClick={() => chooseSite(one.id)}>{one.name}</Menu.Item>
        ))}
        {organisations.length > 1 && <Menu.Label>{t("place.organisation")}</Menu.Label>}
        {organisations.length > 1 &&
          organisations.map((one) => (
            <Menu.Item key={one.id} fw={one.id === here?.id ? 650 : undefined} onClick={() => move(one.slug)}>{one.name}</Menu.Item>
          ))}
      </Menu.Dropdown>
    </Menu>
  );
}
