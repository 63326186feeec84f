// What surrounds a page: navigation, the place that is looked at, the connection, the bell, the account.

import { AppShell, Burger, Group, NavLink, Text, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { AccountMenu } from "./account-menu";
import { Bell } from "./bell";
import { ConnectionState } from "./connection-state";
import classes from "./frame.module.css";
import { PAGES, type PageEntry } from "./pages";
import { Palette } from "./palette";
import { PlaceChooser } from "./place-chooser";
import { useAlertToasts } from "./toasts";

export function Frame() {
  const { t } = useWords();
  const { data: session } = useQuery(sessionQuery);
  const [isOpen, { toggle, close }] = useDisclosure();
  const pages = PAGES.filter((page) => page.right === null || may(session, page.right));
  useAlertToasts();

  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 220, breakpoint: "sm", collapsed: { mobile: !isOpen } }}
      footer={{ height: { base: 60, sm: 0 } }}
      padding={{ base: "sm", sm: "lg" }}
    >
      <a className="kw-skip" href="#content">{t("skip")}</a>
      <AppShell.Header bg="var(--kw-card)">
        <Group h="100%" px="sm" wrap="nowrap" gap="xs">
          <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={t("nav.label")} />
          <UnstyledButton component={Link} to="/" className={classes.mark} aria-label={t("app")}>
            <img src="/icon.svg" alt="" width={28} height={28} />
            <Text fw={700}>{t("app")}</Text>
          </UnstyledButton>
          <div className={classes.place}>
            <PlaceChooser />
            <ConnectionState />
          </div>
          <Group gap="xs" wrap="nowrap">
            <Palette pages={pages} />
            <Bell />
            <AccountMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" bg="var(--kw-card)">
        <nav aria-label={t("nav.label")}>
          {pages.map((page) => <Entry key={page.to} page={page} onGo={close} />)}
        </nav>
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Outlet />
      </AppShell.Main>
      <AppShell.Footer hiddenFrom="sm" bg="var(--kw-card)">
        <nav className={classes.foot} aria-label={t("nav.more")}>
          {pages.filter((page) => page.isMain).map((page) => (
            <Link key={page.to} to={page.to} className={classes.footLink} activeOptions={{ exact: page.to === "/" }} onClick={close}>
              <page.icon size={22} stroke={1.6} />
              {t(`nav.${page.word}`)}
            </Link>
          ))}
        </nav>
      </AppShell.Footer>
    </AppShell>
  );
}

function Entry({ page, onGo }: { page: PageEntry; onGo: () => void }) {
  const { t } = useWords();
  const { pathname } = useLocation();
  const isHere = page.to === "/" ? pathname === "/" : pathname.startsWith(page.to);
  return (
    <NavLink
      component={Link}
      to={page.to}
      label={t(`nav.${page.word}`)}
      leftSection={<page.icon size={20} stroke={1.6} />}
      active={isHere}
      aria-current={isHere ? "page" : undefined}
      onClick={onGo}
    />
  );
}
