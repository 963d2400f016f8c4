/** Kubernetes from scratch: the story, one constructor a chapter. */
import * as pulumi from "@pulumi/pulumi";
import { Bootstrap } from "../bootstrap/remote";
import { ApiEndpoint } from "../infra/api-endpoint";
import { clusterSpec } from "../cluster/spec";
import { readConfig } from "../cluster/config";
import { Machines } from "../infra/machines";
import { Network } from "../infra/network";
import { outputs } from "./outputs";
import { Pki } from "../infra/pki";
import { awsProvider } from "../infra/provider";
import { SecurityGroups } from "../infra/security-groups";

const config = readConfig();
const spec = clusterSpec(config);
const provider = awsProvider({
  region: spec.region,
  endpoint: config.awsEndpoint,
  tags: { project: pulumi.getProject(), stack: pulumi.getStack(), cluster: spec.name },
});

const network = new Network("network", { spec }, { provider });
const securityGroups = new SecurityGroups("security-groups", { spec, network }, { provider });
const pki = new Pki("pki", {
  spec,
  elasticIp: network.elasticIp.publicIp,
  validityHours: config.certificateValidityHours,
  epoch: config.certificateEpoch,
  encryptionKey: config.encryptionKey,
});
const machines = new Machines(
  "machines",
  { spec, network, securityGroups, sshKey: config.sshPrivateKeyFile },
  { provider },
);
const endpoint = new ApiEndpoint("api-endpoint", { spec, network, securityGroups, machines }, { provider });
const bootstrap = new Bootstrap("bootstrap", { spec, machines, pki }, { dependsOn: securityGroups });

export const { kubeconfig, apiEndpoint, nodes, sshConfig, sshKnownHosts, sshPrivateKey, certificateExpiry, proofs } =
  outputs({ machines, pki, endpoint, bootstrap });
