// Reads a message from standard input with mailparser or postal-mime and prints what it sees.
import { createHash } from "node:crypto";

const sha = (bytes) => createHash("sha256").update(Buffer.from(bytes)).digest("hex");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const raw = Buffer.concat(chunks);
let seen;
if (process.argv[2] === "mailparser") {
  const { simpleParser } = await import("mailparser");
  const mail = await simpleParser(raw, { skipImageLinks: true });
  seen = {
    subject: mail.subject, from: mail.from.value[0].name, to: mail.to.value[0].name,
    text: mail.text, html: mail.html,
    files: mail.attachments.map((one) => [one.filename, sha(one.content), one.cid || ""]),
  };
} else {
  const { default: PostalMime } = await import("postal-mime");
  const mail = await PostalMime.parse(raw);
  seen = {
    subject: mail.subject, from: mail.from.name, to: mail.to[0].name,
    text: mail.text, html: mail.html,
    files: mail.attachments.map((one) =>
      [one.filename, sha(one.content), (one.contentId || "").replace(/[<>]/g, "")]),
  };
}
process.stdout.write(JSON.stringify(seen));
