import { ResetPassword } from "~/features/account/reset-password";

export function ResetPasswordPage() {
  return <ResetPassword />;
}
