// Two days of the calendar to choose; a chunk of its own, fetched when somebody wants it.

import { DatePickerInput, DatesProvider } from "@mantine/dates";
import "@mantine/dates/styles.css";
import "dayjs/locale/de";
import { useState } from "react";
import { useWords } from "~/language/use-words";

interface CustomRangeProps {
  readonly from: string;
  readonly to: string;
  readonly today: string;
  readonly onChoose: (from: string, to: string) => void;
}

export function CustomRange({ from, to, today, onChoose }: CustomRangeProps) {
  const { t, language } = useWords("history");
  const [half, setHalf] = useState<string | null>(null);
  return (
    <DatesProvider settings={{ locale: language, firstDayOfWeek: 1, weekendDays: [] }}>
      <DatePickerInput
        id="history-custom"
        type="range"
        label={t("period.custom")}
        miw={230}
        maxDate={today}
        allowSingleDateInRange
        hideOutsideDates
        valueFormat={t("calendar.format")}
        ariaLabels={{
          monthLevelControl: t("calendar.month"),
          yearLevelControl: t("calendar.year"),
          nextMonth: t("calendar.next-month"),
          previousMonth: t("calendar.previous-month"),
          nextYear: t("calendar.next-year"),
          previousYear: t("calendar.previous-year"),
          nextDecade: t("calendar.next-decade"),
          previousDecade: t("calendar.previous-decade"),
        }}
        popoverProps={{ position: "bottom-start", "aria-label": t("period.custom") } as never}
        value={half === null ? [from, to] : [half, null]}
        onChange={([begin, end]) => {
          if (begin && end) {
            setHalf(null);
            onChoose(begin, end);
          } else setHalf(begin);
        }}
      />
    </DatesProvider>
  );
}
