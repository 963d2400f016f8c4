/** The labs, in the order of the series. */
import configmapSecret from "./configmap-secret/lab";
import daemonset from "./daemonset/lab";
import deployment from "./deployment/lab";
import finalizersGc from "./finalizers-gc/lab";
import type { Lab } from "./framework/lab";
import jobs from "./job-cronjob-ttl/lab";
import labelsSelectors from "./labels-selectors/lab";
import limitrangeQuota from "./limitrange-quota/lab";
import objectManagement from "./object-management/lab";
import statefulset from "./statefulset/lab";

export const labs: readonly Lab[] = [
  deployment,
  statefulset,
  daemonset,
  jobs,
  labelsSelectors,
  finalizersGc,
  objectManagement,
  configmapSecret,
  limitrangeQuota,
];
