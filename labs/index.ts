/** The labs, in the order of the series. */
import affinityTaints from "./affinity-taints/lab";
import certificates from "./certificates/lab";
import configmapSecret from "./configmap-secret/lab";
import controlPlaneComponents from "./control-plane-components/lab";
import daemonset from "./daemonset/lab";
import deployment from "./deployment/lab";
import dns from "./dns/lab";
import etcd from "./etcd/lab";
import finalizersGc from "./finalizers-gc/lab";
import type { Lab } from "./framework/lab";
import jobs from "./job-cronjob-ttl/lab";
import labelsSelectors from "./labels-selectors/lab";
import limitrangeQuota from "./limitrange-quota/lab";
import nodeAllocatable from "./node-allocatable/lab";
import objectManagement from "./object-management/lab";
import packetPath from "./packet-path/lab";
import scheduler from "./scheduler/lab";
import statefulset from "./statefulset/lab";

export const labs: readonly Lab[] = [
  certificates,
  etcd,
  controlPlaneComponents,
  packetPath,
  dns,
  deployment,
  statefulset,
  daemonset,
  jobs,
  labelsSelectors,
  finalizersGc,
  objectManagement,
  configmapSecret,
  nodeAllocatable,
  limitrangeQuota,
  scheduler,
  affinityTaints,
];
