// node-vault before the sandbox's Vault: prints what happened as one line of JSON.
import nodeVault from "node-vault";

const { VAULT_ADDR: endpoint, DISPATCHER_SANDBOX_VAULT_TOKEN: root, DISPATCHER_SANDBOX_CONTROL: control } =
    process.env;
const refused = (promise) =>
    promise.then(
        () => "taken",
        (err) => [err.response.statusCode, err.response.body.errors],
    );

const vault = nodeVault({ endpoint, token: root });
const health = await vault.health();
const first = await vault.write("secret/data/shop/web", { data: { key: "one", port: 8080 } });
await vault.write("secret/data/shop/web", { data: { key: "two" }, options: { cas: 1 } });
const late = await refused(vault.write("secret/data/shop/web", { data: { key: "x" }, options: { cas: 1 } }));
const read = await vault.read("secret/data/shop/web");
const old = await vault.read("secret/data/shop/web?version=1");
const list = await vault.list("secret/metadata");
const below = await vault.list("secret/metadata/shop");
const metadata = await vault.read("secret/metadata/shop/web");
const none = await refused(vault.read("secret/data/none"));
await vault.delete("secret/data/shop/web");
const deleted = await vault.read("secret/data/shop/web").catch((err) => [
    err.response.statusCode,
    err.response.body.data.data,
    err.response.body.data.metadata.deletion_time !== "",
]);
const unmounted = await refused(vault.read("kv/data/x"));
const stranger = await refused(nodeVault({ endpoint, token: "hvs.stranger" }).read("secret/data/shop/web"));

// A job's own OIDC token, for a role that asks for an audience and a subject.
const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = process.env;
const jwtFor = async (audience) => {
    const answer = await fetch(`${url}&audience=${audience}`, { headers: { Authorization: `bearer ${bearer}` } });
    return (await answer.json()).value;
};
await fetch(`${control}/vault`, {
    method: "POST",
    body: JSON.stringify({
        roles: [
            { mount: "jwt", name: "ci", audiences: ["other", "vault"], claims: { sub: "repo:acme/*" }, ttl: "60s",
                max_ttl: "90s", read: ["secret/data/shop/*"] },
            { mount: "jwt", name: "strict", audiences: ["vault"], claims: { repository: ["acme/other"] } },
        ],
    }),
});
const jwt = await jwtFor("vault");
const client = nodeVault({ endpoint });
const login = await client.jwtLogin({ role: "ci", jwt });
await vault.write("secret/data/shop/web", { data: { key: "three" } });
const mine = await client.read("secret/data/shop/web");
const beyond = await refused(client.read("secret/data/other"));
const self = await client.tokenLookupSelf();
const renewed = await client.tokenRenewSelf({ increment: "3600s" });
await client.tokenRevokeSelf();
const logins = [
    await refused(client.jwtLogin({ role: "ci", jwt: await jwtFor("wrong") })),
    await refused(client.jwtLogin({ role: "ci", jwt: `${jwt.slice(0, -4)}AAAA` })),
    await refused(client.jwtLogin({ role: "strict", jwt })),
    await refused(client.jwtLogin({ role: "gone", jwt })),
];
console.log(
    JSON.stringify({
        health: [health.initialized, health.sealed],
        first: first.data.version,
        late,
        read: [read.data.data, read.data.metadata.version],
        old: old.data.data,
        list: list.data.keys,
        below: below.data.keys,
        versions: Object.keys(metadata.data.versions),
        none,
        deleted,
        unmounted,
        stranger,
        login: [login.auth.lease_duration, login.auth.renewable, login.auth.metadata],
        mine: mine.data.data,
        beyond,
        self: [self.data.display_name.startsWith("jwt-repo:acme/"), self.data.ttl > 0, self.data.renewable],
        renewed: renewed.auth.lease_duration > 60 && renewed.auth.lease_duration <= 90,
        revoked: await refused(client.tokenLookupSelf()),
        logins,
    }),
);
