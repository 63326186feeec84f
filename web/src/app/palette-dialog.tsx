// The dialog of the command palette.

import { Spotlight, createSpotlight, type SpotlightActionGroupData } from "@mantine/spotlight";
import "@mantine/spotlight/styles.css";
import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { useSite, chooseSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { LOOKS, useLook } from "~/ui/look";
import type { PageEntry } from "./pages";

const [store, spotlight] = createSpotlight();

/** opened: how often it was asked for; each time it opens. */
export function PaletteDialog({ pages, opened }: { pages: readonly PageEntry[]; opened: number }) {
  const { t } = useWords();
  const go = useNavigate();
  const [, chooseLook] = useLook();
  const { sites } = useSite();
  useEffect(() => {
    spotlight.open();
  }, [opened]);
  const groups: SpotlightActionGroupData[] = [
    {
      group: t("palette.pages"),
      actions: pages.map((page) => ({
        id: page.to,
        label: t(`nav.${page.word}`),
        leftSection: <page.icon size={18} />,
        onClick: () => void go({ to: page.to }),
      })),
    },
    { group: t("place.site"), actions: sites.slice(0, 50).map((one) => ({ id: one.id, label: one.name, onClick: () => chooseSite(one.id) })) },
    {
      group: t("palette.actions"),
      actions: LOOKS.map((one) => ({ id: `look-${one}`, label: `${t("theme.label")}: ${t(`theme.${one}`)}`, onClick: () => chooseLook(one) })),
    },
  ];
  return (
    <Spotlight
      store={store}
      actions={groups.filter((one) => one.actions.length)}
      shortcut={null}
      nothingFound={t("palette.nothing")}
      searchProps={{ placeholder: t("palette.placeholder"), "aria-label": t("palette.placeholder") }}
      scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "group", "aria-label": t("palette.open") } }}
      highlightQuery
    />
  );
}
