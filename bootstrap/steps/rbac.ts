/** Who may do what: the administrators, the API server on kubelets, and kubelets. */
import { administrators } from "../../cluster/certificates";
import { fileFrom } from "../files";
import { defineStep, onceForTheCluster } from "../step";
import { controlPlane } from "./control-plane";

export const rbac = defineStep({
  name: "rbac",
  title: "Roles of the administrators, the API server and the kubelets",
  stage: "control-plane",
  on: onceForTheCluster,
  work: (_spec, controller) => ({
    variables: { ADMINISTRATORS: administrators },
    files: [fileFrom("manifests/rbac.yaml", "/etc/kubernetes/rbac.yaml", { ADMINISTRATORS: administrators })],
    admin: "super-admin",
    after: [controlPlane.at(controller)],
  }),
});
