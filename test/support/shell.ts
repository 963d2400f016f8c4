/** The environment of a shell that is set up for everything but this project. */
export const foreignShell: Readonly<Record<string, string>> = {
  PULUMI_CONFIG_PASSPHRASE: "another project's",
  AWS_PROFILE: "corp",
  AWS_SESSION_TOKEN: "expired",
  AWS_ENDPOINT_URL: "http://127.0.0.1:9",
  AWS_CONFIG_FILE: "/nonexistent",
  // nothing listens on port 9
  ...Object.fromEntries(["http_proxy", "https_proxy", "all_proxy"].map((name) => [name, "http://127.0.0.1:9"])),
  ...Object.fromEntries(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map((name) => [name, "http://127.0.0.1:9"])),
  NO_PROXY: "corp.example",
};
