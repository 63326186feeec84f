// Everything that surrounds all pages: look, queries, router, toasts.

import { MantineProvider } from "@mantine/core";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { mayAskAgain, waitMs } from "~/api/again";
import { useChosenLook } from "~/ui/look";
import "~/ui/look.css";
import { themeOf } from "~/ui/theme";
import { makeRouter } from "./router";
import { UpdatePrompt } from "./update-prompt";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: true,
      retry: mayAskAgain,
      retryDelay: waitMs,
    },
  },
});
const router = makeRouter(queries);

export function App() {
  const look = useChosenLook();
  return (
    <MantineProvider theme={themeOf(look)} defaultColorScheme={look === "haunted" ? "dark" : look}>
      <QueryClientProvider client={queries}>
        <Notifications position="top-right" limit={4} autoClose={5_000} />
        <UpdatePrompt />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
