import ipaddr from "ipaddr.js";

/** The address at a distance from the start of a block, "10.1.0.0/16" and 2 -> "10.1.0.2". */
export function addressIn(cidr: string, distance: number): string {
  const [address] = ipaddr.IPv4.parseCIDR(cidr);
  const number = address.octets.reduce((sum, octet) => sum * 256 + octet, 0) + distance;
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** Where a VPC's own services are, as on AWS: its router and its resolver. */
export function gatewayOf(cidr: string): string {
  return addressIn(cidr, 1);
}
export function resolverOf(cidr: string): string {
  return addressIn(cidr, 2);
}

/** Domain of the machines' private names in a region. */
export function privateDomain(region: string): string {
  return region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`;
}
