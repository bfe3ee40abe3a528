// Who is who in the sandbox, asked by others' clients: jose for the issuer's tokens, oauth4webapi and
// @octokit/oauth-app for the web flow, Octokit for people and teams. Prints one line of JSON.
import { OAuthApp } from "@octokit/oauth-app";
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import { Octokit } from "octokit";

const {
    GITHUB_API_URL: api, GITHUB_SERVER_URL: server, DISPATCHER_SANDBOX_CONTROL: control,
    DISPATCHER_SANDBOX_OIDC_ISSUER: issuer, DISPATCHER_SANDBOX_ORG: org,
    DISPATCHER_SANDBOX_OAUTH_CLIENT_ID: clientId, DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET: clientSecret,
} = process.env;
const order = async (path, body) => {
    const reply = await fetch(`${control}${path}`, { method: "POST", body: JSON.stringify(body) });
    const text = await reply.text();
    if (!reply.ok) return [reply.status, JSON.parse(text).message];
    return text ? JSON.parse(text) : null;
};
const caught = async (promise) => {
    try {
        return await promise;
    } catch (error) {
        return error;
    }
};
const out = {};

// --- tokens of jobs
const discovered = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
const keysNow = async () => createLocalJWKSet(await (await fetch(discovered.jwks_uri)).json());
const audience = "https://deploy.example.org";
const check = async (token, keys) => {
    const result = await caught(jwtVerify(token, keys ?? (await keysNow()), { issuer, audience, algorithms: ["RS256"] }));
    return result instanceof Error ? result.code : result.payload;
};
const mint = (body) => order("/oidc/token", body);
const good = (await mint({ repository: "acme/shop", ref: "refs/tags/v1", environment: "production", event_name: "release", audience, jti: "j-1", run_id: "77" })).value;
const { repository, ref, ref_type, sub, event_name, jti, run_id, repository_id, repository_owner_id } = await check(good);
out.claims = { repository, ref, ref_type, sub, event_name, jti, run_id };
out.ids = [/^\d+$/.test(repository_id), /^\d+$/.test(repository_owner_id)];
out.refused = [
    await check((await mint({ audience: "https://other.example.org" })).value),
    await check((await mint({ audience, issued_ago: 700 })).value),
    await check((await mint({ audience, claims: { iss: "https://evil.example.org" } })).value),
    await check((await mint({ audience, claims: { nbf: 9999999999 } })).value),
];
const bare = decodeJwt((await mint({ audience, claims: { jti: null, ref: null, repository_id: "1" } })).value);
out.bare = ["jti" in bare, "ref" in bare, bare.repository_id];
const { values } = await mint({ audience, count: 50 });
out.many = [values.length, new Set(values.map((v) => decodeJwt(v).jti)).size];
out.bad_orders = [(await mint({ count: 0 }))[0], (await mint({ expires_in: "5m" }))[0]];
const before = await keysNow();
await order("/oidc/rotate", { keep: true });
const newer = (await mint({ audience })).value;
out.rotated = [await check(newer, before), typeof (await check(newer)), typeof (await check(good))];
await order("/oidc/rotate", { keep: false });
out.dropped = await check(good);
const shell = await fetch(`${process.env.ACTIONS_ID_TOKEN_REQUEST_URL}&audience=${encodeURIComponent(audience)}`, {
    headers: { Authorization: `bearer ${process.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN}` },
});
out.shell = (await jwtVerify((await shell.json()).value, createRemoteJWKSet(new URL(discovered.jwks_uri)), { issuer, audience })).payload.repository;

