/** The gateway of each VPC, a web server for two directories of the host. */
import { Appliance } from "./appliance";
import { gatewayOf } from "./addresses";
import { Vpc } from "./model";

/** Port of the web server at every VPC's gateway address. */
export const gatewayPort = 8080;

/**
 * A web server at the VPC's gateway address. It serves the files below `releasesDir` under their paths, and below /v2/
 * the container images in `registryDir`.
 *
 * It runs in the host's network, because the gateway's address is the host's, and listens on that address only. Images
 * can be pulled but not pushed: manifests and blobs are plain files at the paths that the OCI distribution API uses.
 *
 * @param directory host directory that contains nginx.conf, see renderGateway
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
    listen ${gatewayOf(vpc.cidr)}:${gatewayPort};
    root /srv/releases;
    location = /v2/ { default_type application/json; return 200 "{}"; }
    location /v2/ { root /srv/registry; }
    location ~ ^/v2/.+/manifests/ { root /srv/registry; default_type application/vnd.oci.image.manifest.v1+json; }
  }
}
`;
}
