/** Kubernetes from scratch: the whole story, with one constructor per chapter. */
import * as pulumi from "@pulumi/pulumi";
import { Bootstrap } from "../bootstrap/remote";
import { clusterSpec } from "../cluster/spec";
import { ApiEndpoint } from "../infra/api-endpoint";
import { Machines } from "../infra/machines";
import { Network } from "../infra/network";
import { Pki } from "../infra/pki";
import { awsProvider } from "../infra/provider";
import { SecurityGroups } from "../infra/security-groups";
import { readConfig } from "./config";
import { continueFrom, formerCluster } from "./former";
import { outputs } from "./outputs";

export = async (): Promise<ReturnType<typeof outputs>> => {
  const config = readConfig();
  const spec = clusterSpec(config);
  const former = await formerCluster();
  const { generation, access, settings, restarts } = continueFrom(former, config, spec);
  const provider = awsProvider({
    region: spec.region,
    endpoint: spec.awsEndpoint,
    tags: { project: pulumi.getProject(), stack: pulumi.getStack(), cluster: spec.clusterName },
  });

  const network = new Network("network", { spec }, { provider });
  const securityGroups = new SecurityGroups("security-groups", { spec, network }, { provider });
  const pki = new Pki("pki", { spec, elasticIp: network.elasticIp.publicIp, encryptionKey: config.encryptionKey });
  const machines = new Machines(
    "machines",
    { spec, network, securityGroups, sshKey: config.sshKey, generation, restarts },
    { provider },
  );
  const endpoint = new ApiEndpoint("api-endpoint", { spec, network, securityGroups, machines }, { provider });
  const bootstrap = new Bootstrap("bootstrap", { spec, machines, pki, access }, { dependsOn: securityGroups });

  return outputs({ machines, pki, endpoint, bootstrap, settings, generation: generation.number });
};
