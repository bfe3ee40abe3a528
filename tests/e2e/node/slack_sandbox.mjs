// @slack/web-api and @slack/webhook before the sandbox's Slack: prints what happened as one line of
// JSON. The first argument says which part.
import { WebClient } from "@slack/web-api";
import { IncomingWebhook } from "@slack/webhook";

const { SLACK_API_URL: slackApiUrl, SLACK_BOT_TOKEN: token, SLACK_WEBHOOK_URL: hookUrl } = process.env;
const { DISPATCHER_SANDBOX_CONTROL: control } = process.env;
const options = { slackApiUrl, retryConfig: { retries: 0 }, rejectRateLimitedCalls: true, logLevel: "error" };
const slack = new WebClient(token, options);
const channel = "C0SANDBOX01";

const order = async (body) => {
    const answer = await fetch(`${control}/slack`, { method: "POST", body: JSON.stringify(body) });
    if (answer.status !== 204) throw new Error(`${answer.status} ${await answer.text()}`);
};
const refused = (promise) => promise.then(() => "taken", (err) => err.data?.error ?? [err.code, err.retryAfter]);
const flaws = (promise) =>
    promise.then(() => "taken", (err) => [err.data.error, ...err.data.response_metadata.messages]);
const post = (more) => slack.chat.postMessage({ channel: "#deploys", text: "hello", ...more });
const section = (text) => ({ type: "section", text: { type: "mrkdwn", text } });

const life = async () => {
    const who = await slack.auth.test();
    const metadata = { event_type: "deployment", event_payload: { id: "d-1", app: "shop" } };
    const first = await post({ text: "started", blocks: [section("*started*")], metadata });
    await post({ channel: "deploys", text: "by name" });
    const answer = await post({ channel, thread_ts: first.ts, text: "log tail" });
    const loud = await post({ channel, thread_ts: first.ts, text: "failed", reply_broadcast: true });
    const updated = await slack.chat.update({ channel, ts: first.ts, text: "deployed", blocks: [section("*deployed*")] });
    await slack.chat.update({ channel, ts: first.ts, text: "words only" });
    await slack.chat.update({ channel, ts: first.ts, text: "bare", blocks: [], metadata: {} });
    const plain = await slack.conversations.history({ channel });
    const whole = await slack.conversations.history({ channel, include_all_metadata: true });
    await slack.chat.update({ channel, ts: first.ts, text: "again", metadata });
    const again = await slack.conversations.history({ channel, include_all_metadata: true });
    const page = await slack.conversations.history({ channel, limit: 2 });
    const next = await slack.conversations.history({ channel, limit: 2, cursor: page.response_metadata.next_cursor });
    const older = await slack.conversations.history({ channel, latest: loud.ts });
    const newer = await slack.conversations.history({ channel, oldest: loud.ts, inclusive: true });
    const replies = await slack.conversations.replies({ channel, ts: first.ts });
    const link = await slack.chat.getPermalink({ channel, message_ts: first.ts });
    const texts = (answer) => answer.messages.map((message) => message.text);
    const inbox = await (await fetch(`${control}/inbox`)).json();
    const kept = inbox.slack.channels[0].messages[0];
    return {
        who: [who.team, who.user, who.response_metadata.scopes],
        posted: [first.channel, first.message.text, first.message.metadata.event_payload.id],
        updated: [updated.ts === first.ts, updated.text, updated.message.blocks[0].text.text, updated.message.metadata.event_type],
        plain: plain.messages.map((message) => message.metadata ?? null),
        whole: whole.messages.map((message) => message.metadata?.event_payload.id ?? null),
        again: again.messages.map((message) => message.metadata?.event_payload.id ?? null),
        history: texts(again),
        subtypes: again.messages.map((message) => message.subtype ?? null),
        parent: [again.messages[2].reply_count, again.messages[2].latest_reply === loud.ts, "edited" in again.messages[2]],
        pages: [texts(page), page.has_more, texts(next), next.has_more],
        bounds: [texts(older), texts(newer)],
        replies: texts(replies),
        mine: answer.message.thread_ts === first.ts,
        link: link.permalink.endsWith(`/slack/archives/${channel}/p${first.ts.replace(".", "")}`),
        revisions: kept.revisions.map(({ text, blocks, metadata }) => [text, blocks.length, metadata?.event_payload.id ?? null]),
        times: kept.revisions.every(({ time_ms }, i, all) => i === 0 || time_ms >= all[i - 1].time_ms),
        thread: kept.replies.map(({ text, reply_broadcast }) => [text, reply_broadcast]),
        counts: [inbox.slack.requests, inbox.slack.refusals],
    };
};

