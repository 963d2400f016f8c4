/** Manifests of a lab: plain YAML files that get the lab's namespace and label when they are read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { isKind } from "./api";
import { kinds, type Manifest } from "./kinds";

/** Label of everything that a lab creates; its value is the lab's name. */
export const labLabel = "lab.kubernetes-from-scratch/name";
/** Prefix of the labels, taints and finalizers that labs put on objects; anything with it may be swept. */
export const labPrefix = "lab.kubernetes-from-scratch/";

/** Folder of the labs. */
export const labsDir = join(__dirname, "..");

/** @throws Error if the file is not valid YAML or contains a kind that the labs do not handle. */
export function readManifests(lab: string, file: string): Manifest[] {
  const path = join(labsDir, lab, "manifests", file);
  return parseAllDocuments(readFileSync(path, "utf8")).map((document) => {
    const [fault] = document.errors;
    if (fault) throw new Error(`${path}: ${fault.message}`);
    const object = document.toJS() as Manifest;
    if (!isKind(object?.kind)) throw new Error(`${path}: "${String(object?.kind)}" is not a kind that the labs handle`);
    return object;
  });
}

/** Gives an object the lab's label, and the lab's namespace if it needs one and does not name it. Pure. */
export function adopt(object: Manifest, lab: string, namespace: string): Manifest {
  const place = kinds[object.kind as keyof typeof kinds];
  return {
    ...object,
    metadata: {
      ...object.metadata,
      ...(place.namespaced ? { namespace: object.metadata.namespace ?? namespace } : {}),
      labels: { [labLabel]: lab, ...object.metadata.labels },
    },
  };
}
