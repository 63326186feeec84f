// A rule in a sentence.

import { useQuery } from "@tanstack/react-query";
import { useSite } from "~/api/place";
import { metricsQuery, thingsQuery } from "~/api/things";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import { showDuration } from "~/lib/time";
import { showLimit, unitOf, type Rule } from "./draft";

/** Gives the sentence of a rule. */
export function useSentence(): (rule: Rule) => string {
  const { t, locale } = useWords("rules");
  const { data: things } = useQuery(thingsQuery);
  const { data: metrics } = useQuery(metricsQuery);
  const { sites } = useSite();
  const subjectOf = (rule: Rule) => {
    if (rule.device_id) return things?.find((one) => one.id === rule.device_id)?.name ?? rule.device_id;
    if (rule.site_id) return t("of.site", { name: sites.find((one) => one.id === rule.site_id)?.name ?? "" });
    return rule.device_type ? t("of.type", { name: rule.device_type }) : t("of.all");
  };
  return (rule) => {
    const subject = subjectOf(rule);
    const length = showDuration(rule.for_s);
    if (rule.input === "no_data") return t("says.no_data", { subject, length });
    const unit = metrics?.find((one) => one.name === rule.metric)?.unit ?? "";
    return t(rule.for_s ? "says.for" : "says.at-once", {
      what: t(`what.${rule.input}`, { metric: rule.metric ? metricName(rule.metric, t) : "" }),
      subject,
      operator: t(`operator.${rule.operator}`),
      limit: showLimit(rule.threshold ?? 0, unitOf(rule.input, unit), locale),
      length,
    });
  };
}
