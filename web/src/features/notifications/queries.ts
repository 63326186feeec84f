// What the reader was told, by which ways, and what they want to be told.

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";

export type Notice = Schemas["Notification"];
export type Channel = Schemas["Channel"];
export type ChannelWanted = Schemas["ChannelWanted"];
export type Delivery = Schemas["Delivery"];
export type Wishes = Schemas["Wishes"];

const PAGE = 50;

export const noticesQuery = infiniteQueryOptions({
  queryKey: ["notifications", "list"],
  queryFn: ({ pageParam }) => ask(api.GET("/api/v1/notifications", { params: { query: { limit: PAGE, cursor: pageParam } } })),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.next_cursor ?? undefined,
});

export const markRead = (id: string) =>
  ask(api.POST("/api/v1/notifications/{notification_id}/read", { params: { path: { notification_id: id } } }));
export const markAllRead = () => ask(api.POST("/api/v1/notifications/read-all"));
export const remove = (id: string) =>
  ask(api.DELETE("/api/v1/notifications/{notification_id}", { params: { path: { notification_id: id } } }));

export const channelsQuery = queryOptions({
  queryKey: ["channels"],
  queryFn: async (): Promise<readonly Channel[]> =>
    (await ask(api.GET("/api/v1/notification-channels", { params: { query: { limit: 500 } } }))).items,
});

const ofChannel = (id: string) => ({ params: { path: { channel_id: id } } });

/** Makes a channel, or changes the one with this id; an empty address leaves the one that is there. */
export function keepChannel(id: string | null, wanted: ChannelWanted): Promise<Channel> {
  if (id === null) return ask(api.POST("/api/v1/notification-channels", { body: wanted }));
  const { name, severity, enabled, address } = wanted;
  const body = { name, severity, enabled, ...(address ? { address } : {}) };
  return ask(api.PATCH("/api/v1/notification-channels/{channel_id}", { ...ofChannel(id), body }));
}

export const removeChannel = (id: string) => ask(api.DELETE("/api/v1/notification-channels/{channel_id}", ofChannel(id)));
export const tryChannel = (id: string) => ask(api.POST("/api/v1/notification-channels/{channel_id}/test", ofChannel(id)));

export const deliveriesQuery = (id: string) =>
  queryOptions({
    queryKey: ["channels", id, "deliveries"],
    queryFn: async (): Promise<readonly Delivery[]> => {
      const params = { path: { channel_id: id }, query: { limit: 20 } };
      return (await ask(api.GET("/api/v1/notification-channels/{channel_id}/deliveries", { params }))).items;
    },
  });

export const wishesQuery = queryOptions({
  queryKey: ["notification-preferences"],
  queryFn: () => ask(api.GET("/api/v1/notification-preferences")),
});

export const keepWishes = (body: Wishes) => ask(api.PUT("/api/v1/notification-preferences", { body }));
