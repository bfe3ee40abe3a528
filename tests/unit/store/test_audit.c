// The audit log: what an entry's text is to the byte, that its chain holds whoever writes, and that
// each way of meddling with it is seen and named.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit_internal.h"
#include "child.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "queue_fixture.h"
#include "store_lab.h"

static void
add(struct queue_fixture *fixture, const char *actor, int64_t now)
{
    const struct audit_entry entry = {
        .kind = "decision", .verdict = "allow", .actor = actor, .app = "payments", .env = "prod"};
    assert_null(audit_add(fixture->store, &entry, now));
}

static struct audit_entry *
list(struct queue_fixture *fixture, struct audit_filter filter, size_t *count)
{
    struct audit_entry *entries = NULL;
    assert_null(audit_list(fixture->store, &filter, fixture->arena, &entries, count));
    return entries;
}

static struct audit_verdict
verify(struct queue_fixture *fixture)
{
    struct audit_verdict verdict = {0};
    assert_null(audit_verify(fixture->store, fixture->arena, &verdict));
    return verdict;
}

static void
meddle(struct queue_fixture *fixture, const char *sql)
{
    struct query query CLEANUP(query_done);
    query_init(&query, fixture->store, sql);
    assert_null(query_run(&query));
}

// --- text ----------------------------------------------------------------------------------------

static void
an_entry_is_hashed_as_one_exact_line(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct audit_entry entry = {.kind = "decision",
        .verdict = "deny",
        .code = "ref-not-allowed",
        .reason = "ref \"a\\b\"\tof 'c'\n\x01 \x7f é",
        .app = "payments",
        .actor_id = 583231,
        .repository_id = 42,
        .detail = "{ \"z\": [1, {\"b\":true, \"a\":null}], \"a\": \"x/y\", \"B\": 2.5 }"};
    assert_null(audit_add(fixture->store, &entry, 1700000000123));
    size_t count = 0;
    const struct audit_entry *got = list(fixture, (struct audit_filter){0}, &count);
    assert_int_equal(count, 1);
    static const char object[] =
        "{\"actor_id\":583231,\"app\":\"payments\",\"at_ms\":1700000000123,"
        "\"code\":\"ref-not-allowed\",\"detail\":{\"B\":2.5,\"a\":\"x/y\","
        "\"z\":[1,{\"a\":null,\"b\":true}]},\"kind\":\"decision\","
        "\"previous\":\"" AUDIT_NO_HASH "\","
        "\"reason\":\"ref \\\"a\\\\b\\\"\\tof 'c'\\n\\u0001 \x7f é\",\"repository_id\":42,"
        "\"sequence\":1,\"verdict\":\"deny\"}";
    char hash[SHA256_HEX_SIZE];
    char *hashed CLEANUP(xfreep) = xasprintf("%s\n%s", AUDIT_NO_HASH, object);
    sha256_hex(str_of(hashed), hash);
    assert_string_equal(got->hash, hash);
    assert_string_equal(got->previous, AUDIT_NO_HASH);
    // Exported: the same with its hash in its place.
    char *place = strstr(hashed, ",\"kind\"");
    char *expected CLEANUP(xfreep) =
        xasprintf("%.*s,\"hash\":\"%s\"%s\n", (int)(place - hashed) - 65, hashed + 65, hash, place);
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    audit_jsonl(got, &line);
    assert_string_equal(buf_cstr(&line), expected);
}

static void
every_member_is_kept(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct audit_entry entry = {.kind = "approval",
        .verdict = "done",
        .code = "allowed",
        .reason = "r",
        .request_id = "q",
        .app = "a",
        .env = "e",
        .deployment = "d-1",
        .version = "v",
        .digest = "sha256:1",
        .actor = "octocat",
        .actor_id = 1,
        .repository_id = 2,
        .run_id = 3,
        .run_attempt = 4,
        .check_run_id = 5,
        .jti = "j",
        .token_hash = "t",
        .rule = "u",
        .spec_commit = "s",
        .floor_commit = "f",
        .detail = "{}"};
    assert_null(audit_add(fixture->store, &entry, 9));
    size_t count = 0;
    const struct audit_entry *got = list(fixture, (struct audit_filter){0}, &count);
    assert_int_equal(count, 1);
    char *expected CLEANUP(xfreep) = xasprintf(
        "{\"actor\":\"octocat\",\"actor_id\":1,\"app\":\"a\",\"at_ms\":9,\"check_run_id\":5,"
        "\"code\":\"allowed\",\"deployment\":\"d-1\",\"detail\":{},\"digest\":\"sha256:1\","
        "\"env\":\"e\",\"floor_commit\":\"f\",\"hash\":\"%s\",\"jti\":\"j\",\"kind\":\"approval\","
        "\"previous\":\"" AUDIT_NO_HASH "\",\"reason\":\"r\",\"repository_id\":2,"
        "\"request_id\":\"q\",\"rule\":\"u\",\"run_attempt\":4,\"run_id\":3,\"sequence\":1,"
        "\"spec_commit\":\"s\",\"token_hash\":\"t\",\"verdict\":\"done\",\"version\":\"v\"}\n",
        got->hash);
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    audit_jsonl(got, &line);
    assert_string_equal(buf_cstr(&line), expected);
}

