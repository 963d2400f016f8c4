/** A stack's cluster among those of a user's kubeconfig. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { renderKubeconfig } from "../../../cluster/kubeconfig";
import { merge, NameTaken, takeOut } from "../../../tools/kubeconfig";

const cluster = (name: string, ca = `CA of ${name}`, server = "https://10.1.1.11:6443"): string =>
  renderKubeconfig({ cluster: name, server, user: `${name}-admin`, ca, cert: "certificate", key: "key" });

const users = `# mine
apiVersion: v1
kind: Config
preferences: {}
clusters:
- cluster:
    server: https://work.example.org
  name: work # do not touch
contexts:
- context:
    cluster: work
    user: me
  name: work
current-context: work
users:
- name: me
  user:
    token: secret
`;

interface Parsed {
  readonly clusters: { name: string; cluster: { server: string } }[];
  readonly contexts: { name: string }[];
  readonly users: { name: string }[];
  readonly "current-context": string;
}
const read = (text: string): Parsed => parse(text) as Parsed;
const names = (list: readonly { name: string }[]): string[] => list.map(({ name }) => name);

describe("merging", () => {
  it("adds the cluster, and makes its context the current one", () => {
    const merged = read(merge(users, cluster("local")));
    expect(names(merged.clusters)).toEqual(["work", "local"]);
    expect(names(merged.contexts)).toEqual(["work", "local"]);
    expect(names(merged.users)).toEqual(["me", "local-admin"]);
    expect(merged["current-context"]).toBe("local");
  });

  it("keeps everything else as it is written, comments included", () => {
    const merged = merge(users, cluster("local"));
    for (const line of ["# mine", "  name: work # do not touch", "    token: secret", "preferences: {}"])
      expect(merged.split("\n")).toContain(line);
  });

  it.each([
    ["a file that does not exist or is empty", ""],
    ["kubectl's empty one", "apiVersion: v1\nclusters: []\ncontexts: []\nkind: Config\nusers: null\n"],
  ])("works with %s", (_, text) => {
    const merged = merge(text, cluster("local"));
    expect(names(read(merged).clusters)).toEqual(["local"]);
    expect(read(merged)["current-context"]).toBe("local");
    const left = takeOut(merged, cluster("local"), undefined);
    expect(read(left)).toMatchObject({ clusters: [], contexts: [], users: [], "current-context": "" });
    expect(merge(left, cluster("local"))).toBe(merged);
  });

  it("replaces what was merged before, also if the cluster was made anew since", () => {
    const [old, renewed] = [cluster("local", "old CA"), cluster("local", "new CA", "https://api.example.org:6443")];
    const merged = read(merge(merge(users, old), renewed, old));
    expect(names(merged.clusters)).toEqual(["work", "local"]);
    expect(merged.clusters[1]?.cluster.server).toBe("https://api.example.org:6443");
    expect(merge(merge(users, old), old)).toBe(merge(users, old));
  });

  it("refuses to replace another cluster's entry of the same name", () => {
    expect(() => merge(merge(users, cluster("local", "theirs")), cluster("local"))).toThrow(NameTaken);
    expect(() => merge("users: [{name: local-admin, user: {token: x}}]", cluster("local"))).toThrow(
      /user "local-admin"/,
    );
  });

  it.each(["- a list", "{{", "text"])("refuses what is not a kubeconfig: %s", (text) => {
    expect(() => merge(text, cluster("local"))).toThrow();
  });
});

describe("taking out", () => {
  it("is the reverse of merging, whatever else is merged in between", () =>
    fc.assert(
      fc.property(fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { minLength: 1 }), (stacks) => {
        const all = stacks.reduce((text, stack) => merge(text, cluster(stack)), users);
        const none = stacks.reduce((text, stack) => takeOut(text, cluster(stack), "work"), all);
        expect(read(none)).toEqual(read(users));
      }),
    ));

  it("leaves the user's choice of a context, and goes back to the former one", () => {
    const both = merge(users, cluster("local"));
    expect(read(takeOut(both, cluster("local"), "work"))["current-context"]).toBe("work");
    expect(read(takeOut(both, cluster("local"), "gone"))["current-context"]).toBe("");
    const chosen = both.replace("current-context: local", "current-context: work");
    expect(read(takeOut(chosen, cluster("local"), undefined))["current-context"]).toBe("work");
  });

  it("leaves another cluster's entries of the same name, and a file without them, as they are", () => {
    const theirs = merge(users, cluster("local", "theirs"));
    expect(takeOut(theirs, cluster("local"), "work")).toBe(theirs);
    expect(takeOut(users, cluster("local"), "work")).toBe(users);
  });
});
