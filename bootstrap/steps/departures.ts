/** Removes unwanted nodes and etcd members while their machines still run, because Pulumi deletes machines last. */
import { controllerLines, nodesLibrary, reaches } from "../parts";
import { defineStep, onceForTheCluster } from "../step";
import { etcd } from "./etcd";
import { rbac } from "./rbac";

export const departures = defineStep({
  name: "departures",
  title: "Remove nodes and members that are no longer wanted",
  stage: "etcd",
  on: onceForTheCluster,
  work: (spec, controller) => {
    const hasApi = reaches(spec, "control-plane");
    return {
      variables: { CONTROLLERS: controllerLines(spec), API: hasApi ? "yes" : "no" },
      facts: { INSTANCES: "instances" },
      files: [nodesLibrary()],
      ...(hasApi ? { admin: "admin" as const } : {}),
      after: [...spec.controllers.map(etcd.at), ...(hasApi ? [rbac.at(controller)] : [])],
    };
  },
});
