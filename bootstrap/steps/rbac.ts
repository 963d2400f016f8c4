/** The API server's permissions on kubelets. */
import { fileFrom } from "../files";
import { defineStep, onceForTheCluster } from "../step";
import { controlPlane } from "./control-plane";

export const rbac = defineStep({
  name: "rbac",
  title: "The API server may use the kubelets",
  stage: "control-plane",
  on: onceForTheCluster,
  work: (_spec, controller) => ({
    files: [fileFrom("manifests/rbac.yaml", "/etc/kubernetes/rbac.yaml")],
    admin: true,
    after: [controlPlane.at(controller)],
  }),
});
