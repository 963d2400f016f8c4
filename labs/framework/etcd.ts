/** etcd, queried on its own machine with its own certificates. The class `Etcd` only reads. */
import { quote } from "../../lib/quote";
import type { Nodes } from "./nodes";

const files = "--cacert=/etc/etcd/etcd-ca.pem --cert=/etc/etcd/etcd.pem --key=/etc/etcd/etcd-key.pem";

/** The command as a reader would type it on a controller. */
export const etcdctl = (arguments_: string, endpoint = "https://127.0.0.1:2379"): string =>
  `etcdctl --endpoints=${endpoint} ${files} ${arguments_}`;

/** A value in etcd, with the revisions that etcd records for it. */
export interface EtcdEntry {
  readonly key: string;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  /** How many times the key has been written, including its creation. */
  readonly version: number;
}

interface RangeAnswer {
  readonly header: { readonly revision: number };
  readonly kvs?: readonly {
    key: string;
    value?: string;
    create_revision: number;
    mod_revision: number;
    version: number;
  }[];
  readonly count?: number;
}

export class Etcd {
  constructor(
    private readonly nodes: Nodes,
    /** Machine that runs the member. */
    readonly member: string,
  ) {}

  /** The entry, or undefined if the key does not exist. */
  async get(key: string): Promise<EtcdEntry | undefined> {
    const answer = await this.json<RangeAnswer>(`get ${quote(key)} -w json`);
    const kv = answer.kvs?.[0];
    if (!kv) return undefined;
    return {
      key,
      value: Buffer.from(kv.value ?? "", "base64"),
      createRevision: kv.create_revision,
      modRevision: kv.mod_revision,
      version: kv.version,
    };
  }

  /** The entries below a prefix, as readable text. */
  async values(prefix: string): Promise<Readonly<Record<string, string>>> {
    const answer = await this.json<RangeAnswer>(`get ${quote(prefix)} --prefix -w json`);
    const decoded = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64");
    return Object.fromEntries(
      (answer.kvs ?? []).map((kv) => [decoded(kv.key).toString("utf8"), printable(decoded(kv.value))]),
    );
  }

  /** Keys below a prefix. */
  async keys(prefix: string): Promise<string[]> {
    const answer = await this.json<RangeAnswer>(`get ${quote(prefix)} --prefix --keys-only -w json`);
    return (answer.kvs ?? []).map((kv) => Buffer.from(kv.key, "base64").toString("utf8"));
  }

  /** Version of the member, such as 3.6.16. */
  async version(): Promise<string | undefined> {
    const [status] = await this.json<{ Status: { version: string } }[]>("endpoint status -w json");
    return status?.Status.version;
  }

  /** What etcdctl prints, given arguments that include `-w json`. */
  async json<T>(arguments_: string, endpoint?: string): Promise<T> {
    return JSON.parse(await this.nodes.output(this.member, etcdctl(arguments_, endpoint))) as T;
  }
}

/** Bytes as readable text: whatever cannot be printed becomes a dot, as in the right column of hexdump -C. */
export const printable = (bytes: Buffer): string => bytes.toString("latin1").replace(/[^\x20-\x7e]/g, ".");

/** Where the API server keeps an object: /registry/<plural>/<namespace>/<name>, with the group for a few kinds. */
export const registryKey = (...parts: readonly string[]): string => `/registry/${parts.join("/")}`;

/**
 * Group, version and kind of a value that the API server stored as protobuf: the bytes `k8s\0`, then a
 * runtime.Unknown whose first field is a TypeMeta {1: apiVersion, 2: kind}.
 * https://github.com/kubernetes/apimachinery/blob/master/pkg/runtime/generated.proto
 * @throws Error if the value has a different form.
 */
export function storedType(value: Buffer): { apiVersion: string; kind: string } {
  if (value.subarray(0, 4).toString("latin1") !== "k8s\0")
    throw new Error(
      `the value does not start with k8s\\0 but with ${JSON.stringify(value.subarray(0, 12).toString("latin1"))}`,
    );
  const typeMeta = lengthDelimited(value, 4, 1);
  const apiVersion = lengthDelimited(typeMeta.bytes, 0, 1);
  const kind = lengthDelimited(typeMeta.bytes, apiVersion.end, 2);
  return { apiVersion: apiVersion.bytes.toString("utf8"), kind: kind.bytes.toString("utf8") };
}

/** A length-delimited protobuf field of this number at this offset. */
function lengthDelimited(buffer: Buffer, offset: number, field: number): { bytes: Buffer; end: number } {
  if (buffer[offset] !== ((field << 3) | 2)) throw new Error(`field ${field} is not at offset ${offset}`);
  let length = 0;
  let at = offset + 1;
  for (let shift = 0; ; shift += 7) {
    const byte = buffer[at++] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return { bytes: buffer.subarray(at, at + length), end: at + length };
}
