/** How to call Pulumi. */
export interface Pulumi {
  /** Directory that contains `pulumi`, to be put first in PATH. */
  readonly binDir: string;
  /** Environment variables for every call. */
  readonly environment: Readonly<Record<string, string>>;
}
