// What a person's account is asked for and told.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";

export type Invitation = Schemas["OwnInvitation"];

export const invitationsQuery = queryOptions({
  queryKey: ["invitations", "own"],
  queryFn: async (): Promise<readonly Invitation[]> => (await ask(api.GET("/api/v1/invitations"))).items,
});

export const accept = (id: string) =>
  ask(api.POST("/api/v1/invitations/{invitation_id}/accept", { params: { path: { invitation_id: id } } }));

export const decline = (id: string) =>
  ask(api.DELETE("/api/v1/invitations/{invitation_id}", { params: { path: { invitation_id: id } } }));

export const logIn = (body: Schemas["LogIn"]) => ask(api.POST("/api/v1/auth/login", { body }));
export const signUp = (body: Schemas["SignUp"]) => ask(api.POST("/api/v1/auth/signup", { body }));
export const verify = (body: Schemas["CodeShown"]) => ask(api.POST("/api/v1/auth/verify", { body }));
export const openWithKey = (key: string) => ask(api.POST("/api/v1/session", { body: { key } }));
export const forget = (email: string) => ask(api.POST("/api/v1/auth/forgot-password", { body: { email } }));
export const resetPassword = (body: Schemas["PasswordReset"]) => ask(api.POST("/api/v1/auth/reset-password", { body }));
export const makeDemoHome = (time_zone: string) => ask(api.POST("/api/v1/sites/demo", { body: { time_zone } }));
export const countInvitations = async () => (await ask(api.GET("/api/v1/me"))).invitations;
