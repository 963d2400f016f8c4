/**
 * Reads jwtAuthenticators: issuers of tokens (OpenID Connect) whose users the API server accepts, in the form of
 * AuthenticationConfiguration. What the API server would not start with is refused, except for faults in CEL expressions.
 * https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/#apiserver-config-k8s-io-v1-JWTAuthenticator
 */
import { z } from "zod";
import { serviceAccountIssuer } from "../shape";
import { Problem } from "./problem";

const text = z.string().min(1, "is empty");

const issuerUrl = text.superRefine((value, context) => {
  const url = URL.parse(value);
  const add = (message: string): void => context.addIssue({ code: "custom", message });
  if (url?.protocol !== "https:") add("is not an https URL");
  else if (url.username || url.password || url.search || url.hash) add("has a user, a query or a fragment");
  if (value === serviceAccountIssuer) add("is the issuer of service-account tokens");
});

/** One or more certificates in PEM (RFC 7468). */
const certificates = text.regex(
  /^\s*(-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/,
  "is not a certificate in PEM",
);

const issuer = z
  .strictObject({
    url: issuerUrl,
    discoveryURL: issuerUrl.optional(),
    certificateAuthority: certificates.optional(),
    audiences: z.array(text).min(1, "is empty"),
    audienceMatchPolicy: z.enum(["", "MatchAny"]).optional(),
    egressSelectorType: z.enum(["", "controlplane", "cluster"]).optional(),
  })
  .superRefine(({ url, discoveryURL, audiences, audienceMatchPolicy }, context) => {
    const add = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
    if (discoveryURL !== undefined && discoveryURL.replace(/\/+$/, "") === url.replace(/\/+$/, ""))
      add("discoveryURL", "is the same as url");
    if (new Set(audiences).size < audiences.length) add("audiences", "has an audience twice");
    if (audiences.length > 1 && audienceMatchPolicy !== "MatchAny")
      add("audienceMatchPolicy", "must be MatchAny, because there are several audiences");
  });

/** A claim with a prefix, or an expression. */
const prefixed = z
  .strictObject({ claim: text.optional(), prefix: z.string().optional(), expression: text.optional() })
  .superRefine(({ claim, prefix, expression }, context) => {
    const add = (message: string): void => context.addIssue({ code: "custom", message });
    if ((claim === undefined) === (expression === undefined)) add("needs either a claim or an expression");
    if (claim !== undefined && prefix === undefined) add('needs a prefix beside its claim, which may be ""');
    if (expression !== undefined && prefix !== undefined) add("has a prefix, which an expression must add itself");
  });

const claimRule = z
  .strictObject({
    claim: text.optional(),
    requiredValue: z.string().optional(),
    expression: text.optional(),
    message: z.string().optional(),
  })
  .superRefine(({ claim, requiredValue, expression, message }, context) => {
    const add = (problem: string): void => context.addIssue({ code: "custom", message: problem });
    if ((claim === undefined) === (expression === undefined)) add("needs either a claim or an expression");
    if (claim !== undefined && message !== undefined) add("has a message, which belongs to an expression");
    if (expression !== undefined && requiredValue !== undefined) add("has a requiredValue, which belongs to a claim");
  });

const authenticator = z.strictObject({
  issuer,
  claimValidationRules: z.array(claimRule).optional(),
  claimMappings: z.strictObject({
    username: prefixed,
    groups: prefixed.optional(),
    uid: z
      .strictObject({ claim: text.optional(), expression: text.optional() })
      .refine(({ claim, expression }) => (claim === undefined) !== (expression === undefined), {
        message: "needs either a claim or an expression",
      })
      .optional(),
    extra: z
      .array(
        z.strictObject({
          key: text.regex(
            /^[a-z0-9.-]+\/[a-z0-9._/-]+$/,
            "is not a lower-case path below a domain, such as example.org/team",
          ),
          valueExpression: text,
        }),
      )
      .optional(),
  }),
  userValidationRules: z.array(z.strictObject({ expression: text, message: z.string().optional() })).optional(),
});

export type JwtAuthenticator = z.infer<typeof authenticator>;

const example =
  '[{"issuer": {"url": "https://issuer.example.org", "audiences": ["kubernetes"]}, "claimMappings": {"username": {"claim": "sub", "prefix": "oidc:"}}}]';
const remedy = `Write it in the stack's file like ${example}.`;

/** Reads the list. @throws Problem that names the first field that is wrong. */
export function jwtAuthenticators(value: string): JwtAuthenticator[] {
  let given: unknown;
  try {
    given = JSON.parse(value || "[]");
  } catch {
    throw new Problem("is not a list.", remedy);
  }
  const { success, data, error } = z.array(authenticator).max(64).safeParse(given);
  if (!success) {
    const issue = error.issues[0];
    const path = (issue?.path ?? [])
      .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
      .join("");
    throw new Problem(`has a fault${path && ` in ${path.replace(/^\./, "")}`}: ${faultOf(issue)}.`, remedy);
  }
  const urls = data.map(({ issuer: { url, discoveryURL } }) => [url, discoveryURL]);
  for (const part of [0, 1] as const) {
    const all = urls.flatMap((each) => each[part] ?? []);
    const twice = all.find((url, index) => all.indexOf(url) !== index);
    if (twice !== undefined)
      throw new Problem(`has ${twice} twice.`, "Give each issuer one entry, with all its audiences.");
  }
  return data;
}

/** An issue of zod as the end of a sentence. */
const faultOf = (issue: z.core.$ZodIssue | undefined): string =>
  issue?.code === "unrecognized_keys"
    ? `there is no field ${issue.keys.map((key) => `"${key}"`).join(", ")}`
    : (issue?.message ?? "").replace(/^[A-Z]/, (letter) => letter.toLowerCase());
