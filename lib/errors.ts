/** A fault that the user can mend: what is wrong, and what to do. Shown as its message alone, without a stack trace. */
export class UserError extends Error {
  override readonly name = "UserError";

  /** @param remedy what to do, where the fault does not say it already. */
  constructor(fault: string, remedy = "") {
    super(`${fault} ${remedy}`.trimEnd());
  }
}
