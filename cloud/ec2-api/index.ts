import { connect } from "node:net";
import { join } from "node:path";
import { cached } from "../../lib/cache";
import { UserError } from "../../lib/errors";
import { Cloud, bridgePrefix } from "../names";
import { Daemon, logFile, logTail, runningPid, startDaemon, stopDaemon, waitFor } from "../../lib/process";
import { progress } from "../../lib/progress";
import { tryRun } from "../../lib/run";

/** The EC2, ELBv2, IAM, SSM and STS API of a cloud: moto_server with the launcher beside this file. */
const REQUIREMENTS = "moto[ec2,elbv2,iam,server,ssm,sts]==5.2.1";
const PYTHON = "python3";

/** Address of the cloud's API, for AWS_ENDPOINT_URL or the config key awsEndpoint. */
export function apiEndpoint(cloud: Cloud): string {
  return `http://127.0.0.1:${cloud.port}`;
}

/** Starts the API process unless it runs, and waits until it answers. */
export async function startEc2Api(cloud: Cloud): Promise<void> {
  if (runningPid(daemonOf(cloud)) !== undefined && (await portIsTaken(cloud.port))) return;
  if (runningPid(daemonOf(cloud)) === undefined && (await portIsTaken(cloud.port))) {
    throw new UserError(
      `Port ${cloud.port} of 127.0.0.1, where the EC2 API of the local cloud "${cloud.name}" would listen, is in use.`,
      "End what listens there, or choose another port with LAB_CLOUD_PORT.",
    );
  }
  const packages = await ensureMoto();
  startDaemon(daemonOf(cloud), PYTHON, ["-S", join(__dirname, "launcher.py"), String(cloud.port), cloud.stateDir], {
    ...process.env,
    MOTO_AMIS_PATH: join(__dirname, "images.json"),
    BRIDGE_PREFIX: bridgePrefix(cloud),
    PYTHONPATH: packages,
    PYTHONUNBUFFERED: "1",
    PYTHONDONTWRITEBYTECODE: "1",
  });
  const answers = await waitFor(async () => {
    if (runningPid(daemonOf(cloud)) === undefined) return true;
    return portIsTaken(cloud.port);
  }, 30_000);
  if (!answers || runningPid(daemonOf(cloud)) === undefined) {
    throw new Error(
      `The EC2 API does not answer on ${apiEndpoint(cloud)}; the end of ${logFile(daemonOf(cloud))}:\n${logTail(daemonOf(cloud))}`,
    );
  }
}

/** Ends the API process; what it knows stays in the state directory. */
export async function stopEc2Api(cloud: Cloud): Promise<void> {
  await stopDaemon(daemonOf(cloud));
}

/** Process id of the API, if it runs. */
export function ec2ApiPid(cloud: Cloud): number | undefined {
  return runningPid(daemonOf(cloud));
}

/** The directory of Python packages that holds moto, made if it is missing. */
export async function ensureMoto(): Promise<string> {
  const version = await tryRun(PYTHON, ["--version"]);
  if (version.exitCode !== 0) {
    throw new UserError(
      "The local cloud's EC2 API needs Python 3.10 or newer, and python3 does not run.",
      "Install it: apt-get install python3 python3-venv.",
    );
  }
  return cached({
    name: "ec2-api",
    version: "5.2.1",
    recipe: `${REQUIREMENTS} ${version.stdout.trim()}`,
    build: async (target) => {
      // Not a virtual environment but a plain directory of packages: it may be moved once it is complete, and runs with
      // -S, so that nothing of the machine's own Python gets in.
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", target, REQUIREMENTS];
      const result = await progress(`installing ${REQUIREMENTS}`, () => tryRun(PYTHON, pip));
      if (result.exitCode !== 0) {
        throw new UserError(
          `Installing ${REQUIREMENTS} with pip failed:\n${result.all}\n`,
          "Make PyPI reachable, and python3-pip present.",
        );
      }
    },
  });
}

function daemonOf(cloud: Cloud): Daemon {
  return { name: "ec2-api", directory: cloud.stateDir };
}

function portIsTaken(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), done(true)));
    socket.once("error", () => done(false));
  });
}
