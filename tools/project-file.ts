/** Pulumi.yaml, which describes every configuration key. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { ProjectFile } from "../cluster/config/complete";
import { root } from "./places";

export const readProjectFile = (): ProjectFile => parse(readFileSync(join(root, "Pulumi.yaml"), "utf8")) as ProjectFile;
