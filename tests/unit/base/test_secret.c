// Secrets: held once, never shown.
#include "dispatcher/secret.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/json.h"

// The table of masks lives as long as the process, so every test uses words of its own.

static void
assert_masked(const char *text, const char *expected)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&out, text);
    secret_mask(&out);
    assert_string_equal(buf_cstr(&out), expected);
}

static void
bytes_come_back_exactly(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new((struct str){"a\0b", 3});
    struct str bytes = secret_expose(secret);
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.ptr, "a\0b", 4); // and a NUL behind it
    struct secret *empty CLEANUP(secret_freep) = secret_new((struct str){0});
    assert_int_equal(secret_expose(empty).len, 0);
}

static void
references_are_counted(void **state)
{
    (void)state;
    struct secret *secret = secret_new(STR("reference"));
    struct secret *again = secret_ref(secret);
    assert_ptr_equal(secret, again);
    secret_freep(&secret);
    assert_null(secret);
    assert_true(str_equal(secret_expose(again), STR("reference"))); // asan sees a use after free
    secret_free(again);
    assert_null(secret_ref(NULL));
    secret_free(NULL);
}

static void
every_occurrence_is_masked(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("hunter2hunter2"));
    assert_masked("", "");
    assert_masked("nothing here", "nothing here");
    assert_masked("hunter2hunter2", "***");
    assert_masked("a hunter2hunter2, hunter2hunter2!", "a ***, ***!");
    assert_masked("hunter2hunter", "hunter2hunter");
    assert_masked("hunter2hunter2hunter2", "***"); // twice, overlapping
}

static void
a_mask_outlives_its_secret(void **state)
{
    (void)state;
    secret_free(secret_new(STR("gone-but-known")));
    assert_masked("x gone-but-known", "x ***");
}

static void
short_words_are_not_masked(void **state)
{
    (void)state;
    struct secret *five CLEANUP(secret_freep) = secret_new(STR("fiver"));
    struct secret *six CLEANUP(secret_freep) = secret_new(STR("sixers"));
    assert_masked("fiver sixers", "fiver ***");
}

static void
of_overlapping_secrets_nothing_shows(void **state)
{
    (void)state;
    struct secret *part CLEANUP(secret_freep) = secret_new(STR("overlap"));
    struct secret *whole CLEANUP(secret_freep) = secret_new(STR("overlapping-one"));
    struct secret *next CLEANUP(secret_freep) = secret_new(STR("one-and-more"));
    assert_masked("<overlapping-one>", "<***>"); // not "<***ping-one>"
    assert_masked("<overlapping-one-and-more>", "<***>");
    assert_masked("<overlap one-and-more>", "<*** ***>");
}

static void
lines_of_a_key_are_masked_one_by_one(void **state)
{
    (void)state;
    static const char key[] = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\r\n"
                              "AQEFAASCBKcwggSjAgEA\nshort\n-----END KEY-----\n";
    struct secret *secret CLEANUP(secret_freep) = secret_new(str_of(key));
    assert_masked("x MIIEvQIBADANBgkqhkiG9w0B y", "x *** y");
    assert_masked("AQEFAASCBKcwggSjAgEA", "***");
    assert_masked("-----BEGIN KEY----- short", "-----BEGIN KEY----- short");
    assert_masked(key, "***\n"); // whole, but for the newline at its end
}

static void
a_newline_at_the_end_belongs_to_the_file(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("pass-word\r\n"));
    assert_int_equal(secret_expose(secret).len, 11); // the bytes themselves are untouched
    assert_masked("it is pass-word.", "it is ***.");
    struct secret *blank CLEANUP(secret_freep) = secret_new(STR("\n\n\n\n\n\n\n\n"));
    assert_masked("a\n\n\n\n\n\n\n\nb", "a\n\n\n\n\n\n\n\nb");
}

static void
short_lines_are_masked_as_a_whole_only(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("one-1\ntwo-2"));
    assert_masked("one-1\ntwo-2", "***");
    assert_masked("one-1 two-2", "one-1 two-2");
}

static void
a_failed_buffer_stays_failed(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("failed-buffer"));
    struct buf text CLEANUP(buf_done) = BUF_INIT(13);
    buf_puts(&text, "failed-buffer");
    buf_puts(&text, "x");
    secret_mask(&text);
    assert_string_equal(buf_cstr(&text), "***");
    assert_true(text.failed);
}

struct heard {
    struct buf text;
};

static void
hear(struct str bytes, void *ctx)
{
    struct heard *heard = ctx;
    buf_add(&heard->text, bytes);
    buf_putc(&heard->text, '|');
}

static void
the_hook_hears_each_line_once(void **state)
{
    (void)state;
    struct heard heard = {.text = BUF_INIT(4096)};
    secret_on_register(hear, &heard);
    struct secret *a CLEANUP(secret_freep) = secret_new(STR("hook-first"));
    struct secret *b CLEANUP(secret_freep) = secret_new(STR("hook-first"));
    struct secret *c CLEANUP(secret_freep) = secret_new(STR("tiny"));
    struct secret *d CLEANUP(secret_freep) =
        secret_new(STR("{\nfirst-line-of-the-hook\n}\nsecond-line-of-hook"));
    secret_on_register(NULL, NULL);
    struct secret *e CLEANUP(secret_freep) = secret_new(STR("hook-is-off"));
    assert_string_equal(
        buf_cstr(&heard.text), "hook-first|first-line-of-the-hook|second-line-of-hook|");
    buf_done(&heard.text);
}

static void *
make_many(void *ctx)
{
    const char *prefix = ctx;
    for (int i = 0; i < 50; i++) {
        char word[64];
        (void)snprintf(word, sizeof(word), "%s-thread-%d", prefix, i);
        secret_free(secret_new(str_of(word)));
        struct buf text CLEANUP(buf_done) = BUF_INIT(256);
        buf_puts(&text, word);
        secret_mask(&text);
        if (strcmp(buf_cstr(&text), "***") != 0) {
            return ctx;
        }
    }
    return NULL;
}

static void
threads_share_the_table(void **state)
{
    (void)state;
    char left[] = "left", right[] = "right";
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, make_many, left), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, make_many, right), 0);
    for (size_t i = 0; i < 2; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_masked("left-thread-0 right-thread-49", "*** ***");
}

// The journal and --json hold texts as JSON writes them.
static void
a_secret_is_masked_inside_json(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("pass\"w\\rd\tin json"));
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "text", "a pass\"w\\rd\tin json z");
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    json_print(object, false, &text);
    secret_mask(&text);
    assert_string_equal(buf_cstr(&text), "{\"text\":\"a *** z\"}");
    assert_masked("a pass\"w\\rd\tin json z", "a *** z");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_masked_inside_json),
        cmocka_unit_test(bytes_come_back_exactly),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(every_occurrence_is_masked),
        cmocka_unit_test(a_mask_outlives_its_secret),
        cmocka_unit_test(short_words_are_not_masked),
        cmocka_unit_test(of_overlapping_secrets_nothing_shows),
        cmocka_unit_test(lines_of_a_key_are_masked_one_by_one),
        cmocka_unit_test(a_newline_at_the_end_belongs_to_the_file),
        cmocka_unit_test(short_lines_are_masked_as_a_whole_only),
        cmocka_unit_test(a_failed_buffer_stays_failed),
        cmocka_unit_test(the_hook_hears_each_line_once),
        cmocka_unit_test(threads_share_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
