// A length of time: a number and its unit.

import { Group, NumberInput, Select } from "@mantine/core";
import { useState } from "react";
import { useWords } from "~/language/use-words";
import { joinLength, splitLength, type LengthUnit } from "./draft";

interface LengthFieldProps {
  readonly label: string;
  readonly seconds: number;
  readonly error?: string;
  readonly onChange: (seconds: number) => void;
}

export function LengthField({ label, seconds, error, onChange }: LengthFieldProps) {
  const { t } = useWords("rules");
  const [unit, setUnit] = useState<LengthUnit>(() => splitLength(seconds).unit);
  const units = (["s", "min", "h", "d"] as const).map((value) => ({ value, label: t(`unit.${value}`) }));
  return (
    <Group gap={4} wrap="nowrap" align="flex-start">
      <NumberInput aria-label={label} w={84} min={0} value={seconds / joinLength(1, unit)} error={error} onChange={(count) => onChange(joinLength(Number(count) || 0, unit))} />
      <Select
        aria-label={t("unit.of", { field: label })}
        w={92}
        allowDeselect={false}
        data={units}
        value={unit}
        onChange={(chosen) => {
          const next = (chosen ?? unit) as LengthUnit;
          onChange(joinLength(seconds / joinLength(1, unit), next));
          setUnit(next);
        }}
      />
    </Group>
  );
}
