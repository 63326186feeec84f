import { useParams } from "@tanstack/react-router";
import { AlertView } from "~/features/alerts/alert-view";

export function AlertPage() {
  const { alert } = useParams({ strict: false }) as { alert: string };
  return <AlertView key={alert} id={alert} />;
}
