// usage: notice_types.mjs DIRECTORY KIND=FILE...: writes DIRECTORY/notices.ts, in which each file is
// a literal of the vendor's own type (KIND: slack | change | alert), and compiles it. Exits with what
// the compiler does.
import { spawnSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [directory, ...files] = process.argv.slice(2);
const lines = [`
import type { KnownBlock, MessageAttachment, MessageMetadata } from "@slack/types";
import type { ChangePayload, EventPayloadV2 } from "@pagerduty/pdjs/build/src/events";

// AnyBlock takes any object with a type: only the known ones are meant here.
interface slack {
    text: string;
    blocks: KnownBlock[];
    attachments?: (Omit<MessageAttachment, "blocks"> & { blocks: KnownBlock[] })[];
    metadata?: MessageMetadata;
    unfurl_links: false;
    unfurl_media: false;
    reply_broadcast?: true;
}
// The client adds the routing key.
type change = Omit<ChangePayload, "routing_key">;
type alert =
    | Omit<EventPayloadV2, "routing_key"> & { event_action: "trigger"; dedup_key: string; client: string;
        client_url?: string }
    | { event_action: "resolve"; dedup_key: string };
`];
for (const [index, file] of files.entries()) {
    const [kind, path] = file.split("=");
    lines.push(`// ${path}\nexport const m${index}: ${kind} = ${readFileSync(path, "utf8")};`);
}
writeFileSync(join(directory, "notices.ts"), lines.join("\n"));
symlinkSync(join(here, "node_modules"), join(directory, "node_modules"));
writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({
    compilerOptions: { noEmit: true, strict: true, skipLibCheck: true, types: [], lib: ["es2022", "dom"],
        module: "nodenext", moduleResolution: "nodenext" },
    files: ["notices.ts"],
}));
const compiled = spawnSync(process.execPath,
    [join(here, "node_modules/typescript/bin/tsc"), "--project", directory], { encoding: "utf8" });
process.stdout.write(compiled.stdout + compiled.stderr);
process.exit(compiled.status ?? 1);
