/** How a part is asked: for a limited time, and with any outcome. */
import type { Answer } from "./facts";

/** What the question returns, or why it fails. It is called off after that many seconds, and not awaited any longer. */
export async function answer<T>(seconds: number, question: (signal: AbortSignal) => Promise<T>): Promise<Answer<T>> {
  const limit = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Answer<T>>((resolve) => {
    timer = setTimeout(() => {
      resolve({ error: `no response within ${seconds} s` });
      limit.abort();
    }, seconds * 1000);
  });
  const asked = async (): Promise<T> => question(limit.signal); // a question may fail before it is a promise
  const outcome = asked().then(
    (value): Answer<T> => ({ value }),
    (error: NodeJS.ErrnoException): Answer<T> => ({ error: error.message || error.code || error.name }),
  );
  const first = await Promise.race([outcome, late]);
  clearTimeout(timer);
  return first;
}
