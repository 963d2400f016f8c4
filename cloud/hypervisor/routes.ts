/** The routing table of each VPC on the host. */
import { createHash } from "node:crypto";
import { run } from "../../lib/run";
import { Cloud, bridgePrefix } from "../names";
import { Route } from "./model";

/** Priority of the rules that select a VPC's routing table; the main table's is 32766, and lower numbers come first. */
const PRIORITY = 15_000;

/** Number of a VPC's routing table. Each VPC has its own, so that two of them can route the same block differently. */
export function tableOf(vpcId: string): number {
  return 100_000 + (createHash("sha256").update(vpcId).digest().readUInt32BE() % 1_000_000_000);
}

/** Commands for `ip -batch` that turn a table's present routes into the wanted ones; empty if they are the same. */
export function renderRoutes(
  table: number,
  bridge: string,
  present: readonly Route[],
  wanted: readonly Route[],
): string {
  const key = (route: Route): string => `${route.destination} via ${route.via}`;
  const now = new Set(present.map(key));
  const destinations = new Set(wanted.map(({ destination }) => destination));
  const removed = present.filter(({ destination }) => !destinations.has(destination));
  return [
    ...removed.map((route) => `route del ${route.destination} table ${table}`),
    ...wanted
      .filter((route) => !now.has(key(route)))
      .map((route) => `route replace ${key(route)} dev ${bridge} table ${table}`),
  ]
    .map((line) => `${line}\n`)
    .join("");
}

/** Makes the host use the VPC's table for packets from the VPC's bridge, and brings that table up to date. */
export async function applyRoutes(vpcId: string, bridge: string, wanted: readonly Route[]): Promise<void> {
  const table = tableOf(vpcId);
  const rules = JSON.parse((await run("ip", ["-4", "-json", "rule"])) || "[]") as { table?: string; iif?: string }[];
  if (!rules.some((rule) => rule.table === String(table) && rule.iif === bridge)) {
    await run("ip", ["-4", "rule", "add", "iif", bridge, "lookup", String(table), "priority", String(PRIORITY)]);
  }
  const batch = renderRoutes(table, bridge, await presentRoutes(table), wanted);
  if (batch) await run("ip", ["-4", "-batch", "-"], { input: batch });
}

/** Removes what applyRoutes added. Routes disappear with the bridge, but the rule does not. */
export async function removeRoutes(vpcId: string): Promise<void> {
  const table = String(tableOf(vpcId));
  const rules = JSON.parse((await run("ip", ["-4", "-json", "rule"])) || "[]") as { table?: string }[];
  for (const rule of rules.filter((rule) => rule.table === table)) {
    await run("ip", ["-4", "rule", "del", "lookup", rule.table!, "priority", String(PRIORITY)]);
  }
}

/** Removes the rules of every VPC of a cloud, also of one whose network somebody has removed. */
export async function removeRules(cloud: Cloud): Promise<void> {
  const rules = JSON.parse((await run("ip", ["-4", "-json", "rule"])) || "[]") as { iif?: string; table?: string }[];
  for (const { iif = "", table } of rules)
    if (iif.startsWith(bridgePrefix(cloud)) && table !== undefined)
      await run("ip", ["-4", "rule", "del", "iif", iif, "lookup", table, "priority", String(PRIORITY)]);
}

async function presentRoutes(table: number): Promise<Route[]> {
  // A table without routes does not exist, and `ip route show table` fails for it. Hence "all", filtered here.
  const text = await run("ip", ["-4", "-json", "route", "show", "table", "all"]);
  const routes = JSON.parse(text || "[]") as { dst: string; gateway?: string; table?: string }[];
  return routes
    .filter((route) => route.table === String(table))
    .map((route) => ({ destination: route.dst, via: route.gateway ?? "" }));
}
