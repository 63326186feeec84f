// The command palette: Ctrl K (or the button) goes to any page and changes the look. Its dialog is fetched when it is first opened.

import { ActionIcon } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { lazy, Suspense, useState } from "react";
import { useWords } from "~/language/use-words";
import type { PageEntry } from "./pages";

const PaletteDialog = lazy(async () => ({ default: (await import("./palette-dialog")).PaletteDialog }));

export function Palette({ pages }: { pages: readonly PageEntry[] }) {
  const { t } = useWords();
  const [opened, setOpened] = useState(0);
  useHotkeys([["mod+K", () => setOpened((times) => times + 1)]], []);
  return (
    <>
      <ActionIcon variant="subtle" size="lg" color="gray" aria-label={t("palette.open")} onClick={() => setOpened((times) => times + 1)} visibleFrom="xs">
        <IconSearch size={20} stroke={1.6} />
      </ActionIcon>
      {opened > 0 && (
        <Suspense>
          <PaletteDialog pages={pages} opened={opened} />
        </Suspense>
      )}
    </>
  );
}
