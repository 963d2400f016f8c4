/** An error that the user can fix: what is wrong, and what to do. Only its message is shown, without a stack trace. */
export class UserError extends Error {
  override readonly name = "UserError";

  /** @param remedy what to do, unless the fault already says so. */
  constructor(fault: string, remedy = "") {
    super(`${fault} ${remedy}`.trimEnd());
  }
}
