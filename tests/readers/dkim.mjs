// Verifies the DKIM signatures of a message with mailauth; the keys come as the argument, a JSON
// object of names and TXT records. Prints [algorithm, result, comment] of each signature.
import { dkimVerify } from "mailauth/lib/dkim/verify.js";

const records = JSON.parse(process.argv[2]);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const resolver = async (name, type) => {
  if (type !== "TXT" || !(name in records)) {
    throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
  }
  return [[records[name]]];
};
const seen = await dkimVerify(Buffer.concat(chunks), { resolver });
process.stdout.write(
  JSON.stringify(seen.results.map((one) => [one.algo, one.status.result, one.status.comment || ""])),
);
