// Words and formats for components: `t`, and the locale of numbers and dates.

import { useTranslation } from "react-i18next";
import { localeOf } from "./language";

/** `t` of a namespace (`t("common:...")` reaches the common words) and the locale. */
export function useWords(namespace = "common") {
  const { t, i18n } = useTranslation([namespace, "common"]);
  return { t, locale: localeOf(i18n.language), language: i18n.language };
}
