/**
 * A Pulumi language host for Node.js: the gRPC service that the engine starts to run a program. It replaces the
 * official one on machines that cannot download Pulumi's release, and is bundled into a single file.
 * @see https://github.com/pulumi/pulumi/blob/master/proto/pulumi/language.proto
 */
import { spawn, type ChildProcess } from "node:child_process";
import * as grpc from "@grpc/grpc-js";
import * as emptyproto from "google-protobuf/google/protobuf/empty_pb";
import * as languageService from "@pulumi/pulumi/proto/language_grpc_pb";
import * as language from "@pulumi/pulumi/proto/language_pb";
import * as plugin from "@pulumi/pulumi/proto/plugin_pb";
import { pulumiPackages } from "./packages";

/** Exit code of the SDK after it has shown the user an actionable message. */
const shownAlready = 32;

let engineAddress = process.argv.slice(2).findLast((argument) => !argument.startsWith("-")) ?? "";
const children = new Set<ChildProcess>();

type ProgramInfo = language.ProgramInfo | undefined;
interface Options {
  typescript?: boolean;
  nodeargs?: string;
}
const optionsOf = (info: ProgramInfo): Options => (info?.getOptions()?.toJavaScript() as Options | undefined) ?? {};

/** Runs the program. `done` receives an empty error if it succeeds. */
function runProgram(request: language.RunRequest, done: (error: string, bail: boolean) => void): void {
  const info = request.getInfo();
  const options = optionsOf(info);
  const run = require.resolve("@pulumi/pulumi/cmd/run", { paths: [info?.getProgramDirectory() ?? "."] });
  const flags: Record<string, unknown> = {
    monitor: request.getMonitorAddress(),
    engine: engineAddress,
    organization: request.getOrganization(),
    project: request.getProject(),
    stack: request.getStack(),
    "root-directory": info?.getRootDirectory(),
    pwd: request.getPwd(),
    parallel: request.getParallel(),
  };
  const args = [
    ...(options.nodeargs ? options.nodeargs.split(" ") : []),
    run,
    ...Object.entries(flags).flatMap(([flag, value]) => (value ? [`--${flag}`, String(value)] : [])),
    ...(request.getDryrun() ? ["--dry-run"] : []),
    info?.getEntryPoint() || ".",
    ...request.getArgsList(),
  ];
  const child = spawn(process.execPath, args, {
    cwd: request.getPwd(),
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().getEntryList())),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
      PULUMI_NODEJS_TYPESCRIPT: String(options.typescript !== false),
    },
  });
  children.add(child);
  child.on("error", (error) => done(`cannot start node: ${error.message}`, false));
  child.on("exit", (code, signal) => {
    children.delete(child);
    if (code === 0) done("", false);
    else if (code === shownAlready) done("", true);
    else done(signal ? `program terminated by ${signal}` : `program exited with non-zero exit code: ${code}`, false);
  });
}

type Unary<Request, Response> = grpc.handleUnaryCall<Request, Response>;

const handshake: Unary<language.LanguageHandshakeRequest, language.LanguageHandshakeResponse> = (call, callback) => {
  engineAddress = call.request.getEngineAddress() || engineAddress;
  callback(null, new language.LanguageHandshakeResponse());
};

const getPluginInfo: Unary<unknown, plugin.PluginInfo> = (_call, callback) => {
  const info = new plugin.PluginInfo();
  info.setVersion(process.env["PULUMI_LANGUAGE_HOST_VERSION"] ?? "0.0.0");
  callback(null, info);
};

const getRequiredPackages: Unary<language.GetRequiredPackagesRequest, language.GetRequiredPackagesResponse> = (
  call,
  callback,
) => {
  const response = new language.GetRequiredPackagesResponse();
  for (const { name, version, server } of pulumiPackages(call.request.getInfo()?.getProgramDirectory() ?? ".")) {
    const dependency = new plugin.PackageDependency();
    dependency.setName(name);
    dependency.setKind("resource");
    dependency.setVersion(version);
    if (server) dependency.setServer(server);
    response.addPackages(dependency);
  }
  callback(null, response);
};

const run: Unary<language.RunRequest, language.RunResponse> = (call, callback) => {
  let responded = false;
  runProgram(call.request, (error, bail) => {
    if (responded) return;
    responded = true;
    const response = new language.RunResponse();
    if (error) response.setError(error);
    response.setBail(bail);
    callback(null, response);
  });
};

const about: Unary<unknown, language.AboutResponse> = (_call, callback) => {
  const response = new language.AboutResponse();
  response.setExecutable(process.execPath);
  response.setVersion(process.version);
  callback(null, response);
};

const cancel: Unary<unknown, emptyproto.Empty> = (_call, callback) => {
  for (const child of children) child.kill("SIGINT");
  callback(null, new emptyproto.Empty());
};

const unimplemented =
  (name: string): Unary<unknown, unknown> =>
  (_call, callback) =>
    callback({ code: grpc.status.UNIMPLEMENTED, message: `this language host does not implement ${name}` });

const service = (languageService as unknown as { LanguageRuntimeService: grpc.ServiceDefinition })
  .LanguageRuntimeService;
const implementation = {
  ...Object.fromEntries(Object.keys(service).map((name) => [name, unimplemented(name)])),
  handshake,
  getPluginInfo,
  getRequiredPackages,
  run,
  about,
  cancel,
} as unknown as grpc.UntypedServiceImplementation;

const server = new grpc.Server({ "grpc.max_receive_message_length": 400 << 20 });
server.addService(service, implementation);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${port}\n`); // the engine reads the port from the first line
});
