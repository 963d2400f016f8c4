/** The argument of --values. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../../lib/errors";
import { parseValues } from "../../../tools/values";

describe("--values", () => {
  it("is a JSON object by configuration key; an empty one changes nothing", () => {
    expect(parseValues('{"workerCount": 3, "nodeLabels": {"tier": "web"}}')).toEqual({
      workerCount: 3,
      nodeLabels: { tier: "web" },
    });
    expect(parseValues("{}")).toEqual({});
  });

  it.each(["", "{workerCount: 3}", "[]", "null", "3", '"workerCount"'])(
    "is rejected, with the expected form, if it is %s",
    (text) => {
      expect(() => parseValues(text)).toThrow(UserError);
      expect(() => parseValues(text)).toThrow(/^--values is not .*Give a JSON object/);
    },
  );
});
