/** The container of a machine, and the cloud-init data that it boots with. */
import type Docker from "dockerode";
import { pack } from "tar-stream";
import { BOOT_PROGRAM } from "../images";
import { Cloud, LABEL, nameOf, ownerLabels } from "../names";
import { privateDomain, resolverOf } from "./addresses";
import { Instance, Vpc } from "./model";

/** What a machine may use of its host. */
export interface Size {
  readonly cpus: number;
  readonly memoryMiB: number;
}

/** Its size in the engine's terms. Machines have no swap. */
export const limits = ({
  cpus,
  memoryMiB,
}: Size): Required<Pick<Docker.HostConfig, "NanoCpus" | "Memory" | "MemorySwap">> => ({
  NanoCpus: cpus * 1e9,
  Memory: memoryMiB * 2 ** 20,
  MemorySwap: memoryMiB * 2 ** 20,
});

/** What a machine consists of, apart from the instance itself. */
export interface MachineParts {
  readonly cloud: Cloud;
  readonly vpc: Vpc;
  readonly network: string;
  readonly image: string;
  readonly size: Size;
  /** The Linux capabilities that it gets. */
  readonly capabilities: readonly string[];
  readonly cgroupV1: boolean;
  /** Host directories mounted read-only: path on the host -> path in the machine. */
  readonly readOnly: Readonly<Record<string, string>>;
}

/** The container of a machine: an init system in its own namespaces, with /var on a volume. */
export function machineContainer(instance: Instance, parts: MachineParts): Docker.ContainerCreateOptions {
  const { cloud, vpc } = parts;
  // @types/dockerode does not know CgroupnsMode (engine API 1.41).
  const hostConfig: Docker.HostConfig & { CgroupnsMode: "private" } = {
    // Not "privileged", which fails if the host itself lacks a capability; see capabilitiesOf.
    CapAdd: [...parts.capabilities],
    SecurityOpt: ["seccomp=unconfined", "apparmor=unconfined"],
    MaskedPaths: [], // an init system sets the kernel parameters of its namespaces in /proc/sys
    ReadonlyPaths: [],
    DeviceCgroupRules: ["a *:* rwm"],
    CgroupnsMode: "private",
    Tmpfs: { "/run": "exec", "/run/lock": "" },
    Binds: [
      `${nameOf(cloud, "var", instance.id)}:/var`,
      ...Object.entries(parts.readOnly).map(([host, machine]) => `${host}:${machine}:ro`),
    ],
    ...limits(parts.size),
    LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
  };
  return {
    name: nameOf(cloud, "machine", instance.id),
    Image: parts.image,
    Hostname: instance.dnsName.split(".")[0],
    Entrypoint: [BOOT_PROGRAM],
    Env: [
      `VPC_RESOLVER=${resolverOf(vpc.cidr)}`,
      `VPC_DOMAIN=${privateDomain(vpc.region)}`,
      // systemd 256 and later refuse to run on cgroup v1 without these two settings.
      ...(parts.cgroupV1
        ? ["SYSTEMD_PROC_CMDLINE=systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]
        : []),
    ],
    Labels: { ...ownerLabels(cloud), [LABEL.kind]: "machine", [LABEL.id]: instance.id, [LABEL.vpc]: vpc.id },
    StopSignal: "SIGRTMIN+3", // systemd: halt
    HostConfig: hostConfig,
    NetworkingConfig: {
      EndpointsConfig: { [parts.network]: { IPAMConfig: { IPv4Address: instance.privateIp } } },
    },
  };
}

/** The data source of cloud-init (NoCloud), as a tar archive to unpack in /var/lib. */
export async function seed(instance: Instance, userData: Buffer, publicKey: string | undefined): Promise<Buffer> {
  const metaData = {
    "instance-id": instance.id,
    "local-hostname": instance.dnsName,
    "availability-zone": instance.zone,
    "public-keys": publicKey ? [publicKey] : [],
  };
  const tar = pack();
  const mode = 0o600; // user data may contain secrets
  tar.entry({ name: "cloud/seed/nocloud/meta-data", mode }, JSON.stringify(metaData));
  tar.entry({ name: "cloud/seed/nocloud/user-data", mode }, userData);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The names of Linux capabilities, in the order of their bits (linux/capability.h). */
const CAPABILITIES = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split(" ");

/** Capabilities that reach beyond the machine to the host: its kernel modules, clock, raw memory and kernel tracing. */
const WITHHELD = new Set(["SYS_MODULE", "SYS_TIME", "SYS_RAWIO", "PERFMON", "BPF", "CHECKPOINT_RESTORE"]);

/** The capabilities that a machine gets: the bounding set in the text of /proc/self/status, without those withheld. */
export function capabilitiesOf(status: string): string[] {
  const bits = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return CAPABILITIES.filter((name, bit) => (bits >> BigInt(bit)) & 1n && !WITHHELD.has(name));
}
