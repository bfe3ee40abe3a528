// Makes pages live: the same page is asked for again and its <main> swapped, so what is shown is
// always what the server would show. Without this file everything still works.
"use strict";
(() => {
    const $ = (selector, from = document) => from.querySelector(selector);
    const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
    const store = {
        get: (key) => {
            try {
                return localStorage.getItem(key);
            } catch {
                return null;
            }
        },
        set: (key, value) => {
            try {
                localStorage.setItem(key, value);
            } catch {
                // private windows: the choice lasts as long as the page
            }
        },
    };
    document.documentElement.classList.add("js");

    // --- theme: a press instead of a round trip; the cookie is what the server reads -------------
    const themes = ["auto", "dark", "light"];
    const setTheme = (theme) => {
        const root = document.documentElement;
        if (theme === "auto") {
            delete root.dataset.theme;
        } else {
            root.dataset.theme = theme;
        }
        const secure = location.protocol === "https:" ? ";Secure" : "";
        document.cookie = `theme=${theme};Path=/;Max-Age=31536000;SameSite=Lax${secure}`;
        const next = themes[(themes.indexOf(theme) + 1) % themes.length];
        const button = $("#theme button");
        if (button !== null) {
            const says = `Theme: ${theme === "auto" ? "as the system" : theme}. Change to ${next}`;
            button.value = next;
            button.title = says;
            $(".vh", button).textContent = says;
        }
    };
    $("#theme")?.addEventListener("submit", (event) => {
        event.preventDefault();
        setTheme($("#theme button").value);
    });

    // --- commands: a button to copy --------------------------------------------------------------
    const addCopyButtons = (root) => {
        for (const box of $$("[data-copy]", root)) {
            if ($("button", box) !== null || navigator.clipboard === undefined) {
                continue;
            }
            const button = document.createElement("button");
            button.type = "button";
            button.className = "quiet";
            button.textContent = "Copy";
            button.addEventListener("click", async () => {
                await navigator.clipboard.writeText($("code, pre", box).textContent);
                button.textContent = "Copied";
                setTimeout(() => (button.textContent = "Copy"), 2000);
            });
            box.append(button);
        }
    };

    // --- times: also in the reader's own zone, as it is asked for --------------------------------
    document.addEventListener("mouseover", (event) => {
        const time = event.target.closest?.("time[datetime]");
        if (time !== null && time !== undefined && time.dataset.local === undefined) {
            const at = new Date(time.dateTime.replace(" ", "T"));
            if (!Number.isNaN(at.getTime())) {
                time.dataset.local = "1";
                time.title += `\n${at.toLocaleString()} here`;
            }
        }
    });

    // --- live ------------------------------------------------------------------------------------
    // Nothing is swapped under somebody's hands: while a field has the focus or was changed.
    const isBusy = () => {
        const main = $("#main");
        const active = document.activeElement;
        const typing = main.contains(active) && active.matches("input, select, textarea");
        const changed = $$("input, textarea", main).some((field) =>
            field.type === "checkbox" || field.type === "radio"
                ? field.checked !== field.defaultChecked
                : field.type !== "hidden" && field.value !== field.defaultValue);
        const selecting = String(getSelection()) !== "";
        return typing || changed || selecting || $("#main form[data-sent]") !== null;
    };
    const pathOf = (element) => {
        const path = [];
        for (let at = element; at.id !== "main" && at.parentElement !== null; at = at.parentElement) {
            path.unshift([...at.parentElement.children].indexOf(at));
        }
        return path;
    };
    const at = (root, path) => path.reduce((from, index) => from?.children[index], root);
    const swap = (page) => {
        const main = $("#main");
        const fresh = $("#main", page);
        if (fresh === null) {
            location.reload(); // something else answered: show it
            return;
        }
        const open = $$("details[open]", main).map((box) => box.id || pathOf(box));
        const focus = main.contains(document.activeElement) ? document.activeElement : null;
        const focusPath = focus === null || focus === main ? null : pathOf(focus);
        const kept = $$("[data-keep]", main);
        main.replaceChildren(...fresh.childNodes);
        main.prepend(...kept);
        for (const which of open) {
            const box = typeof which === "string" ? document.getElementById(which) : at(main, which);
            if (box?.localName === "details") {
                box.open = true;
            }
        }
        if (focusPath !== null) {
            at(main, focusPath)?.focus({ preventScroll: true });
        }
        document.title = page.title;
        $("#favicon").href = $("#favicon", page).getAttribute("href");
        $("#nav")?.replaceChildren(...($("#nav", page)?.childNodes ?? []));
        $("#asof")?.replaceChildren(...($("#asof", page)?.childNodes ?? []));
        addCopyButtons(main);
        if (page.body.dataset.stream === undefined) {
            source?.close(); // it has ended: nothing more will come
        }
    };
    let source = null;
    let asked = false;
    const refresh = async () => {
        if (asked || document.hidden || isBusy()) {
            return;
        }
        asked = true;
        try {
            const answer = await fetch(location.href, {
                credentials: "same-origin",
                cache: "no-store",
            });
            if (answer.redirected || answer.status === 401) {
                location.reload(); // signed out
            } else if (answer.ok && !isBusy()) {
                swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
                document.body.classList.remove("stale");
            }
        } catch {
            document.body.classList.add("stale"); // shown by the foot: it may be old
        } finally {
            asked = false;
        }
    };
    const isPast = new URLSearchParams(location.search).has("at");
    const stream = document.body.dataset.stream;
    if (!isPast && $(".gate") === null) {
        if (stream !== undefined) {
            source = new EventSource(stream);
            let timer = null;
            const soon = () => (timer ??= setTimeout(() => ((timer = null), refresh()), 400));
            for (const kind of ["started", "step", "run", "jobs", "target", "note", "warning",
                "finished", "state", "message"]) {
                source.addEventListener(kind, soon);
            }
        }
        setInterval(refresh, stream === undefined ? 10000 : 20000);
        document.addEventListener("visibilitychange", refresh);
    }
    document.addEventListener("submit", (event) => {
        if (event.target.method === "post" && event.target.id !== "theme") {
            event.target.dataset.sent = "1"; // twice is what the server refuses; once is calmer
            setTimeout(() => delete event.target.dataset.sent, 10000);
        }
    });

    // --- keys ------------------------------------------------------------------------------------
    const keys = $("#keys");
    if (keys !== null) {
        keys.checked = store.get("keys") !== "off";
        keys.addEventListener("change", () => store.set("keys", keys.checked ? "on" : "off"));
    }
    const rows = () => $$("#main tbody tr:not(.group), #main .lane li");
    const move = (step) => {
        const all = rows();
        const now = all.findIndex((row) => row.contains(document.activeElement));
        const row = all[Math.max(0, Math.min(all.length - 1, now + step))];
        const link = row === undefined ? null : $("a, summary, button", row);
        link?.focus();
        row?.scrollIntoView({ block: "nearest" });
    };
    const places = { e: "/", q: "/queue", l: "/locks", a: "/audit" };
    let went = 0;
    document.addEventListener("keydown", (event) => {
        const typing = event.target.matches?.("input, select, textarea");
        if (event.key === "Escape" && typing) {
            event.target.blur();
        }
        if (typing || event.ctrlKey || event.metaKey || event.altKey || keys === null || !keys.checked) {
            return;
        }
        if (Date.now() - went < 1500 && places[event.key] !== undefined) {
            location.href = places[event.key];
            return;
        }
        went = event.key === "g" ? Date.now() : 0;
        const does = {
            "?": () => {
                const help = $("#shortcuts");
                help.open = !help.open;
                $("summary", help).focus();
                help.scrollIntoView({ block: "nearest" });
            },
            "/": () => ($("#q") === null ? (location.href = "/") : $("#q").focus()),
            j: () => move(1),
            k: () => move(-1),
            r: refresh,
            t: () => $("#theme button").click(),
        }[event.key];
        if (does !== undefined) {
            event.preventDefault();
            does();
        }
    });
    addCopyButtons(document);
})();
