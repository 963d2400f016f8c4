/** Arithmetic on IPv4 networks. Addresses are text in the interface and numbers internally. */
import ipaddr from "ipaddr.js";

/** An IPv4 network: its first address as a number, and its prefix length. */
export interface Cidr {
  readonly base: number;
  readonly prefix: number;
}

const toNumber = (address: ipaddr.IPv4): number =>
  address.toByteArray().reduce((value, octet) => value * 256 + octet, 0);

const toText = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");

/** Number of addresses in a network. */
export const size = (cidr: Cidr): number => 2 ** (32 - cidr.prefix);

/**
 * Reads a network in the form 10.0.0.0/16.
 * @returns the network, or what is wrong with the text.
 */
export function parseCidr(text: string): Cidr | string {
  if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(text)) return `"${text}" is not an IPv4 network such as 10.0.0.0/16`;
  const [address, prefix] = ipaddr.IPv4.parseCIDR(text);
  const network = ipaddr.IPv4.networkAddressFromCIDR(text).toString();
  if (address.toString() !== network) return `"${text}" has host bits set; the network is ${network}/${prefix}`;
  return { base: toNumber(address), prefix };
}

/** Reads a network that is known to be well-formed. @throws if it is not. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

export const formatCidr = ({ base, prefix }: Cidr): string => `${toText(base)}/${prefix}`;

/** The nth address of a network, from 0. */
export function nthAddress(network: Cidr, n: number): string {
  if (n < 0 || n >= size(network)) throw new RangeError(`${formatCidr(network)} has no address number ${n}`);
  return toText(network.base + n);
}

/** The nth sub-network of the given prefix length, from 0. */
export function nthSubnet(network: Cidr, prefix: number, n: number): Cidr {
  if (n < 0 || n >= countSubnets(network, prefix))
    throw new RangeError(`${formatCidr(network)} has no /${prefix} number ${n}`);
  return { base: network.base + n * 2 ** (32 - prefix), prefix };
}

/** How many sub-networks of the given prefix length fit. */
export const countSubnets = (network: Cidr, prefix: number): number =>
  prefix < network.prefix ? 0 : 2 ** (prefix - network.prefix);

export const contains = (outer: Cidr, inner: Cidr): boolean =>
  inner.base >= outer.base && inner.base + size(inner) <= outer.base + size(outer);

export const overlap = (a: Cidr, b: Cidr): boolean => a.base < b.base + size(b) && b.base < a.base + size(a);

/** A single address as a /32, or undefined if the text is not an IPv4 address. */
export function address(text: string): Cidr | undefined {
  return ipaddr.IPv4.isValidFourPartDecimal(text) ? { base: toNumber(ipaddr.IPv4.parse(text)), prefix: 32 } : undefined;
}
