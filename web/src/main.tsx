import { createRoot } from "react-dom/client";
import { App } from "~/app/app";
import { startWorker } from "~/app/worker";
import { startLanguage } from "~/language/language";
import { applyLook, followLook, keptLook } from "~/ui/look";

applyLook(keptLook());
followLook();
void startLanguage().then(() => createRoot(document.getElementById("root") as HTMLElement).render(<App />));
startWorker();
