/** How long certificates are valid, and when to warn that they will expire. */

/** Validity of root and intermediate CAs in hours: ten years. */
export const caValidityHours = 10 * 365 * 24;
/** Every `up` warns of certificates that expire within this many days. */
export const expiryWarningDays = 60;
/** Limits for the validity of leaves in hours: with less, every run would warn; with more, leaves would outlive CAs. */
export const leafValidityHours = { least: expiryWarningDays * 24, most: caValidityHours } as const;
