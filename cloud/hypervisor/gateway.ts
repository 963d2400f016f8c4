import { Appliance } from "./appliance";
import { gatewayOf } from "./addresses";
import { Vpc } from "./model";

/** Port of the mirror on every VPC's gateway address. */
export const MIRROR_PORT = 8080;

/**
 * The mirror of a VPC, at the gateway's address: release files under /<host>/<path>, images under /v2/.
 *
 * It runs in the host's network, as the gateway's address is the host's, and listens on that address only. Both trees are
 * plain files, so that downloads cost a sendfile and nothing else. The registry is for pulling: manifests and blobs lie at
 * the paths that the distribution API asks for.
 *
 * @param directory directory of the host that holds the configuration, see renderGateway
 */
export function gateway(
  vpc: Vpc,
  directory: string,
  releasesDir: string | undefined,
  registryDir: string | undefined,
): Appliance {
  return {
    kind: "gateway",
    id: vpc.id,
    vpcId: vpc.id,
    address: undefined,
    readOnly: {
      [directory]: "/etc/gateway",
      ...(releasesDir ? { [releasesDir]: "/srv/releases" } : {}),
      ...(registryDir ? { [registryDir]: "/srv/registry" } : {}),
    },
    command: ["nginx", "-c", "/etc/gateway/nginx.conf", "-e", "stderr"],
  };
}

/** Configuration of the gateway's nginx. */
export function renderGateway(vpc: Vpc): string {
  return `daemon off;
user root;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  server_tokens off;
  types { }
  default_type application/octet-stream;
  server {
    listen ${gatewayOf(vpc.cidr)}:${MIRROR_PORT};
    root /srv/releases;
    location = /v2/ { default_type application/json; return 200 "{}"; }
    location /v2/ { root /srv/registry; }
    location ~ ^/v2/.+/manifests/ { root /srv/registry; default_type application/vnd.oci.image.manifest.v1+json; }
  }
}
`;
}
