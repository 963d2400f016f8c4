/** The processor architecture of this machine, as Go, Debian and container images name it. */
export const hostArchitecture: "amd64" | "arm64" = process.arch === "arm64" ? "arm64" : "amd64";
