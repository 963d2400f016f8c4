/**
 * Reads additional flags of the control plane's components: flags that a component would not start with, or that would
 * break what the rest of the configuration sets up, are refused. What can be wrong only on a machine, such as a missing
 * file, is left to the step.
 */
import { ownAdmissionPlugins } from "../admission";
import { didYouMean } from "./did-you-mean";
import { ownedFlags } from "./owned-flags";
import { json, Problem } from "./problem";
import apiServer from "./tables/kube-apiserver.json";
import controllerManager from "./tables/kube-controller-manager.json";
import scheduler from "./tables/kube-scheduler.json";

interface Table {
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly deprecated: Readonly<Record<string, string | undefined>>;
}
const tables: Readonly<Record<keyof typeof ownedFlags, Table>> = {
  "kube-apiserver": apiServer,
  "kube-controller-manager": controllerManager,
  "kube-scheduler": scheduler,
};
type Component = keyof typeof tables;

interface Form {
  readonly is: RegExp;
  /** What a value that does not have this form is not. */
  readonly name: string;
  readonly example: string;
}

const whole: Form = { is: /^-?\d{1,18}$/, name: "a whole number", example: "100" };
const decimal: Form = { is: /^-?\d+(\.\d+)?$/, name: "a number", example: "0.5" };
const pairs: Form = { is: /^[^=,]+=[^,]*(,[^=,]+=[^,]*)*$/, name: "a list of key=value", example: "a=true,b=false" };

/** Durations of Go, such as 1h30m. */
export const duration: Form = {
  is: /^-?(0|(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+)$/,
  name: "a duration",
  example: "90s or 1h30m",
};

/** Forms of values, by the type that the component names; types that are not listed take any text. */
const forms: Readonly<Record<string, Form | undefined>> = {
  bool: { is: /^(true|false)$/, name: "true or false", example: "true" },
  int: whole,
  int32: whole,
  int32Slice: { is: /^\d+(,\d+)*$/, name: "a list of numbers", example: "23,24" },
  Level: { is: /^\d{1,9}$/, name: "a level of verbosity", example: "4" },
  float: decimal,
  float32: decimal,
  duration,
  ip: { is: /^[\da-fA-F.:]+$/, name: "an IP address", example: "10.0.0.1" },
  quantity: { is: /^\d+(\.\d+)?([kMGTPE]|[KMGTPE]i|m)?$/, name: "a quantity", example: "64Ki" },
  mapStringString: pairs,
  colonSeparatedMultimapStringString: pairs,
};

/** What a flag needs beyond the form of its type; returns the problem and its remedy. */
const rules: Readonly<Record<string, ((value: string) => Problem | undefined) | undefined>> = {
  "tls-min-version": (value) =>
    ["VersionTLS12", "VersionTLS13"].includes(value)
      ? undefined
      : new Problem(
          "sets tls-min-version to a version that is unknown or broken.",
          "Use VersionTLS12 or VersionTLS13.",
        ),
};

const listed = (value = ""): string[] => value.split(",").filter(Boolean);

/** A reader of a map of flags, without the leading dashes. It throws a Problem if the component would not start with them. */
export const flagsOf =
  (component: Component) =>
  (text: string): Record<string, string> => {
    const args = Object.entries(json(text)).map(([flag, value]) => [flag, argument(component, flag, value)] as const);
    return Object.fromEntries(args);
  };

/** Reads the API server's flags, which name admission plugins too. @throws Problem */
export function apiServerArgs(text: string): Record<string, string> {
  const args = flagsOf("kube-apiserver")(text);
  checkPlugins(listed(args["enable-admission-plugins"]), listed(args["disable-admission-plugins"]));
  return args;
}

/** The value of a flag as text. @throws Problem if the component would not start with it. */
function argument(component: Component, flag: string, value: unknown): string {
  const { flags: types, deprecated } = tables[component];
  if (flag.startsWith("-")) throw new Problem(`has ${flag} with leading dashes.`, `Write ${flag.replace(/^-+/, "")}.`);
  const type = Object.hasOwn(types, flag) ? types[flag] : undefined;
  if (type === undefined)
    throw new Problem(
      `has "${flag}", which is not a flag of ${component} v1.36.`,
      `Remove ${flag}.${didYouMean(flag, Object.keys(types))}`,
    );
  const owner = ownedFlags[component][flag];
  if (owner) throw new Problem(`sets ${flag}, which the program sets itself: ${owner}`, `Remove ${flag}.`);
  const deprecation = deprecated[flag];
  if (deprecation) throw new Problem(`sets ${flag}, which is deprecated: ${deprecation}`, `Remove ${flag}.`);
  if (!["string", "number", "boolean"].includes(typeof value) || /[\n\r\0]/.test(String(value)))
    throw new Problem(
      `gives ${flag} a value that is not a single line of text.`,
      "Write lists separated by commas, as on a command line.",
    );
  const given = String(value);
  const form = forms[type];
  if (form && !form.is.test(given))
    throw new Problem(
      `gives ${flag} the value "${given}", which is not ${form.name}.`,
      `Write it like ${form.example}.`,
    );
  const problem = rules[flag]?.(given);
  if (problem) throw problem;
  return given;
}

/** Plugins without which the cluster would be open, or that would stop it. */
const harmful: Readonly<Record<string, string | undefined>> = {
  AlwaysDeny: "refuses every request, those of the control plane too",
  ImagePolicyWebhook: "needs a configuration of its own, and the API server does not start without it",
};

function checkPlugins(enabled: readonly string[], disabled: readonly string[]): void {
  const { admissionPlugins } = apiServer;
  for (const plugin of [...enabled, ...disabled])
    if (!admissionPlugins.includes(plugin))
      throw new Problem(
        `names "${plugin}", which is not an admission plugin of kube-apiserver v1.36.`,
        `Remove ${plugin}.${didYouMean(plugin, admissionPlugins)}`,
      );
  for (const plugin of enabled) {
    const harm = harmful[plugin];
    if (harm) throw new Problem(`enables the admission plugin ${plugin}, which ${harm}.`, `Remove ${plugin}.`);
  }
  for (const [plugin, reason] of Object.entries(ownAdmissionPlugins))
    if (disabled.includes(plugin))
      throw new Problem(`disables the admission plugin ${plugin}, which ${reason}.`, `Remove ${plugin}.`);
  const both = enabled.find((plugin) => disabled.includes(plugin));
  if (both !== undefined)
    throw new Problem(`both enables and disables the admission plugin ${both}.`, `Remove ${both} from one of them.`);
}
