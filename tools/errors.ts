/** A fault that the user can mend: printed as its message alone, without a stack trace. */
export class UserError extends Error {
  override readonly name = "UserError";
}
