/** The labs, in the order of the series. */
import daemonset from "./daemonset/lab";
import deployment from "./deployment/lab";
import type { Lab } from "./framework/lab";
import jobs from "./job-cronjob-ttl/lab";
import statefulset from "./statefulset/lab";

export const labs: readonly Lab[] = [deployment, statefulset, daemonset, jobs];
