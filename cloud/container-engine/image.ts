/** Images of the container engines on this host. */
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type Docker from "dockerode";
import { findEngine } from "./index";

const has = async (docker: Docker, name: string): Promise<boolean> =>
  docker
    .getImage(name)
    .inspect()
    .then(
      () => true,
      () => false,
    );

/** Writes an image to a file, in the format of `docker save`. Returns false if no engine that is running has it. */
export async function saveImage(name: string, file: string): Promise<boolean> {
  const engine = await findEngine({ holds: (docker) => has(docker, name) });
  if (!engine || !(await has(engine.docker, name))) return false;
  await pipeline(await engine.docker.getImage(name).get(), createWriteStream(file));
  return true;
}