const errors = async () => {
    await order({ rate: null });
    const nobody = new WebClient(undefined, options), stranger = new WebClient("xoxb-stranger", options);
    const { ts } = await post({});
    const reply = await post({ thread_ts: ts });
    const out = {
        not_authed: await refused(nobody.auth.test()),
        invalid_auth: await refused(stranger.auth.test()),
        unknown: await slack.apiCall("chat.shout").catch((err) => [err.data.error, err.data.req_method]),
        no_channel: await flaws(slack.apiCall("chat.postMessage", { text: "x" })),
        no_ts: await flaws(slack.apiCall("chat.update", { channel, text: "x" })),
        channel: await refused(post({ channel: "#nowhere" })),
        no_text: await refused(post({ text: "" })),
        update_by_name: await refused(slack.chat.update({ channel: "#deploys", ts, text: "x" })),
        history_by_name: await refused(slack.conversations.history({ channel: "#deploys" })),
        message: await refused(slack.chat.update({ channel, ts: "1.000001", text: "x" })),
        too_long: await refused(slack.chat.update({ channel, ts, text: "x".repeat(4001) })),
        update_no_text: await refused(slack.apiCall("chat.update", { channel, ts })),
        thread: await refused(slack.conversations.replies({ channel, ts: "1.000001" })),
        post_thread: await refused(post({ thread_ts: "1.000001" })),
        thread_ts: await refused(post({ thread_ts: "no" })),
        reply_to_reply: await refused(post({ thread_ts: reply.ts })),
        permalink: [
            await refused(slack.chat.getPermalink({ channel, message_ts: "1.000001" })),
            await refused(slack.chat.getPermalink({ channel: "C0", message_ts: ts })),
        ],
        pages: [
            await refused(slack.conversations.history({ channel, limit: 1000 })),
            await refused(slack.conversations.history({ channel, cursor: "no" })),
            await refused(slack.conversations.history({ channel, oldest: "no" })),
            await refused(slack.conversations.history({ channel, latest: "no" })),
        ],
        format: await refused(post({ blocks: "{" })),
        not_a_list: await refused(post({ blocks: "{}" })),
        metadata: [
            await refused(post({ metadata: { event_type: "x" } })),
            await refused(post({ metadata: "{" })),
            await refused(post({ metadata: { event_type: "x", event_payload: { id: "y".repeat(16400) } } })),
        ],
        attachments: await flaws(post({ attachments: [{ color: "reddish" }] })),
        many: await refused(post({ attachments: Array(101).fill({ text: "x" }) })),
        blocks: await flaws(post({ blocks: [section("x".repeat(3001)), { type: "header", text: { type: "mrkdwn", text: "x" } }] })),
        count: await flaws(post({ blocks: Array(51).fill({ type: "divider" }) })),
        fits: await refused(post({ blocks: [...Array(4).fill(section("x".repeat(3000))), section("x".repeat(1200))] })),
        total: await refused(post({ blocks: [...Array(4).fill(section("x".repeat(3000))), section("x".repeat(1201))] })),
    };
    const cut = await post({ text: "é".repeat(40001) });
    out.cut = [cut.message.text.length, cut.response_metadata.warnings, cut.response_metadata.messages];
    await order({ scopes: ["channels:history"] });
    out.scope = await post({}).catch(({ data }) => [data.error, data.needed, data.provided]);
    await order({ scopes: ["chat:write"] });
    out.read_scope = await slack.conversations.history({ channel }).catch(({ data }) => [data.error, data.needed]);
    await order({ channels: [{ name: "secret", id: "C0SECRET", private: true }] });
    out.private_scope = await slack.conversations.history({ channel: "C0SECRET" }).catch(({ data }) => data.needed);
    await order({ scopes: ["chat:write", "channels:history", "groups:history"], channels: [{ id: "C0SECRET", member: false }] });
    out.private = [await refused(post({ channel: "C0SECRET" })), await refused(slack.conversations.history({ channel: "C0SECRET" }))];
    await order({ channels: [{ name: "#deploys", member: false }] });
    out.outside = [await refused(post({})), await refused(slack.conversations.history({ channel })), await refused(slack.chat.update({ channel, ts, text: "x" }))];
    await order({ scopes: ["chat:write", "chat:write.public"] });
    out.public = await refused(post({}));
    await order({ scopes: ["chat:write", "channels:history"], channels: [{ name: "deploys", member: true, archived: true }] });
    out.archived = [await refused(post({})), await refused(slack.chat.update({ channel, ts, text: "x" }))];
    await order({ channels: [{ id: channel, archived: false, deleted: true }] });
    out.deleted = [await refused(post({})), await refused(slack.conversations.history({ channel }))];
    await order({ channels: [{ name: "deploys" }] }); // another one of the name
    out.successor = (await post({})).channel !== channel;
    await order({ channels: [{ id: channel, deleted: false }], edits: "closed" });
    out.edits = await refused(slack.chat.update({ channel, ts, text: "x" }));
    await new IncomingWebhook(hookUrl).send("by webhook");
    const { messages } = await slack.conversations.history({ channel, limit: 1 });
    out.foreign = [messages[0].subtype, await refused(slack.chat.update({ channel, ts: messages[0].ts, text: "x" }))];
    await order({ token: "revoked" });
    out.revoked = await refused(slack.auth.test());
    await order({ token: "inactive" });
    out.inactive = await refused(slack.auth.test());
    await order({ token: "good", fail: { what: "auth.*", count: 2, error: "fatal_error" } });
    out.failing = [await refused(slack.auth.test()), await refused(post({ channel: "general" })), await refused(slack.auth.test()), await refused(slack.auth.test())];
    await order({ fail: { status: 503, body: "<html>busy</html>" } });
    out.http = await slack.auth.test().catch((err) => [err.code, err.statusCode]);
    await order({ fail: { status: 429, retry_after: 30, error: "ratelimited" } });
    out.limited = await refused(slack.auth.test());
    return out;
};

