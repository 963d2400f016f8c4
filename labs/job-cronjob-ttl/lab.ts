/** Jobs that finish, give up, run out of time and clean up after themselves; CronJobs at the minute boundary. */
import type { Bench } from "../framework/bench";
import { atLeast, between, such } from "../framework/expectation";
import type { Stored } from "../framework/kinds";
import type { Lab } from "../framework/lab";
import type { Live } from "../framework/live";
import { conditionOf, has } from "../framework/states";

type Job = Stored<"Job">;
const policies = ["allow", "forbid", "replace"] as const;
const scheduledFor = (job: Job): string =>
  job.metadata.annotations?.["batch.kubernetes.io/cronjob-scheduled-timestamp"] ?? "";
const podsOf = (pods: Live<"Pod">, job: string) => pods.items.filter((p) => p.metadata.labels?.["job-name"] === job);
const seconds = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1000;

/** The most pods of a Job that were running at the same moment. */
const mostAtOnce = (pods: Live<"Pod">, job: string): number =>
  Math.max(
    ...pods.history.map(
      ({ items }) =>
        items.filter(
          (p) => p.metadata.labels?.["job-name"] === job && ["Pending", "Running"].includes(p.status.phase ?? ""),
        ).length,
    ),
  );

async function experiment(bench: Bench): Promise<void> {
  const jobs = await bench.watch("Job");
  const pods = await bench.watch("Pod");
  const cronJobs = await bench.watch("CronJob");
  const job = (name: string): Job => jobs.named(name)!;
  const firedBy = (owner: string, items: readonly Job[] = jobs.items): Job[] =>
    items.filter((j) => j.metadata.ownerReferences?.[0]?.name === owner && !j.metadata.deletionTimestamp);

  await bench.baseline("three CronJobs wait for the next minute", async () => {
    await bench.apply("cronjobs.yaml");
    await cronJobs.until("the CronJobs to exist", (items) => items.length === 3, 10);
  });
  await bench.disturb("meanwhile, four Jobs start", () => bench.apply("jobs.yaml"));

  await bench.observe("3 completions, 2 at a time", () =>
    jobs.until(
      "Job batch to be Complete",
      (items) => items.some((j) => j.metadata.name === "batch" && has(j, "Complete")),
      60,
    ),
  );
  bench.claim(
    "three pods succeeded",
    [job("batch").status.succeeded, podsOf(pods, "batch").map((p) => p.status.phase)],
    [3, Array<string>(3).fill("Succeeded")],
  );
  bench.claim("never more than two at once", mostAtOnce(pods, "batch"), 2);
  bench.claim("the finished pods stay, for their logs", podsOf(pods, "batch").length, 3);

  await bench.observe("a Job with a time to live after it finishes", async () => {
    await jobs.until("Job brief to have come and gone", (items) => !items.some((j) => j.metadata.name === "brief"), 60);
    await pods.until("its pod to be gone", () => podsOf(pods, "brief").length === 0, 30);
  });
  const moments = jobs.history.filter((moment) => moment.object.metadata.name === "brief");
  const ended = moments.find((moment) => has(moment.object, "Complete"))!;
  const removed = moments.find((moment) => moment.type === "DELETED")!;
  bench.claim("seconds from its end to its removal (ttlSecondsAfterFinished: 5)", removed.at - ended.at, between(4, 8));
  bench.claim("its pod went with it", podsOf(pods, "brief").length, 0);

  await bench.observe("a Job that exceeds its deadline", () =>
    jobs.until(
      "Job late to have failed",
      (items) => items.some((j) => j.metadata.name === "late" && has(j, "Failed")),
      60,
    ),
  );
  bench.claim("the reason is the deadline", conditionOf(job("late"), "Failed")?.reason, "DeadlineExceeded");

  await bench.observe("a Job that always fails", () =>
    jobs.until(
      "Job broken to have failed",
      (items) => items.some((j) => j.metadata.name === "broken" && has(j, "Failed")),
      90,
    ),
  );
  bench.claim(
    "it gave up after backoffLimit retries",
    conditionOf(job("broken"), "Failed")?.reason,
    "BackoffLimitExceeded",
  );
  bench.claim("one try and one retry failed", job("broken").status.failed, 2);
  const tries = podsOf(pods, "broken")
    .map((p) => p.metadata.creationTimestamp)
    .sort();
  bench.claim("seconds between the two (the back-off starts at 10)", seconds(tries[0]!, tries[1]!), atLeast(9));

  const first = await bench.observe("the next minute begins", () =>
    jobs.until("each CronJob to have fired once", (items) => policies.every((p) => firedBy(p, items).length >= 1), 75),
  );
  const fired = policies.map((policy) => firedBy(policy, first)[0]!);
  bench.keep(
    "when the CronJobs fired",
    Object.fromEntries(
      fired.map((j) => [j.metadata.name, { due: scheduledFor(j), made: j.metadata.creationTimestamp }]),
    ),
  );
  bench.claim(
    "each was due exactly on the minute",
    fired.map((j) => new Date(scheduledFor(j)).getUTCSeconds()),
    [0, 0, 0],
  );
  bench.claim(
    "seconds past the minute at which the last Job was created",
    Math.max(...fired.map((j) => seconds(scheduledFor(j), j.metadata.creationTimestamp))),
    between(0, 3),
  );

  const next = scheduledFor(fired[0]!);
  await bench.observe("another minute begins while the work is still running", () =>
    jobs.until(
      "the CronJobs to have reacted",
      (items) =>
        ["allow", "replace"].every((p) => firedBy(p, items).some((j) => scheduledFor(j) > next)) &&
        firedBy("replace", items).length === 1,
      80,
    ),
  );
  bench.claim("Allow: both run side by side", firedBy("allow").length, 2);
  bench.claim(
    "Replace: the new one took the old one's place",
    firedBy("replace").map((j) => scheduledFor(j) > next),
    [true],
  );
  bench.claim(
    "Forbid: the old one keeps running, no new one was created",
    firedBy("forbid").map((j) => j.metadata.uid),
    [fired[1]!.metadata.uid],
  );
  const events = await bench.until(
    "the CronJob's event about it",
    () =>
      bench.api.list("Event", {
        namespace: bench.namespace,
        fields: "involvedObject.name=forbid,involvedObject.kind=CronJob",
      }),
    (items) => items.some((e) => e.reason === "JobAlreadyActive"),
    10,
  );
  bench.claim(
    "and an event gives the reason",
    [...new Set(events.map((e) => e.reason))],
    such("includes JobAlreadyActive", (reasons) => reasons.includes("JobAlreadyActive")),
  );

  await bench.disturb("the CronJobs are suspended", async () => {
    for (const policy of policies)
      await bench.api.patch("CronJob", policy, bench.namespace, { spec: { suspend: true } });
  });
}

export default {
  name: "job-cronjob-ttl",
  title: "Job, CronJob and TTL",
  part: "IV · Workloads",
  hypothesis:
    "A Job runs until its work is done or it gives up; a CronJob creates one at each minute that its schedule matches, and its concurrencyPolicy decides what happens if they overlap; a finished Job with a time to live removes itself.",
  limit: 300,
  experiment,
} satisfies Lab;
