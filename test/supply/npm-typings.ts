/** The types of a Pulumi npm package, read from its declarations. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import ts from "typescript";
import type { Shape } from "./shape";

type Members = readonly ts.Node[];

/** The declarations of @pulumi/<name>. */
export class Typings {
  private readonly directory: string;
  /** Nested types by qualified name, such as inputs.ec2.InstanceRootBlockDevice. */
  private readonly nested = new Map<string, Members>();

  constructor(name: string) {
    this.directory = resolve(__dirname, "../../node_modules/@pulumi", name);
    for (const [prefix, file] of [
      ["inputs", "types/input.d.ts"],
      ["outputs", "types/output.d.ts"],
    ] as const) {
      this.collect(this.parse(file), prefix);
    }
  }

  /** Inputs of a resource: the properties of <Name>Args in <module>/<file>. */
  inputs(token: string): Shape {
    const { file, name } = this.fileOf(token);
    return this.object(this.membersOf(file, `${name[0]?.toUpperCase()}${name.slice(1)}Args`));
  }

  /** Outputs of a resource: the properties of its class. */
  outputs(token: string): Shape {
    const { file, name } = this.fileOf(token);
    return this.object(this.membersOf(file, name).filter((member) => !isStatic(member)));
  }

  /** Properties of the provider's configuration. */
  provider(): Shape {
    return this.object(this.membersOf("provider.d.ts", "ProviderArgs"));
  }

  private fileOf(token: string): { file: string; name: string } {
    const [, module = "", name = ""] = token.split(":");
    const [folder = "", file = `${name[0]?.toLowerCase()}${name.slice(1)}`] = module.split("/");
    return { file: join(folder === "index" ? "" : folder, `${file}.d.ts`), name };
  }

  private parse(file: string): ts.SourceFile {
    const text = readFileSync(join(this.directory, file), "utf8");
    return ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  }

  private membersOf(file: string, name: string): Members {
    for (const statement of this.parse(file).statements) {
      const declares = ts.isInterfaceDeclaration(statement) || ts.isClassDeclaration(statement);
      if (declares && statement.name?.text === name) return statement.members;
    }
    throw new Error(`${file} does not declare ${name}`);
  }

  private collect(node: ts.Node, prefix: string): void {
    ts.forEachChild(node, (child) => {
      if (ts.isInterfaceDeclaration(child)) this.nested.set(`${prefix}.${child.name.text}`, child.members);
      else if (ts.isModuleDeclaration(child)) this.collect(child, `${prefix}.${child.name.text}`);
      else if (ts.isModuleBlock(child)) this.collect(child, prefix);
    });
  }

  private object(members: Members): Shape {
    const of = (): ReadonlyMap<string, Shape> => {
      const properties = new Map<string, Shape>();
      for (const member of members) {
        if (!ts.isPropertySignature(member) && !ts.isPropertyDeclaration(member)) continue;
        if (ts.isIdentifier(member.name) && member.type) properties.set(member.name.text, this.shape(member.type));
      }
      return properties;
    };
    return { kind: "object", properties: of };
  }

  private shape(type: ts.TypeNode): Shape {
    switch (type.kind) {
      case ts.SyntaxKind.StringKeyword:
      case ts.SyntaxKind.TemplateLiteralType:
        return { kind: "string" };
      case ts.SyntaxKind.NumberKeyword:
        return { kind: "number" };
      case ts.SyntaxKind.BooleanKeyword:
        return { kind: "boolean" };
    }
    if (ts.isArrayTypeNode(type)) return { kind: "array", element: this.shape(type.elementType) };
    if (ts.isParenthesizedTypeNode(type)) return this.shape(type.type);
    if (ts.isUnionTypeNode(type)) return this.union(type);
    if (ts.isTypeLiteralNode(type)) {
      const index = type.members.find(ts.isIndexSignatureDeclaration);
      return { kind: "map", element: index ? this.shape(index.type) : { kind: "any" } };
    }
    return ts.isTypeReferenceNode(type) ? this.reference(type) : { kind: "any" };
  }

  /** The shape of a union without undefined: a string if one of its members is a string, otherwise the first member. */
  private union(type: ts.UnionTypeNode): Shape {
    const members = type.types
      .filter((member) => member.kind !== ts.SyntaxKind.UndefinedKeyword)
      .map((member) => this.shape(member));
    return members.find(({ kind }) => kind === "string") ?? members[0] ?? { kind: "any" };
  }

  private reference(type: ts.TypeReferenceNode): Shape {
    const name = entityName(type.typeName);
    const [argument] = type.typeArguments ?? [];
    if (/^pulumi\.(Input|Output)$/.test(name) && argument) return this.shape(argument);
    const members = this.nested.get(name);
    if (members) return this.object(members);
    // ARNs and enumerations are strings
    return { kind: /^(ARN|enums\.|\w+\.ARN)/.test(name) ? "string" : "any" };
  }
}

const entityName = (name: ts.EntityName): string =>
  ts.isIdentifier(name) ? name.text : `${entityName(name.left)}.${name.right.text}`;

const isStatic = (member: ts.Node): boolean =>
  ts.canHaveModifiers(member) &&
  (ts.getModifiers(member) ?? []).some(
    ({ kind }) => kind === ts.SyntaxKind.StaticKeyword || kind === ts.SyntaxKind.PrivateKeyword,
  );
