/** The stack's outputs for the user and the tools: how to reach the cluster, and what it consists of. */
import * as pulumi from "@pulumi/pulumi";
import type { Bootstrap } from "../bootstrap/remote";
import type { Settings } from "../cluster/config/changes";
import type { ApiEndpoint } from "../infra/api-endpoint";
import { sshUser } from "../cluster/shape";
import type { Machines } from "../infra/machines";
import type { Pki } from "../infra/pki";

export interface OutputsArgs {
  readonly machines: Machines;
  readonly pki: Pki;
  readonly endpoint: ApiEndpoint;
  readonly bootstrap: Bootstrap;
  readonly settings: Settings;
  readonly generation: string;
}

/** One host of the SSH configuration. */
export interface SshHost {
  readonly name: string;
  readonly address: string;
  /** Public host key in OpenSSH's one-line form. */
  readonly hostKey: string;
}

/** An ssh_config(5) for `ssh -F ssh_config controller-0`; `id` and `known_hosts` are in the same directory. */
export const renderSshConfig = (hosts: readonly SshHost[]): string =>
  hosts
    .map(
      ({ name, address }) => `Host ${name}
  HostName ${address}
  HostKeyAlias ${name}
  User ${sshUser}
  IdentityFile id
  IdentitiesOnly yes
  UserKnownHostsFile known_hosts
  StrictHostKeyChecking yes
`,
    )
    .join("\n");

/** The known_hosts file beside it. Host keys are pinned to machine names, because addresses may change. */
export const renderKnownHosts = (hosts: readonly SshHost[]): string =>
  hosts.map(({ name, hostKey }) => `${name} ${hostKey}\n`).join("");

/** The stack's outputs. */
export function outputs({ machines, pki, endpoint, bootstrap, settings, generation }: OutputsArgs) {
  const hosts = pulumi.all(
    machines.all.map(({ machine, sshHost, hostKey }) =>
      pulumi
        .all([sshHost, hostKey])
        .apply(([address, key]): SshHost => ({ name: machine.name, address, hostKey: key })),
    ),
  );
  return {
    /** Kubeconfig of the administrator, whom RBAC lets do everything. */
    kubeconfig: pki.administratorKubeconfig("admin", endpoint.url),
    /** Kubeconfig for emergencies: of system:masters, who may do everything whatever RBAC says. */
    superAdminKubeconfig: pki.administratorKubeconfig("super-admin", endpoint.url),
    apiEndpoint: endpoint.url,
    nodes: machines.all.map(({ machine, instance, publicIp }) => ({
      name: machine.name,
      role: machine.role,
      zone: instance.availabilityZone,
      privateIp: machine.privateIp,
      publicIp,
      instanceId: instance.id,
      podCidr: machine.podCidr,
    })),
    sshConfig: hosts.apply(renderSshConfig),
    sshKnownHosts: hosts.apply(renderKnownHosts),
    sshPrivateKey: machines.privateKey,
    /** When each certificate expires. */
    certificateExpiry: pki.expiry,
    /** The line with which each step of the bootstrap proved that it worked. */
    proofs: bootstrap.proofs,
    /** What this update was configured with, without secrets. The next one compares itself with it. */
    settings,
    /** Changes if every machine is replaced at its owner's insistence. */
    generation,
  };
}
