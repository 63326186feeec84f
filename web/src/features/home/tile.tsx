// One of the answers at the top of Home: a name, a large number, a line beneath. Its height never changes.

import { Paper } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./home.module.css";

interface TileProps {
  readonly label: string;
  readonly figure: ReactNode;
  readonly under?: ReactNode;
  readonly color?: string;
}

export function Tile({ label, figure, under, color }: TileProps) {
  return (
    <Paper component="section" aria-label={label} withBorder p="md" className={classes.tile} bg="var(--kw-card)" bd="1px solid var(--kw-edge)">
      <div className={classes.label}>{label}</div>
      <div className={`${classes.figure} kw-number`} style={color ? { color: `var(${color})` } : undefined}>{figure}</div>
      <div className={classes.under}>{under}</div>
    </Paper>
  );
}
