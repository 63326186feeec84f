import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function SignUpPage() {
  const { t } = useWords("account");
  return <Page title={t("title")}>{null}</Page>;
}
