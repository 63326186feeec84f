// A button for what cannot be taken back: it asks once more.

import { Button, Group, Popover, Text, type ButtonProps } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { ReactNode } from "react";
import { useWords } from "~/language/use-words";

interface SureButtonProps extends ButtonProps {
  /** What would happen, as a question. */
  readonly question: string;
  readonly onSure: () => void;
  readonly children: ReactNode;
  readonly label?: string;
}

export function SureButton({ question, onSure, children, label, ...button }: SureButtonProps) {
  const { t } = useWords();
  const [isOpen, { toggle, close }] = useDisclosure();
  const sure = () => {
    close();
    onSure();
  };
  return (
    <Popover opened={isOpen} onChange={close} withArrow trapFocus returnFocus width={280}>
      <Popover.Target>
        <Button variant="default" size="xs" {...button} onClick={toggle} aria-label={label}>{children}</Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={question}>
        <Text size="sm" mb="sm">{question}</Text>
        <Group gap="xs">
          <Button size="xs" color="red" onClick={sure}>{t("action.confirm")}</Button>
          <Button size="xs" variant="default" onClick={close} data-autofocus>{t("action.cancel")}</Button>
        </Group>
      </Popover.Dropdown>
    </Popover>
  );
}