static void
text_that_is_no_utf8_is_kept_as_it_is_hashed(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct audit_entry entry = {.kind = "decision",
        .verdict = "deny",
        .reason = "a\xff"
                  "b"};
    assert_null(audit_add(fixture->store, &entry, 1));
    size_t count = 0;
    assert_string_equal(list(fixture, (struct audit_filter){0}, &count)->reason, "a\xef\xbf\xbd"
                                                                                 "b");
    assert_int_equal(verify(fixture).broken_at, 0);
}

static void
a_detail_that_is_no_object_is_refused(void **state)
{
    struct queue_fixture *fixture = *state;
    char *large CLEANUP(xfreep) = xcalloc(1, AUDIT_DETAIL_MAX + 16);
    memset(large, ' ', AUDIT_DETAIL_MAX + 8);
    large[0] = '{';
    large[AUDIT_DETAIL_MAX + 7] = '}';
    const char *const bad[] = {"", "[]", "1", "{", "{\"a\":1,\"a\":2}", "{} x", large};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        const struct audit_entry entry = {.kind = "k", .verdict = "allow", .detail = bad[i]};
        struct error *err CLEANUP(error_freep) = audit_add(fixture->store, &entry, 1);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        assert_string_equal(error_message(err), "detail of an audit entry");
    }
    assert_int_equal(verify(fixture).entries, 0);
}

static void
csv_is_quoted_and_runs_no_formula(void **state)
{
    (void)state;
    const struct audit_entry entry = {.sequence = 7,
        .at_ms = 1000,
        .kind = "decision",
        .verdict = "deny",
        .actor = "=cmd|'/C calc'!A0",
        .app = "+1",
        .env = "-1",
        .version = "@sum(a)",
        .deployment = "\td-1",
        .reason = "\rsays \"no\", twice\r\nand again",
        .rule = "a,b",
        .digest = "sha256:=1",
        .previous = "p",
        .hash = "h"};
    struct buf csv CLEANUP(buf_done) = BUF_INIT(4096);
    audit_csv_header(&csv);
    audit_csv(&entry, &csv);
    assert_string_equal(buf_cstr(&csv),
        "sequence,at_ms,kind,verdict,code,actor,app,env,version,deployment,reason,rule,request_id,"
        "digest,actor_id,repository_id,run_id,run_attempt,check_run_id,jti,token_hash,spec_commit,"
        "floor_commit,detail,previous,hash\r\n"
        "7,1000,decision,deny,,'=cmd|'/C calc'!A0,'+1,'-1,'@sum(a),'\td-1,"
        "\"'\rsays \"\"no\"\", twice\r\nand again\",\"a,b\",,sha256:=1,,,,,,,,,,,p,h\r\n");
}

// --- lists ---------------------------------------------------------------------------------------

static void
assert_listed(struct queue_fixture *fixture, struct audit_filter filter, const char *expected)
{
    size_t count = 0;
    const struct audit_entry *entries = list(fixture, filter, &count);
    struct buf numbers CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&numbers, "%s%lld", i > 0 ? " " : "", (long long)entries[i].sequence);
    }
    assert_string_equal(buf_cstr(&numbers), expected);
}

