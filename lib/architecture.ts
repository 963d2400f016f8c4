/** The processor architecture of this machine, in the words of Go, Debian and container images. */
export const hostArchitecture: "amd64" | "arm64" = process.arch === "arm64" ? "arm64" : "amd64";
