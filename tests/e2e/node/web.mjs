// The pages in a real browser, one story a run: web.mjs STORY [ARGUMENT...]. Each ends with a
// failure when a page says something to the console, breaks its policy, or axe finds anything.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";

import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

const shots = process.env.SHOTS;
const [story, ...given] = process.argv.slice(2);
const switches = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: switches });

// --- what all stories use ------------------------------------------------------------------------

const complaints = [];
const open = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.message}`));
    page.on("console", (message) => {
        const expected = options.expected !== undefined && message.text().includes(options.expected);
        const foreign = page.url().includes("/login/oauth/"); // GitHub's page, not ours
        if (message.type() === "error" && !expected && !foreign) {
            complaints.push(`${page.url()}: ${message.text()}`);
        }
    });
    return page;
};
const shoot = (page, name) =>
    page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
const judge = async (page, name) => {
    const { violations } = await new AxeBuilder({ page }).analyze();
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html}`), [], `axe on ${name}`);
};
const fits = async (page, name) => {
    const [wide, room] = await page.evaluate(() =>
        [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(wide <= room, `${name} is ${wide} wide where ${room} are`);
};
const signIn = async (base, login, options = {}) => {
    const page = await open(options);
    await page.goto(`${base}/`);
    await page.getByRole("link", { name: "Sign in with GitHub" }).click();
    await page.getByRole("link", { name: login, exact: true }).click();
    await page.waitForURL(`${base}/`);
    return page;
};
const api = async (page, where, base) => (await page.request.get(`${base}/api/v1/${where}`)).json();
const until = async (what, check, ms = 60000) => {
    for (const end = Date.now() + ms; Date.now() < end;) {
        if (await check()) {
            return;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail(`still not so: ${what}`);
};
const flash = (page) => page.locator(".flash").textContent();
// Opens the form of an action and returns it.
const form = async (page, name) => {
    const box = page.locator("details.do", { has: page.locator("summary", { hasText: name }) }).first();
    await box.locator("summary").click();
    return box.locator("form");
};

// --- stories -------------------------------------------------------------------------------------

const serveFiles = (directory, policy) => new Promise((resolve) => {
    const types = { ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
        ".html": "text/html; charset=utf-8" };
    const server = http.createServer((request, response) => {
        const { pathname } = new URL(request.url, "http://x");
        const file = pathname.startsWith("/badges/") ? "badge.svg" : path.basename(pathname);
        const full = path.join(directory, file);
        if (!fs.existsSync(full)) {
            response.writeHead(pathname.includes("/events") ? 204 : 404).end();
            return;
        }
        response.writeHead(200, { "Content-Type": types[path.extname(full)],
            "Content-Security-Policy": policy });
        response.end(fs.readFileSync(full));
    });
    server.listen(0, "127.0.0.1", () => resolve(server));
});

const stories = {
    // Every page of the fixture, dark and light, wide and narrow.
    async pages(directory, policy) {
        const server = await serveFiles(directory, policy);
        const base = `http://127.0.0.1:${server.address().port}`;
        const names = fs.readdirSync(directory).filter((name) => name.endsWith(".html"));
        assert.ok(names.length >= 17, `only ${names.length} pages`);
        for (const colorScheme of ["light", "dark"]) {
            const page = await open({ colorScheme });
            for (const file of names.filter((name) => name !== "matrix-500.html")) {
                const name = `${file.replace(".html", "")}-${colorScheme}`;
                await page.goto(`${base}/${file}`);
                await shoot(page, name);
                await judge(page, name);
                await fits(page, name);
            }
            await page.context().close();
        }
        const narrow = await open({ viewport: { width: 390, height: 800 } });
        for (const file of names.filter((name) => name !== "matrix-500.html")) {
            await narrow.goto(`${base}/${file}`);
            await fits(narrow, `narrow ${file}`);
            await shoot(narrow, `${file.replace(".html", "")}-narrow`);
        }
        server.close();
    },

    // Without a session there is nothing to see; with one, until it ends.
    async sign_in(base) {
        const page = await open();
        for (const where of ["/", "/queue", "/apps/greeter", "/audit", "/locks", "/deployments/d-1"]) {
            await page.goto(base + where);
            assert.equal(new URL(page.url()).pathname, "/sign-in", where);
        }
        await judge(page, "sign-in");
        await page.goto(`${base}/queue`);
        await page.getByRole("link", { name: "Sign in with GitHub" }).click();
        await page.getByRole("link", { name: "octocat", exact: true }).click();
        assert.equal(page.url(), `${base}/queue`); // where it was going
        const [session] = (await page.context().cookies()).filter((c) => c.name === "session");
        assert.equal(session.httpOnly, true);
        assert.equal(session.sameSite, "Lax");
        assert.match(session.value, /^[0-9a-f]{64}$/);
        await page.getByRole("button", { name: "Sign out" }).click();
        assert.equal(new URL(page.url()).pathname, "/sign-in");
        // The old cookie is worth nothing now, even when it is put back.
        await page.context().addCookies([session]);
        await page.goto(`${base}/queue`);
        assert.equal(new URL(page.url()).pathname, "/sign-in");
        // A session that somebody else chose is not what signing in continues.
        await page.context().addCookies([{ ...session, value: "a".repeat(64) }]);
        await page.goto(`${base}/`);
        await page.getByRole("link", { name: "Sign in with GitHub" }).click();
        await page.getByRole("link", { name: "octocat", exact: true }).click();
        const [after] = (await page.context().cookies()).filter((c) => c.name === "session");
        assert.notEqual(after.value, "a".repeat(64));
    },

    // Somebody wrote the parameter: the matrix says so in words, its filter finds it, the app's page
    // says what differs and what to do; all of it by keyboard, in dark and light.
    async drift(base, version, found) {
        const sentence = `Parameter '/greeter/staging/web/version' says '${found}'; '${version}' is ` +
            "what was deployed last.";
        for (const colorScheme of ["light", "dark"]) {
            const page = await signIn(base, "octocat", { colorScheme });
            await page.goto(`${base}/`);
            const row = page.locator("tr", { has: page.getByRole("link", { name: "greeter", exact: true }) });
            assert.equal(await row.locator(".b.drift").textContent(), "drift");
            assert.equal(await row.locator(".b.drift").getAttribute("title"), sentence);
            assert.match(await page.locator(".looked").textContent(), /^Looked for drift \S+ ago\.$/);
            await judge(page, `drift-matrix-${colorScheme}`);
            await fits(page, "drift-matrix");
            await shoot(page, `drift-matrix-${colorScheme}`);
            await page.getByRole("link", { name: "Drift 1" }).click();
            assert.equal(page.url(), `${base}/?drift=1`);
            assert.equal(await page.locator("tbody tr:not(.group)").count(), 1);
            await page.goto(`${base}/apps/greeter?env=staging`);
            const card = page.locator("section#staging");
            const note = await card.locator("p.note", { has: page.locator(".b.drift") }).textContent();
            assert.ok(note.startsWith(`drift ${sentence} Seen first `), note);
            await card.locator("details.ways summary").focus();
            await page.keyboard.press("Enter");
            assert.deepEqual(await card.locator("details.ways code").allTextContents(), [
                `dispatcher deploy greeter --env staging --version ${version} --server ${base}`, found]);
            await judge(page, `drift-app-${colorScheme}`);
            await fits(page, "drift-app");
            await shoot(page, `drift-app-${colorScheme}`);
            await page.setViewportSize({ width: 390, height: 800 });
            await fits(page, "drift-app narrow");
            await page.context().close();
        }
    },

    // It says again what was deployed: nothing of it is left but the entries of the audit log.
    async no_drift(base) {
        const page = await signIn(base, "octocat");
        await page.goto(`${base}/`);
        assert.equal(await page.locator(".b.drift").count(), 0);
        await page.goto(`${base}/apps/greeter`);
        const card = page.locator("section#staging");
        assert.equal(await card.locator(".b.drift").count(), 0);
        assert.match(await card.textContent(), /The version parameter says so; what runs is not compared/);
        await page.goto(`${base}/audit?kind=drift`);
        const rows = await page.locator("tbody tr").allTextContents();
        assert.equal(rows.filter((text) => text.includes("says 'v9'")).length, 2, rows.join("\n"));
        assert.equal(rows.filter((text) => text.includes("no longer: ")).length, 1);
        await judge(page, "drift-audit");
        await shoot(page, "drift-audit");
    },

    async strangers(base) {
        const page = await open({ expected: "403" });
        await page.goto(`${base}/`);
        await page.getByRole("link", { name: "Sign in with GitHub" }).click();
        await page.getByRole("link", { name: "mallory", exact: true }).click();
        await page.getByText("You are no member of demo").waitFor();
        await shoot(page, "sign-in-refused");
        await page.goto(`${base}/`);
        assert.equal(new URL(page.url()).pathname, "/sign-in");
        // Who says no at GitHub, and who is sent here with somebody else's sign-in.
        await page.goto(`${base}/`);
        await page.getByRole("link", { name: "Sign in with GitHub" }).click();
        await page.getByRole("link", { name: "Cancel" }).click();
        await page.getByText("you did not agree").waitFor();
        await page.goto(`${base}/sign-in/callback?code=x&state=${"0".repeat(48)}`);
        await page.getByText("not begun in this browser").waitFor();
    },

    // Each screen as the service fills it.
    async screens(base, id) {
        for (const colorScheme of ["light", "dark"]) {
            const page = await signIn(base, "octocat", { colorScheme });
            const screens = { matrix: "/", tv: "/?tv=1", past: "/?at=2026-01-01T00:00:00Z",
                queue: "/queue", app: "/apps/greeter", deployment: `/deployments/${id}`,
                audit: "/audit", verified: "/audit?verify=1", locks: "/locks" };
            for (const [name, where] of Object.entries(screens)) {
                const answer = await page.goto(base + where);
                assert.equal(answer.status(), 200, where);
                assert.match(answer.headers()["content-security-policy"], /^default-src 'none'; script-src 'self'/);
                await shoot(page, `live-${name}-${colorScheme}`);
                await judge(page, `live ${name} ${colorScheme}`);
                await fits(page, `live ${name}`);
            }
            assert.match(await page.locator("main").textContent(), /Nothing is locked/);
            await page.goto(`${base}/audit?verify=1`);
            await page.getByText("chain whole").waitFor();
            const csv = await page.request.get(`${base}/audit.csv?view=denials`);
            assert.match(csv.headers()["content-type"], /^text\/csv/);
            await page.context().close();
        }
    },

    // Lock and lift, by somebody who may and in sight of somebody who may not.
    async locks(base) {
        const page = await signIn(base, "octocat");
        await page.goto(`${base}/locks`);
        await page.getByRole("combobox", { name: "Scope", exact: true }).selectOption("environment");
        await page.getByRole("combobox", { name: "Environment", exact: true }).selectOption("production");
        await page.getByRole("radio", { name: /Freeze/ }).check();
        await page.getByLabel("Reason").fill("the database <b>moves</b>");
        await page.getByRole("button", { name: "Lock", exact: true }).click();
        assert.equal(await flash(page), "It is locked.");
        await shoot(page, "live-locked");
        const { locks } = await api(page, "locks", base);
        assert.equal(locks.length, 1);
        const { scope, env, app, level, reason, owner } = locks[0];
        assert.deepEqual({ scope, env, app, level, reason, owner }, { scope: "environment",
            env: "production", app: null, level: "freeze", reason: "the database <b>moves</b>",
            owner: "octocat" });
        await page.goto(`${base}/`);
        await page.locator(".banner").getByText("the database <b>moves</b>").waitFor();
        await shoot(page, "live-banner");
        await judge(page, "banner");
        const other = await signIn(base, "sandbox-user");
        await other.goto(`${base}/locks`);
        assert.equal(await other.getByRole("button", { name: /Lift it/ }).count(), 0);
        await other.getByText("octocat and the team devops can lift it.").waitFor();
        await page.goto(`${base}/locks`);
        await page.getByRole("button", { name: /Lift it/ }).click();
        assert.equal(await flash(page), "It is lifted.");
        assert.equal((await api(page, "locks", base)).locks.length, 0);
        // What the API refuses, the page says.
        await other.getByLabel("Reason").fill("mine");
        await other.getByRole("combobox", { name: "Scope", exact: true }).selectOption("organisation");
        await other.getByRole("button", { name: "Lock", exact: true }).click();
        assert.match(await flash(other), /only admins may lock more than one app/);
        const { entries } = await api(page, "audit?kind=lock", base);
        assert.equal(entries.length, 2);
    },

    // Promote, look, approve by another person, follow it live to its end.
    async promote(base, first) {
        const page = await signIn(base, "octocat");
        await page.goto(`${base}/apps/greeter`);
        await shoot(page, "live-app-before");
        const promotion = await form(page, "Promote");
        await promotion.getByRole("button", { name: "Promote to production" }).click();
        assert.equal(await flash(page), "It is in the queue.");
        const id = new URL(page.url()).pathname.split("/").pop();
        await until("it needs approval", async () =>
            (await api(page, `deployments/${id}`, base)).reason?.code === "approval-needed");
        await page.reload();
        // Whoever asks may not approve: the button is there, with the reason.
        assert.equal(await page.getByRole("button", { name: "Approve", exact: true }).isDisabled(), true);
        await page.getByText("whoever asks for a deployment may not approve it").waitFor();
        await judge(page, "waiting");
        const other = await signIn(base, "monalisa");
        await other.goto(`${base}/deployments/${id}`);
        await shoot(other, "live-waiting");
        const approval = await form(other, "Approve");
        await shoot(other, "live-approve");
        await judge(other, "approve");
        await approval.getByLabel("Note").fill("looks right");
        await approval.getByRole("button", { name: "Approve" }).click();
        assert.match(await flash(other), /^You approved #\d+\.$/);
        // Nothing is reloaded by hand from here on.
        await page.locator(".head .b.ok", { hasText: "deployed" }).waitFor({ timeout: 90000 });
        await shoot(page, "live-deployed");
        await page.getByText("looks right").first().waitFor();
        const shown = await api(page, `deployments/${id}`, base);
        assert.equal(shown.result, "deployed");
        assert.deepEqual(shown.approvals.given.map((one) => one.by), ["monalisa"]);
        await page.goto(`${base}/apps/greeter`);
        assert.match(await page.locator("#production .bigv").textContent(), new RegExp(first.slice(0, 9)));
    },

    async go_back(base, first) {
        const page = await signIn(base, "octocat");
        await page.goto(`${base}/apps/greeter`);
        const box = page.locator("#staging details.do", { hasText: "Roll back" });
        await box.locator("summary").click();
        await shoot(page, "live-roll-back");
        await judge(page, "roll back");
        await box.getByRole("combobox", { name: "To", exact: true }).selectOption(first);
        await box.getByLabel("Reason").fill("checkout is slow");
        await box.getByRole("button", { name: /Roll back greeter/ }).click();
        assert.equal(await flash(page), "It is in the queue.");
        const id = new URL(page.url()).pathname.split("/").pop();
        await page.locator(".head .b.ok", { hasText: "deployed" }).waitFor({ timeout: 90000 });
        const shown = await api(page, `deployments/${id}`, base);
        assert.equal(shown.verb, "rollback");
        assert.equal(shown.result, "deployed");
        assert.equal(shown.version, first);
        const { locks } = await api(page, "locks", base);
        assert.deepEqual(locks.map(({ scope, app, env }) => ({ scope, app, env })),
            [{ scope: "target", app: "greeter", env: "staging" }]);
        await page.goto(`${base}/apps/greeter`);
        const row = page.locator("tbody tr", { hasText: "rollback" });
        assert.match(await row.textContent(), /checkout is slow/);
        await shoot(page, "live-rolled-back");
        await judge(page, "rolled back");
    },

    async cancel(base, id) {
        const page = await signIn(base, "octocat");
        await page.goto(`${base}/queue`);
        await shoot(page, "live-queue");
        await judge(page, "queue");
        const cancellation = await form(page, "Cancel");
        await cancellation.getByLabel("Reason").fill("not today");
        await cancellation.getByRole("button", { name: "Cancel this deployment" }).click();
        assert.match(await flash(page), /taken out of the queue; nothing was changed/);
        assert.equal(new URL(page.url()).pathname, "/queue");
        const shown = await api(page, `deployments/${id}`, base);
        assert.deepEqual([shown.state, shown.result], ["final", "cancelled"]);
    },

    // The whole way without a script: sign in, filter, lock, sign out.
    async plain(base) {
        const page = await signIn(base, "octocat", { javaScriptEnabled: false });
        await page.getByRole("searchbox").fill("greet");
        await page.getByRole("searchbox").press("Enter");
        assert.equal(new URL(page.url()).searchParams.get("q"), "greet");
        await page.getByRole("rowheader", { name: "greeter" }).waitFor();
        await page.getByRole("searchbox").fill("no such");
        await page.getByRole("searchbox").press("Enter");
        await page.getByText("No app matches").waitFor();
        await page.goto(`${base}/locks`);
        await page.getByRole("combobox", { name: "Scope", exact: true }).selectOption("app");
        await page.getByRole("combobox", { name: "App", exact: true }).selectOption("greeter");
        await page.getByLabel("Reason").fill("by hand");
        await page.getByRole("button", { name: "Lock", exact: true }).click();
        assert.equal(await flash(page), "It is locked.");
        await page.reload();
        assert.equal(await page.locator(".flash").count(), 0); // said once
        await page.getByRole("button", { name: /Lift it/ }).click();
        assert.equal(await flash(page), "It is lifted.");
        await page.getByRole("button", { name: /Change to dark/ }).click();
        assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
        await shoot(page, "live-plain");
        await page.getByRole("button", { name: "Sign out" }).click();
        assert.equal(new URL(page.url()).pathname, "/sign-in");
    },

    async keyboard(base) {
        const page = await signIn(base, "octocat");
        await page.keyboard.press("Tab");
        const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
        assert.equal(await focused(), "Skip to the content");
        assert.equal(await page.locator(".skip").isVisible(), true);
        await page.keyboard.press("Enter");
        assert.equal(await page.evaluate(() => document.activeElement.id), "main");
        await page.keyboard.press("?");
        assert.equal(await page.locator("#shortcuts").evaluate((box) => box.open), true);
        await page.keyboard.press("/");
        assert.equal(await page.evaluate(() => document.activeElement.id), "q");
        await page.keyboard.type("gq?"); // in a field they are letters
        assert.equal(await page.locator("#q").inputValue(), "gq?");
        await page.keyboard.press("Escape");
        await page.keyboard.press("j");
        assert.equal(await focused(), "greeter");
        const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
        assert.notEqual(ring, "none");
        await page.keyboard.press("t");
        assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
        for (const [keys, where] of [["gq", "/queue"], ["gl", "/locks"], ["ga", "/audit"], ["ge", "/"]]) {
            await page.keyboard.press(keys[0]);
            await page.keyboard.press(keys[1]);
            await page.waitForURL(base + where);
        }
        assert.equal(await page.locator("html").getAttribute("data-theme"), "dark"); // kept
        // They can be switched off, and stay off.
        await page.locator("#shortcuts summary").click();
        await page.locator("#keys").uncheck();
        await page.reload();
        await page.keyboard.press("g");
        await page.keyboard.press("q");
        await page.waitForTimeout(300);
        assert.equal(page.url(), `${base}/`);
        // What needs a reason is reached and sent by keys alone.
        await page.goto(`${base}/locks`);
        await page.getByLabel("Reason").focus();
        await page.getByRole("combobox", { name: "Scope", exact: true }).selectOption("app");
        await page.getByRole("combobox", { name: "App", exact: true }).selectOption("greeter");
        await page.getByLabel("Reason").focus();
        await page.keyboard.type("typed");
        await page.keyboard.press("Enter");
        await page.locator(".flash").waitFor();
        assert.equal(await flash(page), "It is locked.");
    },

    // What is not from a page of ours changes nothing.
    async forged(base) {
        const page = await signIn(base, "octocat");
        const lock = { scope: "app", app: "greeter", level: "lock", on_release: "run", reason: "x" };
        const csrf = await page.goto(`${base}/locks`).then(() =>
            page.locator("form[action='/locks'] input[name=csrf]").getAttribute("value"));
        const send = (form, headers) =>
            page.request.post(`${base}/locks`, { form, headers, maxRedirects: 0 });
        assert.equal((await send(lock, {})).status(), 403);
        assert.equal((await send({ ...lock, csrf: "0".repeat(64) }, {})).status(), 403);
        assert.equal((await send({ ...lock, csrf }, { Origin: "https://evil.example" })).status(), 403);
        assert.equal((await send({ ...lock, csrf }, { "Sec-Fetch-Site": "cross-site" })).status(), 403);
        assert.equal((await api(page, "locks", base)).locks.length, 0);
        // It comes back to this site only.
        const back = await send({ ...lock, csrf, back: "//evil.example/" }, {});
        assert.deepEqual([back.status(), back.headers().location], [303, "/"]);
        assert.equal((await api(page, "locks", base)).locks.length, 1);
        const next = await page.request.get(`${base}/sign-in?next=https://evil.example/`, { maxRedirects: 0 });
        assert.equal(next.headers().location, "/");
        // What stands in an address stays text.
        await page.goto(`${base}/?q=${encodeURIComponent("\"><script>alert(1)</script>")}`);
        assert.equal(await page.locator("#q").inputValue(), "\"><script>alert(1)</script>");
        const policy = (await page.goto(`${base}/`)).headers()["content-security-policy"];
        assert.ok(!policy.includes("unsafe"));
    },
};

try {
    assert.ok(stories[story] !== undefined, `no story '${story}'`);
    await stories[story](...given);
    assert.deepEqual(complaints, []);
} finally {
    await browser.close();
}
