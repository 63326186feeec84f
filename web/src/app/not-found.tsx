// Shown at addresses that lead nowhere.

import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useWords } from "~/language/use-words";
import { Empty } from "~/ui/states";

export function NotFound() {
  const { t } = useWords();
  return (
    <Empty title={t("state.not-found")} action={<Button component={Link} to="/">{t("state.go-home")}</Button>}>
      {t("state.not-found-hint")}
    </Empty>
  );
}
