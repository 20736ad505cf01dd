// imapflow and nodemailer against a started server; prints JSON. Arguments: submissions port, imaps port, address, password.
import { createRequire } from "node:module";
const require = createRequire(process.env.TEST_TOOLS + "/");
const nodemailer = require("nodemailer");
const { ImapFlow } = require("imapflow");

const [, , smtpPort, imapPort, user, pass] = process.argv;
const tls = { rejectUnauthorized: false };
const transport = nodemailer.createTransport({ host: "127.0.0.1", port: +smtpPort, secure: true, auth: { user, pass }, tls });
const sent = await transport.sendMail({
  from: user, to: user, subject: "by nodemailer ✓", text: "plain text", html: "<b>html</b>",
  attachments: [{ filename: "ä.bin", content: Buffer.alloc(70000, 7) }],
});

const client = new ImapFlow({ host: "127.0.0.1", port: +imapPort, secure: true, auth: { user, pass }, tls, logger: false });
await client.connect();
const result = { response: sent.response, capabilities: [...client.capabilities.keys()], enabled: [...client.enabled] };
const lock = await client.getMailboxLock("INBOX");
const message = await client.fetchOne("*", { envelope: true, bodyStructure: true, uid: true, size: true, flags: true, threadId: true });
result.subject = message.envelope.subject;
result.children = message.bodyStructure.childNodes.length;
result.emailId = message.emailId;
const { content } = await client.download(String(message.seq), "2");
let octets = 0;
for await (const chunk of content) octets += chunk.length;
result.attachment = octets;
await client.messageFlagsAdd({ uid: message.uid }, ["\\Flagged"], { uid: true });
result.flagged = await client.search({ flagged: true }, { uid: true });
lock.release();
await client.mailboxCreate(["Node", "Box"]);
const lock2 = await client.getMailboxLock("INBOX");
const moved = await client.messageMove({ uid: message.uid }, "Node/Box", { uid: true });
result.moved = moved.uidMap.size;
lock2.release();
result.status = await client.status("Node/Box", { messages: true, highestModseq: true });
result.status.highestModseq = String(result.status.highestModseq);
result.status.mailboxId = undefined;
result.list = (await client.list()).map((box) => [box.path, box.specialUse ?? null]);
result.quota = await client.getQuota("INBOX");
await client.logout();
console.log(JSON.stringify(result, (key, value) => (typeof value === "bigint" ? String(value) : value)));
