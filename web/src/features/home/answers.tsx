// How much now, how much today, what it costs, is anything wrong: the first thing that Home says.

import { SimpleGrid } from "@mantine/core";
import { useWords } from "~/language/use-words";
import { show, showMoney, showShare } from "~/lib/units";
import { AlertsTile } from "./alerts-tile";
import type { Balance } from "~/lib/balance";
import { Tile } from "./tile";
import type { DayTotal, Usual } from "./today";

interface AnswersProps {
  readonly balance: Balance;
  readonly day: DayTotal | undefined;
  readonly usual: Usual | null;
  readonly currency: string;
  /** Null: not known yet. */
  readonly price: number | null;
  /** Open alerts; null where the reader may not see them, undefined while they are not known. */
  readonly alerts: number | null | undefined;
}

export function Answers({ balance, day, usual, currency, price, alerts }: AnswersProps) {
  const { t, locale } = useWords("home");
  const money = (amount: number) => showMoney(amount, currency, locale);
  const perHour = price !== null && balance.isKnown ? (balance.imported / 1_000) * price : null;
  return (
    <SimpleGrid cols={{ base: 2, lg: 4 }} spacing={{ base: "xs", xs: "md" }}>
      <Tile
        label={t("now")}
        figure={show(balance.isKnown ? balance.use : null, "W", locale)}
        under={balance.exported > 0 ? t("exporting", { power: show(balance.exported, "W", locale) }) : perHour === null ? "\u00a0" : t("per-hour", { money: money(perHour) })}
      />
      <Tile label={t("today")} figure={show(day?.use, "Wh", locale)} under={<Completeness day={day} usual={usual} />} />
      <Tile
        label={t("cost")}
        figure={day?.cost == null ? "–" : money(day.cost)}
        under={price === null ? "\u00a0" : t("price", { price: showMoney(price, currency, locale) })}
      />
      <AlertsTile alerts={alerts} />
    </SimpleGrid>
  );
}

/** Today against the usual until now, or how complete today is where something is missing. */
function Completeness({ day, usual }: { day: DayTotal | undefined; usual: Usual | null }) {
  const { t, locale } = useWords("home");
  if (!day) return "\u00a0";
  if (day.use === null) return t("today-none");
  if (day.coverage < 0.995) return t("complete", { share: showShare(day.coverage, locale) });
  if (!usual || usual.untilNowWh <= 0) return t("since-midnight");
  const ratio = day.use / usual.untilNowWh - 1;
  const share = showShare(Math.abs(ratio), locale);
  return Math.abs(ratio) < 0.05 ? t("as-usual") : t(ratio > 0 ? "more-than-usual" : "less-than-usual", { share });
}
