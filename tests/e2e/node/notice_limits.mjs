// usage: notice_limits.mjs FILE...: Slack messages within the numbers that @slack/types names in its
// documentation comments, and within what Slack takes in all (50 blocks; about 13,200 characters of
// text in blocks). Lengths are counted in UTF-16 units: whatever Slack counts, it is no more. Exits 1
// and says what is too long, or missing.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const types = dirname(createRequire(import.meta.url).resolve("@slack/types/package.json"));
const source = (name) => readFileSync(join(types, "dist/block-kit", name), "utf8");
const files = ["blocks.d.ts", "block-elements.d.ts", "composition-objects.d.ts", "extensions.d.ts"]
    .map(source);

// The last number of "Maximum …", "up to …" in the comment of a member of an interface.
function limit(name, member) {
    for (const text of files) {
        const start = text.indexOf(`export interface ${name} `);
        if (start < 0) continue;
        const body = text.slice(start, text.indexOf("\n}", start));
        const parts = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*${member}\\??:`).exec(body);
        const numbers = parts?.[1].replace(/\s*\*\s*/g, " ").match(/maximum [^.]*?(\d[\d,]*)/gi);
        if (numbers) return numbers.map((found) => Number(/(\d[\d,]*)$/.exec(found)[1].replace(",", "")));
    }
    throw new Error(`@slack/types says nothing of ${name}.${member}`);
}
const limits = {
    header: limit("HeaderBlock", "text")[0],
    text: limit("SectionBlock", "text")[0],
    fields: limit("SectionBlock", "fields")[0],
    field: limit("SectionBlock", "fields")[1],
    context: limit("ContextBlock", "elements")[0],
    actions: limit("ActionsBlock", "elements")[0],
    button: limit("Button", "text")[0],
    value: limit("Button", "value")[0],
    action_id: limit("Action", "action_id")[0],
    title: limit("Confirm", "title")[0],
    question: limit("Confirm", "text")[0],
    answer: limit("Confirm", "confirm")[0],
};
const BLOCKS = 50, ALL_TEXT = 13000, FALLBACK = 4000;

let problems = 0;
let total = 0;
function hold(where, text, most) {
    if (typeof text !== "string" || text.length < 1 || text.length > most) {
        console.log(`${where}: ${text?.length} characters where 1 to ${most} may be`);
        problems++;
    }
    total += text?.length ?? 0;
}
function count(where, list, most) {
    if (list.length < 1 || list.length > most) {
        console.log(`${where}: ${list.length} where 1 to ${most} may be`);
        problems++;
    }
}

const check = {
    header: (where, block) => hold(`${where}.text`, block.text.text, limits.header),
    section(where, block) {
        if (block.text || !block.fields) hold(`${where}.text`, block.text?.text, limits.text);
        if (block.fields) count(`${where}.fields`, block.fields, limits.fields);
        block.fields?.forEach((field, i) => hold(`${where}.fields[${i}]`, field.text, limits.field));
    },
    context(where, block) {
        count(`${where}.elements`, block.elements, limits.context);
        block.elements.forEach((element, i) => hold(`${where}[${i}]`, element.text, limits.text));
    },
    actions(where, block) {
        count(`${where}.elements`, block.elements, limits.actions);
        const ids = block.elements.map((button) => button.action_id);
        count(`${where}: distinct action ids`, [...new Set(ids)], ids.length);
        for (const button of block.elements) {
            hold(`${where}.text`, button.text.text, limits.button);
            hold(`${where}.value`, button.value, limits.value);
            hold(`${where}.action_id`, button.action_id, limits.action_id);
            hold(`${where}.confirm.title`, button.confirm.title.text, limits.title);
            hold(`${where}.confirm.text`, button.confirm.text.text, limits.question);
            hold(`${where}.confirm.confirm`, button.confirm.confirm.text, limits.answer);
            hold(`${where}.confirm.deny`, button.confirm.deny.text, limits.answer);
        }
    },
};

for (const file of process.argv.slice(2)) {
    const message = JSON.parse(readFileSync(file, "utf8"));
    const blocks = [message, ...(message.attachments ?? [])].flatMap((part) => part.blocks ?? []);
    hold(`${file}: text`, message.text, FALLBACK);
    count(`${file}: blocks`, blocks, BLOCKS);
    total = 0;
    blocks.forEach((block, i) => check[block.type](`${file}: ${block.type} ${i}`, block));
    if (total > ALL_TEXT) {
        console.log(`${file}: ${total} characters in all its blocks where ${ALL_TEXT} may be`);
        problems++;
    }
}
console.log(JSON.stringify(limits));
process.exit(problems === 0 ? 0 : 1);
