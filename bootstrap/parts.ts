/** Helpers shared by several steps. */
import type { Stage } from "../cluster/shape";
import { stages } from "../cluster/shape";
import type { ClusterSpec } from "../cluster/spec";
import { asset, publicFile, type StepFile } from "./files";
import { libraryDirectory } from "./places";

/** Lines of "name address" for the control-plane machines. */
export const controllerLines = (spec: ClusterSpec): string =>
  spec.controllers.map(({ name, privateIp }) => `${name} ${privateIp}`).join("\n");

/** The part of the shell library about nodes that leave, for steps that act as the administrator. */
export const nodesLibrary = (): StepFile => publicFile(`${libraryDirectory}/nodes.sh`, asset("scripts/lib/nodes.sh"));

/** Whether the bootstrap of this cluster reaches a stage. */
export const reaches = (spec: ClusterSpec, stage: Stage): boolean =>
  stages.indexOf(spec.stage) >= stages.indexOf(stage);

/** AEAD ciphers with forward secrecy; those of TLS 1.3 are always on. https://ssl-config.mozilla.org */
export const tlsCipherSuites = [
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
] as const;
