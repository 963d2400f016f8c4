/** The cluster as a picture: zones, machines, addresses, pod networks, and the path of a request. Pure. */
import { html, type Html } from "./html";
import type { Report, ReportNode } from "./model";

const card = { width: 216, height: 104, gap: 20 };
const margin = 24;
const header = 92;

/** Inline SVG. Colours come from the page's CSS variables, so it follows light and dark mode. */
export function topology({ cluster, apiEndpoint, nodes }: Report): Html {
  const zones = [...new Set(nodes.map((n) => n.zone))].sort();
  const inZone = (zone: string) => nodes.filter((n) => n.zone === zone);
  const columns = zones.map((zone) =>
    Math.max(
      1,
      ...(["control-plane", "worker"] as const).map((role) => inZone(zone).filter((n) => n.role === role).length),
    ),
  );
  const zoneWidth = (i: number): number => columns[i]! * (card.width + card.gap) + card.gap;
  const zoneX = (i: number): number => margin + columns.slice(0, i).reduce((x, _, j) => x + zoneWidth(j) + card.gap, 0);
  const width = zoneX(zones.length - 1) + zoneWidth(zones.length - 1) + margin;
  const rows = { "control-plane": header + 56, worker: header + 56 + card.height + 56 };
  const zoneHeight = rows.worker + card.height + card.gap - header;
  const height = header + zoneHeight + margin;
  const controllers = nodes.filter((n) => n.role === "control-plane");
  const workers = nodes.filter((n) => n.role === "worker");

  const place = (node: ReportNode): { x: number; y: number } => {
    const row = inZone(node.zone).filter((n) => n.role === node.role);
    const zone = zones.indexOf(node.zone);
    const indent = (zoneWidth(zone) - row.length * (card.width + card.gap) + card.gap) / 2;
    return { x: zoneX(zone) + indent + row.indexOf(node) * (card.width + card.gap), y: rows[node.role] };
  };
  const line = (x1: number, y1: number, x2: number, y2: number, kind: string): Html =>
    html`<path class="wire ${kind}" d="M${x1},${y1} C${x1},${(y1 + y2) / 2} ${x2},${(y1 + y2) / 2} ${x2},${y2}" />`;
  const middle = (node: ReportNode): number => place(node).x + card.width / 2;

  return html`<svg
    class="topology"
    viewBox="0 0 ${width} ${height}"
    style="max-width:${Math.max(width, 560)}px"
    role="img"
    aria-labelledby="topology-title topology-text"
  >
    <title id="topology-title">Topology of cluster ${cluster}</title>
    <desc id="topology-text">
      ${nodes.map((n) => `${n.name}, ${n.role}, ${n.address} in ${n.zone}, pods ${n.podCidr}`).join("; ")}. The API is
      at ${apiEndpoint}.
    </desc>
    ${zones.map(
      (zone, i) =>
        html`<g
          ><rect class="zone" x="${zoneX(i)}" y="${header}" width="${zoneWidth(i)}" height="${zoneHeight}" rx="10" />
          <text class="label" x="${zoneX(i) + 14}" y="${header + 24}">${zone}</text></g
        >`,
    )}
    ${controllers.map((n) => line(width / 2, 62, middle(n), place(n).y, "request"))}
    ${controllers.flatMap((c) => workers.map((w) => line(middle(c), place(c).y + card.height, middle(w), place(w).y, "watch")))}
    <g>
      <rect class="endpoint" x="${width / 2 - 180}" y="16" width="360" height="46" rx="23" />
      <text class="strong center" x="${width / 2}" y="35">Kubernetes API</text>
      <text class="mono center" x="${width / 2}" y="52">${apiEndpoint}</text>
    </g>
    ${nodes.map((n) => machine(n, place(n)))}
  </svg>`;
}

function machine(node: ReportNode, { x, y }: { x: number; y: number }): Html {
  const runs = node.role === "control-plane" ? "etcd · API server · scheduler" : "kubelet · kube-proxy · containerd";
  return html`<g transform="translate(${x},${y})"
    ><rect class="machine ${node.role}" width="${card.width}" height="${card.height}" rx="8" />
    <circle class="${node.ready ? "ready" : "not-ready"}" cx="${card.width - 18}" cy="20" r="6"
      ><title>${node.ready ? "Ready" : "NotReady"}</title></circle
    >
    <text class="strong" x="14" y="26">${node.name}</text>
    <text class="mono" x="14" y="48">${node.address}</text>
    <text class="mono soft" x="14" y="67">pods ${node.podCidr}</text>
    <text class="small soft" x="14" y="89">${runs}</text></g
  >`;
}
