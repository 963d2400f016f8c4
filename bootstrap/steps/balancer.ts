/** HAProxy on a dedicated machine, in front of the API servers, as in the series. */
import { fileFrom } from "../files";
import { defineStep, theBalancer } from "../step";
import { machine } from "./machine";

export const balancer = defineStep({
  name: "balancer",
  title: "The load balancer",
  stage: "control-plane",
  on: theBalancer,
  work: (spec, balancer) => ({
    files: [
      fileFrom("configs/haproxy.cfg", "/etc/haproxy/kubernetes.cfg", {
        SERVERS: spec.controllers.map(({ name, privateIp }) => `  server ${name} ${privateIp}:6443`).join("\n"),
      }),
    ],
    secrets: [{ path: "/etc/haproxy/kubernetes-ca.pem", mode: "0644", source: "kubernetes-ca/cert" }],
    after: [machine.at(balancer)],
  }),
});