static void
lists_show_what_was_asked_for(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct audit_entry entries[] = {
        {.kind = "decision", .verdict = "allow", .app = "a", .env = "p", .actor = "x"},
        {.kind = "decision", .verdict = "deny", .code = "no-rule", .app = "a", .env = "s"},
        {.kind = "lock", .verdict = "done", .actor = "x", .deployment = "d-1"},
        {.kind = "decision", .verdict = "allow", .app = "b", .env = "p", .repository_id = 5},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(entries); i++) {
        assert_null(audit_add(fixture->store, &entries[i], (int64_t)(1000 * (i + 1))));
    }
    assert_listed(fixture, (struct audit_filter){0}, "4 3 2 1");
    assert_listed(fixture, (struct audit_filter){.oldest_first = true}, "1 2 3 4");
    assert_listed(fixture, (struct audit_filter){.oldest_first = true, .after = 2}, "3 4");
    assert_listed(fixture, (struct audit_filter){.before = 3}, "2 1");
    assert_listed(fixture, (struct audit_filter){.limit = 1}, "4");
    assert_listed(fixture, (struct audit_filter){.app = "a"}, "2 1");
    assert_listed(fixture, (struct audit_filter){.app = "a", .env = "p"}, "1");
    assert_listed(fixture, (struct audit_filter){.env = "p"}, "4 1");
    assert_listed(fixture, (struct audit_filter){.actor = "x"}, "3 1");
    assert_listed(fixture, (struct audit_filter){.actor = "x", .kind = "lock"}, "3");
    assert_listed(fixture, (struct audit_filter){.deployment = "d-1"}, "3");
    assert_listed(fixture, (struct audit_filter){.repository_id = 5}, "4");
    assert_listed(fixture, (struct audit_filter){.verdict = "deny"}, "2");
    assert_listed(fixture, (struct audit_filter){.code = "no-rule"}, "2");
    assert_listed(fixture, (struct audit_filter){.since_ms = 2000, .until_ms = 3000}, "3 2");
}

// --- the chain -----------------------------------------------------------------------------------

static void
a_whole_chain_is_whole(void **state)
{
    struct queue_fixture *fixture = *state;
    struct audit_verdict verdict = verify(fixture);
    assert_int_equal(verdict.entries, 0);
    assert_int_equal(verdict.broken_at, 0);
    assert_string_equal(verdict.head, AUDIT_NO_HASH);
    for (int i = 0; i < 2100; i++) { // more than two batches
        add(fixture, "octocat", 1000 + i);
    }
    verdict = verify(fixture);
    assert_int_equal(verdict.entries, 2100);
    assert_int_equal(verdict.broken_at, 0);
    assert_null(verdict.why);
    size_t count = 0;
    assert_string_equal(
        verdict.head, list(fixture, (struct audit_filter){.limit = 1}, &count)->hash);
}

static void
meddling_is_seen(void **state)
{
    struct queue_fixture *fixture = *state;
    static const struct {
        const char *sql[4];
        int64_t broken_at, entries;
        const char *why;
    } cases[] = {
        {{"UPDATE audit SET verdict = 'deny' WHERE sequence = 3"}, 3, 2,
            "it is not what was written"},
        {{"UPDATE audit SET actor_id = 1 WHERE sequence = 5"}, 5, 4, "it is not what was written"},
        {{"UPDATE audit SET reason = 'more' WHERE sequence = 1"}, 1, 0,
            "it is not what was written"},
        {{"UPDATE audit SET hash = previous WHERE sequence = 2"}, 2, 1,
            "it is not what was written"},
        {{"DELETE FROM audit WHERE sequence = 3"}, 3, 2, "it is missing"},
        {{"DELETE FROM audit WHERE sequence = 1"}, 1, 0, "it is missing"},
        {{"DELETE FROM audit WHERE sequence = 3",
             "UPDATE audit SET sequence = sequence - 1 WHERE sequence = 4",
             "UPDATE audit SET sequence = sequence - 1 WHERE sequence = 5"},
            3, 2, "it does not follow the entry before it"},
        {{"DELETE FROM audit WHERE sequence > 3"}, 4, 3, "it is missing, and all after it"},
        {{"DELETE FROM audit"}, 1, 0, "it is missing, and all after it"},
        {{"DELETE FROM audit WHERE sequence > 3",
             "UPDATE audit_head SET sequence = 3 WHERE one = 1"},
            3, 3, "it is not the newest that was written"},
        {{"UPDATE audit SET sequence = 99 WHERE sequence = 2",
             "UPDATE audit SET sequence = 2 WHERE sequence = 4",
             "UPDATE audit SET sequence = 4 WHERE sequence = 99"},
            2, 1, "it does not follow the entry before it"},
        {{"UPDATE audit_head SET sequence = 4 WHERE one = 1"}, 4, 4,
            "it is not the newest that was written"},
        {{"DELETE FROM audit_head"}, 5, 5, "the log's head does not know of it"},
        {{"DELETE FROM audit", "DELETE FROM audit_head"}, 1, 0, "the log's head is gone"},
    };
    for (int i = 0; i < 5; i++) {
        add(fixture, "octocat", 1000 + i);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_null(store_begin(fixture->store));
        for (size_t step = 0; step < 4 && cases[i].sql[step] != NULL; step++) {
            meddle(fixture, cases[i].sql[step]);
        }
        const struct audit_verdict verdict = verify(fixture);
        error_free(store_end(fixture->store, error_new(ERROR_USAGE, "undo it")));
        assert_int_equal(verdict.broken_at, cases[i].broken_at);
        assert_string_equal(verdict.why, cases[i].why);
        assert_int_equal(verdict.entries, cases[i].entries);
    }
    assert_int_equal(verify(fixture).broken_at, 0);
}

