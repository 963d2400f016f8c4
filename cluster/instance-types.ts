/** What the name of an EC2 instance type reveals by itself. https://docs.aws.amazon.com/ec2/latest/instancetypes/ */

export type Architecture = "amd64" | "arm64";

interface TypeName {
  /** Letters before the generation: t, m, c, r, im. */
  readonly family: string;
  readonly generation: number;
  /** Letters after it: g = Graviton, a = AMD, d = local disk, n = network. */
  readonly options: string;
  readonly size: string;
}

/** Sizes in order of vCPUs; an n-fold xlarge has 4n. */
function parse(type: string): TypeName | undefined {
  const match = /^([a-z]+)(\d+)([a-z-]*)\.(nano|micro|small|medium|large|xlarge|\d+xlarge|metal(?:-\d+xl)?)$/.exec(
    type,
  );
  if (!match) return undefined;
  const [, family = "", generation = "", options = "", size = ""] = match;
  return { family, generation: Number(generation), options, size };
}

/** Architecture of an instance type such as t3.medium; undefined if it is not a type of either. */
export function architecture(type: string): Architecture | undefined {
  const name = parse(type);
  if (!name || name.family === "mac") return undefined;
  return name.options.includes("g") || (name.family === "a" && name.generation === 1) ? "arm64" : "amd64";
}

export interface Capacity {
  readonly cpu: number;
  readonly memoryMiB: number;
}

/** Memory per vCPU, in GiB, of the families with regular sizes. */
const memoryPerCpu: Readonly<Record<string, number>> = { c: 2, m: 4, r: 8, x: 16, i: 8 };
const burstableMemory: Readonly<Record<string, number>> = { nano: 0.5, micro: 1, small: 2, medium: 4, large: 8 };

/** vCPUs and memory of an instance type of the common families; undefined if its name does not reveal them. */
export function capacity(type: string): Capacity | undefined {
  const name = parse(type);
  if (!name || name.size.startsWith("metal")) return undefined;
  const { family, generation, options, size } = name;
  const xlarge = size === "xlarge" ? 1 : Number(/^(\d+)xlarge$/.exec(size)?.[1] ?? 0);
  if (family === "t") {
    const small = generation === 2 && ["nano", "micro", "small"].includes(size);
    return {
      cpu: xlarge ? xlarge * 4 : small ? 1 : 2,
      memoryMiB: 1024 * (xlarge ? xlarge * 16 : (burstableMemory[size] ?? 0)),
    };
  }
  const perCpu = memoryPerCpu[family];
  if (perCpu === undefined || generation < 5 || options.includes("e")) return undefined;
  const cpu = xlarge ? xlarge * 4 : size === "large" ? 2 : size === "medium" ? 1 : undefined;
  return cpu === undefined ? undefined : { cpu, memoryMiB: cpu * perCpu * 1024 };
}

/** Whether a type has less than a Kubernetes node needs: 2 vCPUs and 2 GiB of memory. */
export function tooSmall(type: string): boolean {
  const name = parse(type);
  if (!name) return false;
  const known = capacity(type);
  if (known) return known.cpu < 2 || known.memoryMiB < 2048;
  return ["nano", "micro", "small", "medium"].includes(name.size);
}
