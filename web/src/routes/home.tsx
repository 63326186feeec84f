import { useSite } from "~/api/place";
import { Home } from "~/features/home/home";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function HomePage() {
  const { t } = useWords("home");
  const { site } = useSite();
  return <Page title={site?.name ?? t("title")}><Home /></Page>;
}
