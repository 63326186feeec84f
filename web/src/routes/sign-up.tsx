import { useSearch } from "@tanstack/react-router";
import { SignUp } from "~/features/account/sign-up";

export function SignUpPage() {
  const { to } = useSearch({ strict: false }) as { to?: unknown };
  return <SignUp to={to} />;
}
