// The names of a chart's series. Pressing one shows it alone, pressing it again shows all.

import { UnstyledButton } from "@mantine/core";
import classes from "./charts.module.css";

export interface LegendEntry {
  /** null for what cannot be shown alone. */
  readonly id: string | null;
  readonly label: string;
  /** A colour variable. */
  readonly color: string;
  /** After the name, such as a total. */
  readonly text?: string;
}

interface LegendProps {
  readonly entries: readonly LegendEntry[];
  /** The one that is shown alone. */
  readonly only: string | null;
  readonly onOnly: (id: string | null) => void;
  readonly label: string;
}

export function Legend({ entries, only, onOnly, label }: LegendProps) {
  return (
    <div className={classes.legend} role="group" aria-label={label}>
      {entries.map(({ id, label: name, color, text }) => {
        const inside = (
          <>
            <span className={`${classes.sign} ${only !== null && only !== id ? classes.faded : ""}`} style={{ background: `var(${color})` }} />
            {name}
            {text && <span className="kw-number">{text}</span>}
          </>
        );
        if (id === null) return <span key={name} className={classes.entry}>{inside}</span>;
        return (
          <UnstyledButton key={`${id} ${name}`} className={classes.entry} aria-pressed={only === id} onClick={() => onOnly(only === id ? null : id)}>
            {inside}
          </UnstyledButton>
        );
      })}
    </div>
  );
}
