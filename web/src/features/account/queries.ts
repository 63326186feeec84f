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

export const rename = (name: string) => ask(api.PATCH("/api/v1/me", { body: { name } }));
export const changePassword = (body: Schemas["PasswordChange"]) => ask(api.POST("/api/v1/auth/change-password", { body }));
export const offerFactor = (password: string) => ask(api.POST("/api/v1/auth/second-factor", { body: { password } }));
export const confirmFactor = (code: string) => ask(api.POST("/api/v1/auth/second-factor/confirm", { body: { code } }));
export const endFactor = (body: Schemas["SecondFactorShown"]) => ask(api.DELETE("/api/v1/auth/second-factor", { body }));
export const logOut = () => ask(api.POST("/api/v1/auth/logout", { body: {} }));
export const deleteAccount = (password: string) => ask(api.DELETE("/api/v1/me", { body: { password } }));
export const makeOrganisation = (name: string) => ask(api.POST("/api/v1/organisations", { body: { name } }));

export const leave = (organisation: string, person: string) =>
  ask(
    api.DELETE("/api/v1/organisations/{organisation_id}/members/{user_id}", {
      params: { path: { organisation_id: organisation, user_id: person } },
    }),
  );

export const changeSite = (id: string, changes: Partial<Schemas["SiteChanges"]>) =>
  ask(api.PATCH("/api/v1/sites/{site_id}", { params: { path: { site_id: id } }, body: changes as Schemas["SiteChanges"] }));
