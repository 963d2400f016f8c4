/** HAProxy's configuration for a load balancer node, and its statistics. */
import { describe, expect, it } from "vitest";
import { LoadBalancer } from "../../../cloud/hypervisor/model";
import { balancerNames, parseStat, renderBalancer } from "../../../cloud/hypervisor/load-balancer";

const balancer: LoadBalancer = {
  arn: "arn:aws:elasticloadbalancing:ap-southeast-1:123456789012:loadbalancer/net/api/0123456789abcdef",
  name: "api",
  dnsName: "api-0123456789abcdef.elb.ap-southeast-1.amazonaws.com",
  vpcId: "vpc-1",
  groups: ["sg-1"],
  crossZone: true,
  nodes: [
    { subnetId: "subnet-a", zone: "ap-southeast-1a", address: "10.0.1.10" },
    { subnetId: "subnet-b", zone: "ap-southeast-1b", address: "10.0.2.10" },
  ],
  listeners: [
    {
      port: 8443,
      targetGroup: {
        arn: "arn:tg",
        name: "backend",
        healthCheck: {
          ...{ protocol: "HTTPS", port: "traffic-port", path: "/health", interval: 10, timeout: 5 },
          ...{ unhealthy: 2, matcher: "200" },
        },
        targets: [
          { id: "i-0", address: "10.0.1.11", port: 8443, zone: "ap-southeast-1a" },
          { id: "i-1", address: "10.0.2.12", port: 8443, zone: "ap-southeast-1b" },
        ],
      },
    },
  ],
};

describe("a load balancer's node", () => {
  it("forwards to every target, with the target group's health check", () => {
    expect(renderBalancer(balancer, balancer.nodes[0]!)).toMatchInlineSnapshot(`
      "global
        log stdout format raw local0 notice
        stats socket /run/haproxy.sock mode 600 level admin
        maxconn 4000
        hard-stop-after 350s
      defaults
        mode tcp
        timeout connect 5s
        # A network load balancer forgets a connection that was idle for 350 seconds.
        timeout client 350s
        timeout server 350s
        retries 0
      frontend listener-8443
        bind 10.0.1.10:8443
        default_backend backend-8443
      backend backend-8443
        balance roundrobin
        timeout check 5s
        option httpchk GET /health
        http-check expect status 200
        server i-0 10.0.1.11:8443 check check-ssl verify none inter 10s downinter 1s fall 2 rise 1 on-marked-down shutdown-sessions
        server i-1 10.0.2.12:8443 check check-ssl verify none inter 10s downinter 1s fall 2 rise 1 on-marked-down shutdown-sessions
      "
    `);
  });

  it("forwards only to targets in its zone, unless cross-zone balancing is on", () => {
    const text = renderBalancer({ ...balancer, crossZone: false }, balancer.nodes[1]!);
    expect(text).toContain("i-1");
    expect(text).not.toContain("i-0 ");
  });
});

describe("HAProxy's statistics", () => {
  it("show which servers are healthy, unhealthy or not yet checked", () => {
    const csv = `# pxname,svname,status,check_status
listener-8443,FRONTEND,OPEN,
backend-8443,i-0,UP,L7OK
backend-8443,i-1,DOWN,L4CON
backend-8443,i-2,UP,INI
backend-8443,BACKEND,UP,

`;
    expect(parseStat(csv).map(({ server, state }) => `${server} ${state}`)).toEqual([
      "i-0 healthy",
      "i-1 unhealthy",
      "i-2 initial",
    ]);
    expect(parseStat("")).toEqual([]);
  });
});

describe("a load balancer's name", () => {
  it("resolves to the nodes with a healthy target, or to all nodes if there are none", () => {
    const addresses = (healthy: string[]): readonly string[] =>
      balancerNames([balancer], new Set(healthy))[0]!.addresses;
    expect(addresses(["10.0.2.10"])).toEqual(["10.0.2.10"]);
    expect(addresses([])).toEqual(["10.0.1.10", "10.0.2.10"]);
  });
});
