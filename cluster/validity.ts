/** For how long certificates are valid, and when to warn that they end. */

/** Hours for which root and intermediate CAs are valid: ten years. */
export const caValidityHours = 10 * 365 * 24;
/** Days before a certificate's end from which every `up` warns. */
export const expiryWarningDays = 60;
/** Hours for which leaves may be valid: less would warn on every run, more would outlive the CAs. */
export const leafValidityHours = { least: expiryWarningDays * 24, most: caValidityHours } as const;
