/** The words of a command that is written as a tagged template. */
import { describe, expect, it } from "vitest";
import { words } from "../../support/words";

describe("the words of a command", () => {
  it("are split at any whitespace, lines included", () => {
    expect(words`get  pods\t-o name`).toEqual(["get", "pods", "-o", "name"]);
    expect(words`
      get pods
      -o name
    `).toEqual(["get", "pods", "-o", "name"]);
    expect(words``).toEqual([]);
  });

  it("keep a value whole, whatever it holds", () => {
    const path = '{range .items[*]}{.metadata.name} "{.spec.nodeName}"{"\\n"}{end}';
    expect(words`get pods -o ${path}`).toEqual(["get", "pods", "-o", path]);
    expect(words`label node a b=${""} ${""}`).toEqual(["label", "node", "a", "b=", ""]);
    expect(words`scale --replicas ${3}`).toEqual(["scale", "--replicas", "3"]);
  });

  it("join a value to the text around it", () => {
    expect(words`exec pod/${"a b"}-0 -- cat ${"/tmp"}/${"x"}`).toEqual(["exec", "pod/a b-0", "--", "cat", "/tmp/x"]);
  });

  it("take an array on its own as one word per element, and none if it is empty", () => {
    expect(words`${["-n", "my space"]} get ${[]} pods`).toEqual(["-n", "my space", "get", "pods"]);
  });

  it("leave quotes and backslashes as they are", () => {
    expect(words`get -o jsonpath={.labels.topology\\.kubernetes\\.io/zone} 'a b'`).toEqual([
      ...["get", "-o", "jsonpath={.labels.topology\\.kubernetes\\.io/zone}", "'a", "b'"],
    ]);
  });
});