// The same text of other columns: an entry that no list by environment shows.
static void
what_is_hidden_in_a_detail_is_seen(void **state)
{
    struct queue_fixture *fixture = *state;
    const struct audit_entry entry = {.kind = "decision",
        .verdict = "allow",
        .app = "payments",
        .env = "production",
        .digest = "sha256:1",
        .detail = "{\"verb\":\"deploy\"}"};
    assert_null(audit_add(fixture->store, &entry, 1000));
    assert_int_equal(verify(fixture).broken_at, 0);
    meddle(fixture, "UPDATE audit SET detail = detail ||"
                    " ',\"digest\":\"sha256:1\",\"env\":\"production\"',"
                    " digest = NULL, env = NULL WHERE sequence = 1");
    const struct audit_verdict verdict = verify(fixture);
    assert_int_equal(verdict.broken_at, 1);
    assert_string_equal(verdict.why, "it is not what was written");
}

struct writing {
    struct store_op op;
    const char *actor;
    int64_t now_ms;
    bool fails;
};

static struct error *
write_entry(struct store *store, void *ctx)
{
    const struct writing *writing = ctx;
    const struct audit_entry entry = {
        .kind = "decision", .verdict = "allow", .actor = writing->actor};
    TRY(audit_add(store, &entry, writing->now_ms));
    return writing->fails ? error_new(ERROR_USAGE, "after it was written") : NULL;
}

static void
an_entry_shares_the_fate_of_its_request(void **state)
{
    struct queue_fixture *fixture = *state;
    struct writing writings[] = {{.actor = "a", .now_ms = 1},
        {.actor = "b", .now_ms = 2, .fails = true}, {.actor = "c", .now_ms = 3}};
    struct store_op ops[ARRAY_LENGTH(writings)];
    for (size_t i = 0; i < ARRAY_LENGTH(writings); i++) {
        ops[i] = (struct store_op){.run = write_entry, .ctx = &writings[i]};
    }
    assert_null(store_group(fixture->store, ops, ARRAY_LENGTH(ops)));
    assert_null(ops[0].err);
    assert_string_equal(error_message(ops[1].err), "after it was written");
    error_free(ops[1].err);
    assert_null(ops[2].err);
    size_t count = 0;
    const struct audit_entry *entries = list(fixture, (struct audit_filter){0}, &count);
    assert_int_equal(count, 2);
    assert_string_equal(entries[0].actor, "c");
    assert_int_equal(entries[0].sequence, 2);
    assert_string_equal(entries[1].actor, "a");
    assert_int_equal(verify(fixture).broken_at, 0);
}

enum { WRITERS = 4, ENTRIES = 50 };

static void
write_many(void *ctx, int out)
{
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    for (int i = 0; err == NULL && i < ENTRIES; i++) {
        struct writing writings[] = {{.actor = "a", .now_ms = i}, {.actor = "b", .now_ms = i}};
        struct store_op ops[] = {
            {write_entry, &writings[0], NULL}, {write_entry, &writings[1], NULL}};
        err = i % 2 == 0 ? store_group(store, ops, 2) : write_entry(store, &writings[0]);
    }
    store_close(store);
    child_say(out, err == NULL ? "written" : error_message(err));
    error_free(err);
}

static void
many_writers_make_one_chain(void **state)
{
    struct queue_fixture *fixture = *state;
    struct child children[WRITERS];
    for (size_t i = 0; i < WRITERS; i++) {
        child_start(&children[i], write_many, fixture->path);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
        assert_true(child_hear(&children[i], &line));
        assert_string_equal(buf_cstr(&line), "written");
        assert_int_equal(child_finish(&children[i]), 0);
    }
    const struct audit_verdict verdict = verify(fixture);
    assert_int_equal(verdict.broken_at, 0);
    assert_int_equal(verdict.entries, WRITERS * (ENTRIES + ENTRIES / 2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(an_entry_is_hashed_as_one_exact_line),
        QUEUE_TEST(every_member_is_kept),
        QUEUE_TEST(text_that_is_no_utf8_is_kept_as_it_is_hashed),
        QUEUE_TEST(a_detail_that_is_no_object_is_refused),
        QUEUE_TEST(csv_is_quoted_and_runs_no_formula),
        QUEUE_TEST(lists_show_what_was_asked_for),
        QUEUE_TEST(a_whole_chain_is_whole),
        QUEUE_TEST(meddling_is_seen),
        QUEUE_TEST(what_is_hidden_in_a_detail_is_seen),
        QUEUE_TEST(an_entry_shares_the_fate_of_its_request),
        QUEUE_TEST(many_writers_make_one_chain),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
