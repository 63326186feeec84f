import { SimulationBoard } from "~/features/simulation/simulation-board";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function SimulationPage() {
  const { t } = useWords("simulation");
  return (
    <Page title={t("title")}>
      <SimulationBoard />
    </Page>
  );
}
