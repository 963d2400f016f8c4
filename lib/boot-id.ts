/** Distinguishes one boot of this machine from another. */
import { existsSync, readFileSync } from "node:fs";

const FILE = "/proc/sys/kernel/random/boot_id";

/** A random id that the kernel chooses at every boot; empty if the kernel does not provide one. */
export function bootId(): string {
  return existsSync(FILE) ? readFileSync(FILE, "utf8").trim() : "";
}
