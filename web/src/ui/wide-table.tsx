// A table that is moved sideways where the screen is narrower than it: with a finger, a wheel, or the arrow keys.

import { Table, type TableScrollContainerProps } from "@mantine/core";

interface WideTableProps extends Omit<TableScrollContainerProps, "type"> {
  /** What the table shows, for those who hear it. */
  readonly label: string;
}

export function WideTable({ label, ...rest }: WideTableProps) {
  return <Table.ScrollContainer {...rest} type="native" tabIndex={0} role="region" aria-label={label} />;
}
