/**
 * `make status`, and the end of `make up`: what is so in this moment. Every part of the stack is asked, the answers are
 * shown, and what is wrong is listed with its remedy.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../../lib/errors";
import { progress } from "../../lib/progress";
import type { StackOutputs } from "../outputs";
import type { Stack } from "../stack";
import type { Facts } from "./facts";
import { findings, formatFindings } from "./findings";
import { gatherFacts } from "./probes";
import { renderReport } from "./report";
import { subjectOf } from "./subject";

/**
 * Shows how a stack is. The stack's files have been written.
 * @param patience seconds for which faults may pass before they count.
 * @throws UserError that lists the faults.
 */
export async function checkStatus(stack: Stack, outputs: StackOutputs, patience = 0): Promise<void> {
  const subject = subjectOf(stack, outputs);
  const ask = (): Promise<Facts> => gatherFacts(stack, subject, outputs.kubeconfig);
  const facts = await settled(ask, patience);
  console.log(`\n${renderReport(facts)}`);
  const found = findings(facts);
  if (found.length) throw new UserError(formatFindings(found));
}

/** The facts once there is nothing wrong, or as they are when the time is over. */
async function settled(ask: () => Promise<Facts>, patience: number): Promise<Facts> {
  const end = Date.now() + patience * 1000;
  let facts = await ask();
  const isFinal = (): boolean => findings(facts).length === 0 || Date.now() >= end;
  if (isFinal()) return facts;
  return progress(`waiting up to ${patience} s: ${findings(facts)[0]?.fault}`, async () => {
    while (!isFinal()) {
      await sleep(1000);
      facts = await ask();
    }
    return facts;
  });
}
