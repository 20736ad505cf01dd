// Drives the npm package forwardemail-api against a base address of our own: node forwardemail_client.mjs FOLDER URL TOKEN
import { createRequire } from "node:module";

const [folder, url, token] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { default: ForwardEmailNet } = require("forwardemail-api");
ForwardEmailNet.basePath = `${url}/v1`;

const client = new ForwardEmailNet(token);
const listed = await client.listDomainAliases("example.test");
const aliases = await listed.json();
const one = await client.retrieveDomainAlias("example.test", aliases[0].id);
// It sends its JSON without saying that it is JSON.
const changed = await client.updateDomainAlias("example.test", aliases[0].id, "alice", ["x@elsewhere.test"], "changed");
const answer = await changed.json();
console.log(JSON.stringify({
  listed: listed.status, count: Number(listed.headers.get("x-item-count")), names: aliases.map((each) => each.name),
  one: (await one.json()).name, changed: changed.status, answer,
}));