// Whatever the machine's speed: at first so slow that nothing is refilled meanwhile.
const rates = async () => {
    const usual = await Promise.all(Array.from({ length: 20 }, () => refused(post({ channel: "general" }))));
    await new Promise((done) => setTimeout(done, 1100));
    const later = await refused(post({ channel: "general" }));
    await order({ rate: { per_second: 0.01, burst: 5, calls_a_minute: 2 } });
    const burst = [];
    for (let i = 0; i < 6; i++) burst.push(await refused(post({ text: `${i}` })));
    const hook = await new IncomingWebhook(hookUrl).send("x").catch((err) => [err.statusCode, err.body]);
    const { ts } = await post({ channel: "incidents" }); // has a rate of its own
    const updates = [];
    for (let i = 0; i < 3; i++) updates.push(await refused(slack.chat.update({ channel: "C0SANDBOX02", ts, text: `${i}` })));
    const reads = [];
    for (let i = 0; i < 3; i++) reads.push(await refused(slack.conversations.history({ channel })));
    await order({ rate: null });
    const free = new Set(await Promise.all(Array.from({ length: 60 }, () => refused(post({})))));
    const edits = new Set(await Promise.all(Array.from({ length: 60 }, () => refused(slack.chat.update({ channel: "C0SANDBOX02", ts, text: "x" })))));
    const taken = usual.filter((one) => one === "taken").length;
    const others = new Set(usual.filter((one) => one !== "taken").map((one) => one.join(" ")));
    return { usual: [taken >= 5 && taken < 20, [...others]], later, burst, hook, updates, reads, free: [...free], edits: [...edits] };
};

const webhook = async () => {
    await order({ rate: null });
    const send = (url, message) =>
        new IncomingWebhook(url).send(message).then(({ text }) => text, (err) => [err.statusCode, err.body]);
    const raw = async (body, type = "application/json") => {
        const answer = await fetch(hookUrl, { method: "POST", body, headers: { "Content-Type": type } });
        return [answer.status, await answer.text()];
    };
    const at = (team, service, key) => {
        const parts = hookUrl.split("/");
        return [...parts.slice(0, -3), team ?? parts.at(-3), service ?? parts.at(-2), key ?? parts.at(-1)].join("/");
    };
    const out = {
        ok: await send(hookUrl, "plain"),
        rich: await send(hookUrl, { text: "rich", attachments: [{ color: "danger", blocks: [section("failed")] }] }),
        form: await raw(`payload=${encodeURIComponent('{"text":"by form"}')}`, "application/x-www-form-urlencoded"),
        payload: await raw("{"),
        list: await raw("[]"),
        no_text: await send(hookUrl, { username: "x" }),
        blocks: await send(hookUrl, { blocks: [section("")] }),
        total: await send(hookUrl, { blocks: Array(5).fill(section("x".repeat(3000))) }),
        team: await send(at("T0OTHER"), "x"),
        service: await send(at(undefined, "B0OTHER"), "x"),
        token: await send(at(undefined, undefined, "wrong"), "x"),
    };
    await order({ webhook: { prohibited: true } });
    out.prohibited = await send(hookUrl, "x");
    await order({ webhook: { prohibited: false, removed: true } });
    out.removed = await send(hookUrl, "x");
    await order({ webhook: { removed: false }, channels: [{ name: "deploys", archived: true }] });
    out.archived = await send(hookUrl, "x");
    await order({ webhook: { errors_as_200: true } });
    out.quiet = [await send(hookUrl, "x"), await raw("{")];
    await order({ webhook: { errors_as_200: false }, channels: [{ name: "deploys", deleted: true }] });
    out.deleted = await send(hookUrl, "x");
    await order({ webhook: { channel: "#general" }, fail: { what: "webhook", count: 1 } });
    out.rollup = await send(hookUrl, "x");
    out.moved = await send(hookUrl, "moved");
    const inbox = await (await fetch(`${control}/inbox`)).json();
    out.kept = inbox.slack.channels.map(({ name, messages }) => [name, messages.map(({ from, text }) => [from, text])]);
    out.refused = inbox.slack.refused;
    return out;
};

console.log(JSON.stringify(await { life, errors, rates, webhook }[process.argv[2]]()));
