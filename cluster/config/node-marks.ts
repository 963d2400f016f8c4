/** Reads nodeLabels and nodeTaints, which are by node; some may be those of every worker. */
import { allWorkers, type Taint, taintEffects } from "../shape";
import { didYouMean } from "./did-you-mean";
import { json, Problem } from "./problem";

/** A DNS label: RFC 1123, section 2.1. */
export const isLabel = (text: string): boolean => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text);

/** Labels or taints by the name of a node, or of all workers. */
export type Marks<T> = Readonly<Record<string, T>>;

/** @param what a label or a taint. @throws Problem unless the key is that of a label. */
function checkKey(key: string, what: string): void {
  const [name = "", prefix] = key.split("/").reverse();
  if (!/^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(name) || key.split("/").length > 2)
    throw new Problem(`has "${key}", which is not a valid ${what} key.`, "Write it like example.org/disk or tier.");
  if (prefix !== undefined && !prefix.split(".").every(isLabel))
    throw new Problem(`has "${key}", whose prefix is not a DNS name.`, "Write it like example.org/disk.");
  if (prefix && /(^|\.)(kubernetes|k8s)\.io$/.test(prefix))
    throw new Problem(`sets ${key}, a ${what} that is reserved for Kubernetes.`, "Use your own prefix.");
}

function checkValue(key: string, value: string, what: string): void {
  if (!/^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/.test(value))
    throw new Problem(
      `gives ${key} the value "${value}", which is not a valid ${what} value.`,
      "Use at most 63 letters, digits, hyphens and dots.",
    );
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads labels: those beside the nodes' names are for every worker, as in {tier: web, worker-1: {disk: ssd}}. @throws Problem */
export function nodeLabels(text: string): Marks<Record<string, string>> {
  const marks: Record<string, Record<string, string>> = {};
  const add = (node: string, key: string, value: unknown): void => {
    checkKey(key, "label");
    checkValue(key, String(value), "label");
    marks[node] = { ...marks[node], [key]: String(value) };
  };
  for (const [key, value] of Object.entries(json(text)))
    if (isMap(value)) for (const [label, its] of Object.entries(value)) add(key, label, its);
    else add(allWorkers, key, value);
  return marks;
}

/** Reads taints, in the notation of kubectl. @throws Problem */
export function nodeTaints(text: string): Marks<Taint[]> {
  const example = "pulumi config set --path 'nodeTaints.worker-1[0]' dedicated=lab:NoSchedule";
  return Object.fromEntries(
    Object.entries(json(text)).map(([node, list]) => {
      if (!Array.isArray(list)) throw new Problem(`does not give ${node} a list of taints.`, `Write: ${example}`);
      const taints = list.map(taint);
      const twice = taints.find(({ key, effect }, index) =>
        taints.some((other, before) => before < index && other.key === key && other.effect === effect),
      );
      if (twice)
        throw new Problem(`gives ${node} the taint ${twice.key}:${twice.effect} twice.`, "Remove one of them.");
      return [node, taints];
    }),
  );
}

function taint(text: unknown): Taint {
  const [, key = "", value = "", effect = ""] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(String(text)) ?? [];
  if (key === "")
    throw new Problem(
      `has "${String(text)}", which is not a taint.`,
      "Write it like dedicated=lab:NoSchedule, as for kubectl taint.",
    );
  checkKey(key, "taint");
  checkValue(key, value, "taint");
  const known = taintEffects.find((candidate) => candidate === effect);
  if (!known)
    throw new Problem(
      `gives ${key} the effect ${effect}.`,
      `Choose ${taintEffects.join(", ")}.${didYouMean(effect, taintEffects)}`,
    );
  return { key, value, effect: known };
}
