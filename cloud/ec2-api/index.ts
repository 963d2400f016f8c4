/** The EC2, ELBv2 and STS APIs of a cloud, as a background process: moto_server, started by launcher.py. */
import { connect } from "node:net";
import { join } from "node:path";
import { cached } from "../../lib/cache";
import { UserError } from "../../lib/errors";
import { ec2ApiOf } from "../daemons";
import { Cloud, bridgePrefix } from "../names";
import { logFile, logTail, runningPid, startDaemon, stopDaemon, waitFor } from "../../lib/process";
import { progress } from "../../lib/progress";
import { tryRun } from "../../lib/run";

const MOTO_VERSION = "5.2.1";
const REQUIREMENT = `moto[ec2,elbv2,server,sts]==${MOTO_VERSION}`;
const PYTHON = "python3";

/** URL of the cloud's API, for AWS_ENDPOINT_URL or an SDK's `endpoint` option. */
export function apiEndpoint(cloud: Cloud): string {
  return `http://127.0.0.1:${cloud.port}`;
}

/** Starts the API process unless it is already running, and waits until it accepts connections. */
export async function startEc2Api(cloud: Cloud): Promise<void> {
  if (runningPid(ec2ApiOf(cloud)) !== undefined && (await portIsTaken(cloud.port))) return;
  // A process that was killed keeps its port for a moment after it counts as gone.
  const portIsFree = async (): Promise<boolean> => !(await portIsTaken(cloud.port));
  if (runningPid(ec2ApiOf(cloud)) === undefined && !(await waitFor(portIsFree, 3_000))) {
    throw new UserError(
      `Port ${cloud.port} on 127.0.0.1, which the EC2 API of the local cloud "${cloud.name}" needs, is in use.`,
      "Stop the process that listens there, or choose another port: for make, in the stack's awsEndpoint " +
        "(pulumi config set awsEndpoint http://127.0.0.1:PORT --stack STACK); for cloud/cli.ts, with LAB_CLOUD_PORT.",
    );
  }
  const packages = await ensureMoto();
  startDaemon(ec2ApiOf(cloud), PYTHON, ["-S", join(__dirname, "launcher.py"), String(cloud.port), cloud.stateDir], {
    ...process.env,
    MOTO_AMIS_PATH: join(__dirname, "images.json"),
    BRIDGE_PREFIX: bridgePrefix(cloud),
    PYTHONPATH: packages,
    PYTHONUNBUFFERED: "1",
    PYTHONDONTWRITEBYTECODE: "1",
  });
  const inTime = await waitFor(async () => {
    if (runningPid(ec2ApiOf(cloud)) === undefined) return true;
    return portIsTaken(cloud.port);
  }, 30_000);
  if (!inTime || runningPid(ec2ApiOf(cloud)) === undefined) {
    throw new UserError(
      `The EC2 API did not start on ${apiEndpoint(cloud)}. ${logFile(ec2ApiOf(cloud))} ends with:\n` +
        logTail(ec2ApiOf(cloud)),
    );
  }
}

/** Stops the API process; its state remains in the state directory. */
export async function stopEc2Api(cloud: Cloud): Promise<void> {
  await stopDaemon(ec2ApiOf(cloud));
}

/** Process id of the API, if it is running. */
export function ec2ApiPid(cloud: Cloud): number | undefined {
  return runningPid(ec2ApiOf(cloud));
}

/** The directory of Python packages that contains moto, installed if it is missing. */
export async function ensureMoto(): Promise<string> {
  const version = await tryRun(PYTHON, ["--version"]);
  if (version.exitCode !== 0) {
    throw new UserError(
      "The local cloud's EC2 API needs Python 3.10 or newer, but python3 cannot be run.",
      "Install it: apt-get install python3 python3-pip.",
    );
  }
  return cached({
    name: "ec2-api",
    version: MOTO_VERSION,
    recipe: `${REQUIREMENT} ${version.stdout.trim()}`,
    build: async (target) => {
      // A plain directory of packages, not a virtual environment, because the cache moves it when it is complete. With -S
      // Python ignores the packages that are installed on the host.
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", target, REQUIREMENT];
      const result = await progress(`installing ${REQUIREMENT}`, () => tryRun(PYTHON, pip));
      if (result.exitCode !== 0) {
        throw new UserError(
          `Installing ${REQUIREMENT} with pip failed:\n${result.all}\n`,
          "Check that python3-pip is installed and that PyPI can be reached.",
        );
      }
    },
  });
}

function portIsTaken(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), done(true)));
    socket.once("error", () => done(false));
  });
}
