/** Directories of the bootstrap on a machine. */

/** The scripts that every step uses. */
export const libraryDirectory = "/usr/local/lib/kubernetes-from-scratch";
/** State of running steps, including secrets. It is in memory, and gone after a reboot. */
export const runtimeDirectory = "/run/kubernetes-from-scratch";