// --- the web flow, by the letter of the RFCs
const as = { issuer: server, authorization_endpoint: `${server}/login/oauth/authorize`, token_endpoint: `${server}/login/oauth/access_token` };
const client = { client_id: clientId };
const callback = "http://127.0.0.1:9/sign-in/callback";
const loose = { [oauth.allowInsecureRequests]: true };
const enter = async (login, verifier, extra = {}) => {
    const url = new URL(as.authorization_endpoint);
    const state = oauth.generateRandomState();
    const parameters = { client_id: clientId, redirect_uri: callback, state, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", login, ...extra };
    for (const [key, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(key, value);
    const reply = await fetch(url, { redirect: "manual" });
    return [reply, state];
};
const exchange = async (location, state, verifier, secret = clientSecret) => {
    const parameters = oauth.validateAuthResponse(as, client, new URL(location), state);
    const reply = await oauth.authorizationCodeGrantRequest(as, client, oauth.ClientSecretPost(secret), parameters, callback, verifier, { ...loose, headers: { Accept: "application/json" } });
    return caught(oauth.processAuthorizationCodeResponse(as, client, reply));
};
// GitHub's errors come with 200, which is no answer of an OAuth server: the body is in the cause.
const word = (error) => error.cause?.body?.error ?? error.error;
const verifier = oauth.generateRandomCodeVerifier();
let [reply, state] = await enter("octocat", verifier);
const tokens = await exchange(reply.headers.get("location"), state, verifier);
out.tokens = [reply.status, tokens.token_type, tokens.access_token.slice(0, 4), tokens.expires_in, tokens.refresh_token.slice(0, 4)];
out.used = word(await exchange(reply.headers.get("location"), state, verifier));
[reply, state] = await enter("octocat", verifier);
out.pkce = word(await exchange(reply.headers.get("location"), state, oauth.generateRandomCodeVerifier()));
[reply, state] = await enter("octocat", verifier);
out.secret = word(await exchange(reply.headers.get("location"), state, verifier, "wrong"));
[reply, state] = await enter("octocat", verifier, { deny: "1" });
out.denied = (await caught(exchange(reply.headers.get("location"), state, verifier))).error;
[reply] = await enter("octocat", verifier, { redirect_uri: "https://evil.example.org/" });
out.elsewhere = reply.status;
[reply] = await enter(undefined, verifier);
const page = await reply.text();
out.page = [reply.status, (page.match(/login=[a-z-]+"/g) ?? []).length, /deny=1/.test(page)];
const refreshed = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.ClientSecretPost(clientSecret), tokens.refresh_token, { ...loose, headers: { Accept: "application/json" } }));
const octocat = new Octokit({ baseUrl: api, auth: refreshed.access_token });
out.after = [(await octokitStatus(tokens.access_token)), (await octocat.rest.users.getAuthenticated()).data.login];
async function octokitStatus(token) {
    return (await caught(new Octokit({ baseUrl: api, auth: token, retry: { enabled: false } }).rest.users.getAuthenticated())).status;
}
const form = await fetch(as.token_endpoint, { method: "POST", body: new URLSearchParams({ client_id: clientId, client_secret: clientSecret, code: "no" }) });
out.form = [form.status, new URLSearchParams(await form.text()).get("error")];

// --- the web flow as Octokit does it
const enterprise = `${server}/api/v3`; // whose addresses Octokit can derive the web flow's from
const app = new OAuthApp({ clientType: "github-app", clientId, clientSecret, baseUrl: enterprise, Octokit: Octokit.defaults({ baseUrl: enterprise }) });
const { url } = app.getWebFlowAuthorizationUrl({ state: "s1", redirectUrl: callback });
const entered = await fetch(`${url}&login=monalisa`, { redirect: "manual" });
const code = new URL(entered.headers.get("location")).searchParams.get("code");
const { authentication } = await app.createToken({ code });
const checked = (await app.checkToken({ token: authentication.token })).data;
await app.deleteToken({ token: authentication.token });
out.octokit = [authentication.tokenType, checked.user.login, (await octokitStatus(authentication.token))];

// --- people and teams
const made = await order("/github/people", { people: [{ login: "ada", id: 4711, name: "Ada", teams: ["shop-deployers"], token: "ghp_ada" }, { login: "robot", bot: true, teams: [] }, { login: "mallory" }] });
out.people = made.people.map((p) => [p.login, p.id === 4711, p.member, typeof p.token]);
const ada = new Octokit({ baseUrl: api, auth: "ghp_ada" });
const mallory = new Octokit({ baseUrl: api, auth: made.people[2].token });
const status = async (promise) => (await caught(promise)).status;
out.ada = [
    (await ada.rest.users.getAuthenticated()).data.id,
    (await ada.paginate("GET /user/teams")).map((t) => `${t.organization.login}/${t.slug}`),
    (await ada.rest.orgs.listForAuthenticatedUser()).data.map((o) => o.login),
    (await ada.rest.orgs.getMembershipForAuthenticatedUser({ org })).data.state,
    await status(ada.rest.orgs.checkMembershipForUser({ org, username: "octocat" })),
    (await ada.rest.teams.getMembershipForUserInOrg({ org, team_slug: "devops", username: "octocat" })).data.state,
    await status(ada.rest.teams.getMembershipForUserInOrg({ org, team_slug: "devops", username: "ada" })),
    (await ada.rest.teams.listMembersInOrg({ org, team_slug: "devops" })).data.map((u) => u.login),
    (await ada.rest.orgs.getMembershipForUser({ org, username: "octocat" })).data.role,
    (await ada.rest.users.getByUsername({ username: "robot" })).data.type,
];
out.mallory = [
    (await mallory.rest.orgs.listForAuthenticatedUser()).data.length,
    await status(mallory.rest.orgs.getMembershipForAuthenticatedUser({ org })),
    await status(mallory.rest.teams.getMembershipForUserInOrg({ org, team_slug: "devops", username: "octocat" })),
    await status(mallory.rest.repos.get({ owner: "acme", repo: "infra" })),
];
out.bad_people = [(await order("/github/people", { people: [{ login: "no spaces" }] }))[1], (await order("/github/people", { people: [{ login: "eve", token: "ghp_ada" }] }))[1]];
console.log(JSON.stringify(out));
