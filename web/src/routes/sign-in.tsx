import { useSearch } from "@tanstack/react-router";
import { SignIn } from "~/features/account/sign-in";

export function SignInPage() {
  const { to } = useSearch({ strict: false }) as { to?: unknown };
  return <SignIn to={to} />;
}
