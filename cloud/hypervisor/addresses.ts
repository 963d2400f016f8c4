/** The addresses and domain names that AWS reserves in a VPC. */
import ipaddr from "ipaddr.js";

/** The address at an offset from the start of a block: "10.1.0.0/16" and 2 give "10.1.0.2". */
export function addressIn(cidr: string, offset: number): string {
  const [address] = ipaddr.IPv4.parseCIDR(cidr);
  const number = address.octets.reduce((sum, octet) => sum * 256 + octet, 0) + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** Address of a VPC's router. */
export function gatewayOf(cidr: string): string {
  return addressIn(cidr, 1);
}

/** Address of a VPC's resolver. */
export function resolverOf(cidr: string): string {
  return addressIn(cidr, 2);
}

/** Domain of the private host names in a region. */
export function privateDomain(region: string): string {
  return region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`;
}
