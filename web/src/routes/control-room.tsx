import { ControlRoomBoard } from "~/features/control-room/control-room-board";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function ControlRoomPage() {
  const { t } = useWords("control-room");
  return (
    <Page title={t("title")}>
      <ControlRoomBoard />
    </Page>
  );
}
