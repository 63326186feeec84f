import { createRoot } from "react-dom/client";
import { App } from "~/app/app";
import { startLanguage } from "~/language/language";
import { applyLook, keptLook } from "~/ui/look";

applyLook(keptLook());
void startLanguage().then(() => createRoot(document.getElementById("root") as HTMLElement).render(<App />));

if ("serviceWorker" in navigator && import.meta.env.PROD) {
  addEventListener("load", () => void navigator.serviceWorker.register("/sw.js").catch(() => undefined));
}
