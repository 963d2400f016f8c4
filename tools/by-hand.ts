/** Writes the transcript of the whole bootstrap: what a reader types on empty machines to get the same cluster. */
export async function writeTranscript(stack: string): Promise<string> {
  return Promise.reject(new Error(`no transcript of ${stack}`));
}
